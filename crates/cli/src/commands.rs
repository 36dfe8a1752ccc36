//! The verbs.

mod doctor;
mod lists;
pub(crate) use lists::{explained, items};
mod send;
mod store;
pub(crate) use store::record_restore;
mod up;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::CommandFactory;
use perennial_config::{FILE_NAME, Project};
use perennial_core::{Error, ErrorCode};
use serde_json::{Value, json};

use crate::args::{Arguments, Command, Data, Init, Releases, Tokens};
use crate::client::Client;
use crate::follow::follow_on;
use crate::host::Connection;
use crate::output::table;
use crate::{demo, examples};

/// Runs one command to its end.
pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode> {
    let folder = arguments.project.clone();
    match &arguments.command {
        Command::Init(init) => return start(init),
        Command::Up(options) => return up::up(&folder, options).await,
        Command::Demo(options) => return demo::play(options).await,
        Command::Doctor => return doctor::doctor(&folder, arguments.json).await,
        Command::Restore { from } => return store::restore(&folder, from),
        Command::Completions { shell } => {
            clap_complete::generate(*shell, &mut Arguments::command(), "perennial", &mut std::io::stdout());
            return Ok(ExitCode::SUCCESS);
        }
        _ => {}
    }
    let connection = Connection::open(&folder).await?;
    let ended = with_server(&arguments, &connection, &folder).await;
    connection.close().await?;
    ended
}

async fn with_server(arguments: &Arguments, connection: &Connection, folder: &Path) -> Result<ExitCode> {
    let (json, client) = (arguments.json, &connection.client);
    match &arguments.command {
        Command::Check => check(connection, folder, json).await,
        Command::Run(options) => {
            let project = submitted(connection, folder).await?;
            pipeline(
                (connection, folder),
                &project,
                "run",
                json!({ "steps": options.steps, "dry_run": options.dry_run }),
                json,
            )
            .await
        }
        Command::Release(options) => {
            let project = submitted(connection, folder).await?;
            let code = pipeline((connection, folder), &project, "release", json!({}), json).await?;
            if options.wait { wait_for_canary(client, &project).await } else { Ok(code) }
        }
        Command::Why { step } => {
            let project = submitted(connection, folder).await?;
            pipeline((connection, folder), &project, "run", json!({ "steps": [step], "dry_run": true }), json).await
        }
        Command::Data(Data::Release { load, all }) => {
            let project = named(client, folder).await?;
            told(
                &client
                    .post(&format!("/api/v1/projects/{project}/loads/{load}/release"), &json!({ "all": all }))
                    .await?,
                json,
            )
        }
        Command::Rollback { endpoint } => {
            let project = named(client, folder).await?;
            told(
                &client.post(&format!("/api/v1/projects/{project}/endpoints/{endpoint}/rollback"), &json!({})).await?,
                json,
            )
        }
        Command::Releases { verb: Some(Releases::Approve { digest, role }) } => {
            let project = named(client, folder).await?;
            told(
                &client
                    .post(&format!("/api/v1/projects/{project}/releases/{digest}/approve"), &json!({ "role": role }))
                    .await?,
                json,
            )
        }
        Command::Tokens(Tokens::Create { name, role }) => {
            let made = client.post("/api/v1/tokens", &json!({ "name": name, "role": role })).await?;
            if json {
                println!("{made}");
            } else {
                println!("{}", made.get("secret").and_then(Value::as_str).unwrap_or_default());
                eprintln!("shown once; send it as `Authorization: Bearer …`, or set PERENNIAL_TOKEN");
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::LoginLink => {
            let made = client.post("/api/v1/login-links", &json!({})).await?;
            println!("{}{}", client.base(), made.get("path").and_then(Value::as_str).unwrap_or_default());
            Ok(ExitCode::SUCCESS)
        }
        Command::Backup { .. } if connection.is_remote => {
            bail!("a backup copies the files beside the server: run it where the server runs, without PERENNIAL_SERVER")
        }
        Command::Backup { to } => store::backup(client, folder, to).await,
        other => {
            let project = named(client, folder).await?;
            lists::show(client, &project, other, json).await
        }
    }
}

fn start(init: &Init) -> Result<ExitCode> {
    let folder = &init.folder;
    if let Some(example) = init.example {
        examples::write(example, folder)?;
        println!("wrote the example to {}; next: `perennial -C {} run`", folder.display(), folder.display());
        return Ok(ExitCode::SUCCESS);
    }
    let file = folder.join(FILE_NAME);
    if file.exists() {
        bail!("{} is there already", file.display());
    }
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    std::fs::write(&file, perennial_config::template())?;
    let ignore = folder.join(".gitignore");
    if !ignore.exists() {
        std::fs::write(ignore, ".perennial/\n")?;
    }
    println!("wrote {}; next: fill it in, then `perennial check`", file.display());
    Ok(ExitCode::SUCCESS)
}

/// Has a host submit its own project file; gives the project's name.
pub(crate) async fn submit(client: &Client) -> Result<String> {
    let project = client.post("/api/v1/projects/submit", &json!({})).await?;
    project.get("name").and_then(Value::as_str).map(str::to_owned).context("the server did not name the project")
}

/// Submits the project of this folder, which goes up to a team's server; gives its name.
async fn submitted(connection: &Connection, folder: &Path) -> Result<String> {
    if connection.is_remote { send::submit(&connection.client, folder).await } else { submit(&connection.client).await }
}

/// The project of this folder, as its file names it; without a file, the only one the server shows.
/// Nothing is submitted: whoever only looks changes nothing.
async fn named(client: &Client, folder: &Path) -> Result<String> {
    let file = folder.join(FILE_NAME);
    if file.is_file() {
        let text = std::fs::read_to_string(&file).with_context(|| format!("{} cannot be read", file.display()))?;
        let name = Project::name_in(&text).ok_or_else(|| {
            Error::new(ErrorCode::ProjectFile, format!("{} gives no `name` under `[project]`", file.display()))
                .hint("`perennial check` tells what is wrong with it")
        })?;
        return Ok(name.to_string());
    }
    let listed = lists::items(&client.get("/api/v1/projects").await?);
    let shown: Vec<&str> = listed
        .iter()
        .filter(|project| project.get("file_digest").is_some_and(Value::is_string))
        .filter_map(|project| project.get("name")?.as_str())
        .collect();
    match shown.as_slice() {
        [only] => Ok((*only).to_owned()),
        [] => Err(Error::new(
            ErrorCode::NotFound,
            format!("{} holds no `{FILE_NAME}`, and the server shows no project", folder.display()),
        )
        .hint("`-C DIR` names the project's folder; `perennial run` there makes the project known")
        .into()),
        several => Err(Error::new(
            ErrorCode::NotFound,
            format!("{} holds no `{FILE_NAME}`, and the server shows several projects", folder.display()),
        )
        .hint(format!("`-C DIR` names the folder of one: {}", several.join(", ")))
        .into()),
    }
}

async fn check(connection: &Connection, folder: &Path, json: bool) -> Result<ExitCode> {
    let client = &connection.client;
    let answer = if connection.is_remote {
        send::check(client, folder).await?
    } else {
        client.post("/api/v1/check", &json!({})).await?
    };
    if json {
        println!("{answer}");
    } else {
        println!("`{FILE_NAME}` holds together");
    }
    Ok(ExitCode::SUCCESS)
}

/// Starts a pipeline run and follows it.
async fn pipeline(
    (connection, folder): (&Connection, &Path),
    project: &str,
    kind: &str,
    options: Value,
    json: bool,
) -> Result<ExitCode> {
    let client = &connection.client;
    let dry = options.get("dry_run").and_then(Value::as_bool).unwrap_or_default();
    let made = client
        .post(&format!("/api/v1/projects/{project}/pipeline-runs"), &json!({ "kind": kind, "options": options }))
        .await?;
    if dry {
        return planned(&made, json);
    }
    let id = made.get("id").and_then(Value::as_str).context("the server did not name the pipeline run")?;
    let run = follow_on(connection, folder, project, id, json).await?;
    let state = run.get("state").and_then(Value::as_str).unwrap_or_default();
    let message = run.get("message").and_then(Value::as_str).unwrap_or_default();
    if json {
        println!("{run}");
    } else if state == "failed" {
        eprintln!("error: {message}");
        if let Some(hint) = run.get("hint").and_then(Value::as_str) {
            eprintln!("  hint: {hint}");
        }
    } else if state == "nothing-to-do" {
        println!("nothing to do{}", if message.is_empty() { String::new() } else { format!(": {message}") });
    } else if message.is_empty() {
        println!("{state}");
    } else {
        println!("{message}");
    }
    Ok(ExitCode::from(u8::from(state == "failed")))
}

fn planned(made: &Value, json: bool) -> Result<ExitCode> {
    if json {
        println!("{made}");
        return Ok(ExitCode::SUCCESS);
    }
    let plan = made.get("plan").and_then(Value::as_array).context("the server told no plan")?;
    for new in made.get("waiting").and_then(Value::as_array).into_iter().flatten() {
        let text = |name: &str| new.get(name).and_then(Value::as_str).unwrap_or_default();
        println!("dataset `{}`: {}", text("dataset"), text("message"));
    }
    let rows: Vec<Vec<String>> = plan
        .iter()
        .map(|why| {
            let is_cached = why.get("is_cached").and_then(Value::as_bool).unwrap_or_default();
            let reasons = why
                .get("reasons")
                .and_then(Value::as_array)
                .map(|reasons| reasons.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("; "));
            vec![
                why.get("step").and_then(Value::as_str).unwrap_or_default().to_owned(),
                if is_cached { "up to date" } else { "would run" }.to_owned(),
                reasons.unwrap_or_default(),
            ]
        })
        .collect();
    print!("{}", table(&["step", "", "because"], &rows));
    Ok(ExitCode::SUCCESS)
}

async fn wait_for_canary(client: &Client, project: &str) -> Result<ExitCode> {
    eprintln!("following the canary; Ctrl-C stops following, not the canary");
    loop {
        let endpoints = client.get(&format!("/api/v1/projects/{project}/endpoints")).await?;
        let live = lists::items(&endpoints).iter().any(|endpoint| {
            matches!(endpoint.get("canary_state").and_then(Value::as_str), Some("running" | "waiting"))
        });
        if !live {
            return lists::show(client, project, &Command::Endpoints, false).await;
        }
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    }
}

fn told(answer: &Value, json: bool) -> Result<ExitCode> {
    if json {
        println!("{answer}");
    } else {
        println!("{}", answer.get("message").and_then(Value::as_str).map_or_else(|| answer.to_string(), str::to_owned));
    }
    Ok(ExitCode::SUCCESS)
}

/// The data folder of a project's folder.
pub(crate) fn data_folder(folder: &Path) -> PathBuf {
    std::env::var_os("PERENNIAL_DATA").map_or_else(|| folder.join(".perennial"), PathBuf::from)
}
