//! The verbs.

mod doctor;
mod lists;
pub(crate) use lists::{explained, items};
mod send;
mod store;
pub(crate) use store::record_restore;
mod up;
pub(crate) use up::up;
mod wait;

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::CommandFactory;
use perennial_config::{FILE_NAME, Project};
use perennial_core::{Error, ErrorCode};
use serde_json::{Value, json};

use crate::args::{Arguments, Command, Data, Init, Release, Releases, Tokens};
use crate::client::Client;
use crate::follow::follow_on;
use crate::host::{Connection, team_server};
use crate::output::{note, refused, say, table};
use crate::{demo, examples};

/// Runs one command to its end.
/// What is said of pipeline runs that were cut off.
const GIVES_UP: &str = "go on with them, `perennial cancel` gives them up";

pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode> {
    let folder = arguments.project.clone();
    match &arguments.command {
        Command::Init(init) => return start(&folder, init, arguments.json),
        Command::Up(options) => return up(&folder, options).await,
        Command::Demo(options) => return demo::play(options).await,
        Command::Doctor => return doctor::doctor(&folder, arguments.json).await,
        Command::Restore { from } => return store::restore(&folder, from, arguments.json),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Arguments::command(), "perennial", &mut script);
            say!("{}", String::from_utf8(script)?);
            return Ok(ExitCode::SUCCESS);
        }
        _ => {}
    }
    if matches!(arguments.command, Command::Backup { .. }) && team_server().is_none() {
        store::judge_folder(&folder)?;
    }
    let connection = Connection::open(&folder).await?;
    let left = connection.left();
    let goes_on = match &arguments.command {
        Command::Run(options) => !options.dry_run,
        Command::Release(_) | Command::Cancel { .. } => true,
        _ => false,
    };
    if left > 0 && !goes_on {
        note!("interrupted pipeline runs: {left}; `perennial run` and `perennial up` {GIVES_UP}");
    }
    let ended = with_server(&arguments, &connection, &folder).await;
    connection.close().await?;
    ended
}

async fn with_server(arguments: &Arguments, connection: &Connection, folder: &Path) -> Result<ExitCode> {
    let (json, client) = (arguments.json, &connection.client);
    match &arguments.command {
        Command::Check => check(connection, folder, json).await,
        Command::Run(options) if options.dry_run => plan(connection, folder, &options.steps, json).await,
        Command::Run(options) => {
            let project = submitted(connection, folder).await?;
            connection.resume(true).await?;
            if connection.left() > 0 {
                let left = connection.left();
                note!("interrupted releases: {left}; `perennial release` and `perennial up` {GIVES_UP}");
            }
            pipeline((connection, folder), &project, "run", json!({ "steps": options.steps }), json).await
        }
        Command::Release(Release { wait }) if *wait && !connection.stays => {
            let message = "no server is up that would judge the canary";
            Err(refused(ErrorCode::WrongState, message, "start `perennial up` first, or leave `--wait` away"))
        }
        Command::Release(options) => {
            // What was left behind goes on by the file as it is now, or not at all.
            let project = submitted(connection, folder).await?;
            connection.resume(false).await?;
            let before = if options.wait { wait::endpoints(client, &project).await? } else { Vec::new() };
            let code = pipeline((connection, folder), &project, "release", json!({}), json).await?;
            if code == ExitCode::SUCCESS && !connection.stays {
                note!("no server is up: `perennial up` serves what is released, watches and retrains");
            }
            if options.wait && code == ExitCode::SUCCESS {
                wait::follow(client, &project, &before).await?;
            }
            Ok(code)
        }
        Command::Why { step } => plan(connection, folder, std::slice::from_ref(step), json).await,
        Command::Data(Data::Release { load, all }) => {
            let project = named(client, folder).await?;
            told(
                &client
                    .post(&format!("/api/v1/projects/{project}/loads/{load}/release"), &json!({ "all": all }))
                    .await?,
                json,
            )
        }
        Command::Data(Data::Discard { load }) => {
            let project = named(client, folder).await?;
            told(&client.post(&format!("/api/v1/projects/{project}/loads/{load}/discard"), &json!({})).await?, json)
        }
        Command::Cancel { run } => {
            let project = named(client, folder).await?;
            cancel(client, &project, run.as_deref(), json).await
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
        Command::Tokens(Tokens::Create { name, role, on }) => {
            let made = client.post("/api/v1/tokens", &json!({ "name": name, "role": role, "project": on })).await?;
            if json {
                say!("{made}");
            } else {
                say!("{}", made.get("secret").and_then(Value::as_str).unwrap_or_default());
                note!(
                    "shown once; send it as `Authorization: Bearer …`, or set PERENNIAL_TOKEN beside PERENNIAL_SERVER"
                );
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Tokens(Tokens::List) => lists::tokens(&client.get("/api/v1/tokens").await?, json),
        Command::Tokens(Tokens::Revoke { id }) => told(&client.delete(&format!("/api/v1/tokens/{id}")).await?, json),
        Command::LoginLink if !connection.stays => {
            let message = "no server is up that a browser could sign in at";
            Err(refused(ErrorCode::WrongState, message, "start `perennial up` first, then ask for the link beside it"))
        }
        Command::LoginLink => {
            let made = client.post("/api/v1/login-links", &json!({})).await?;
            let link = format!("{}{}", client.base(), made.get("path").and_then(Value::as_str).unwrap_or_default());
            done(&link, &json!({ "link": link }), json)
        }
        Command::Backup { .. } if connection.is_remote => {
            let message = "a backup copies the files beside the server";
            Err(refused(ErrorCode::InvalidArgument, message, "run it where the server runs, without PERENNIAL_SERVER"))
        }
        Command::Backup { to } => store::backup(client, folder, to, json).await,
        other => {
            let project = named(client, folder).await?;
            lists::show(client, &project, other, json).await
        }
    }
}

fn start(project: &Path, init: &Init, json: bool) -> Result<ExitCode> {
    let folder = &if init.folder == Path::new(".") { project.to_owned() } else { project.join(&init.folder) };
    if let Some(example) = init.example {
        examples::write(example, folder)?;
        let message = format!("wrote the example to {0}; next: `perennial -C {0} run`", folder.display());
        return done(&message, &json!({ "folder": folder }), json);
    }
    let file = folder.join(FILE_NAME);
    if file.exists() {
        let message = format!("{} is there already", file.display());
        return Err(refused(
            ErrorCode::AlreadyExists,
            message,
            "`perennial check` judges it; `perennial init DIR` begins elsewhere",
        ));
    }
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    std::fs::write(&file, perennial_config::template())?;
    let ignore = folder.join(".gitignore");
    if !ignore.exists() {
        std::fs::write(ignore, ".perennial/\n")?;
    }
    let message = format!("wrote {}; next: fill it in, then `perennial check`", file.display());
    done(&message, &json!({ "folder": folder }), json)
}

/// Has a host submit its own project file; gives the project's name.
pub(crate) async fn submit(client: &Client) -> Result<String> {
    let project = client.post("/api/v1/projects/submit", &json!({})).await?;
    tell_of(&project);
    project.get("name").and_then(Value::as_str).map(str::to_owned).context("the server did not name the project")
}

/// Prints what a submission is to be told of.
fn tell_of(submitted: &Value) {
    for line in submitted["notes"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        note!("• {line}");
    }
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
                .with_hint("`perennial check` tells what is wrong with it")
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
        .with_hint("`-C DIR` names the project's folder; `perennial run` there makes the project known")
        .into()),
        several => Err(Error::new(
            ErrorCode::NotFound,
            format!("{} holds no `{FILE_NAME}`, and the server shows several projects", folder.display()),
        )
        .with_hint(format!("`-C DIR` names the folder of one: {}", several.join(", ")))
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
        say!("{answer}");
    } else {
        say!("`{FILE_NAME}` holds together");
    }
    Ok(ExitCode::SUCCESS)
}

/// Starts a pipeline run and follows it. A run that failed has not done what was asked for, nor has one that was to
/// bring everything up to date while loads are held; a release has, with the data that there are.
async fn pipeline(
    (connection, folder): (&Connection, &Path),
    project: &str,
    kind: &str,
    options: Value,
    json: bool,
) -> Result<ExitCode> {
    let made = connection
        .client
        .post(&format!("/api/v1/projects/{project}/pipeline-runs"), &json!({ "kind": kind, "options": options }))
        .await?;
    let id = made.get("id").and_then(Value::as_str).context("the server did not name the pipeline run")?;
    if !json {
        note!("pipeline run {id}");
    }
    let run = follow_on(connection, folder, project, (id, kind), json).await?;
    let state = run.get("state").and_then(Value::as_str).unwrap_or_default();
    let message = run.get("message").and_then(Value::as_str).unwrap_or_default();
    if json {
        say!("{run}");
    } else if state == "failed" {
        note!("error: {message}");
    } else if state == "cancelled" {
        note!("error: {message}; what was done stays");
    } else if state == "nothing-to-do" {
        say!("nothing to do{}", if message.is_empty() { String::new() } else { format!(": {message}") });
    } else if message.is_empty() {
        say!("{state}");
    } else {
        say!("{message}");
    }
    if let Some(hint) = run["hint"].as_str().filter(|_| !json) {
        note!("  hint: {hint}");
    }
    let is_held = kind == "run" && run["held"].as_u64().is_some_and(|held| held > 0);
    Ok(ExitCode::from(u8::from(matches!(state, "failed" | "cancelled") || is_held)))
}

/// Stops a pipeline run: the one that is named, else the only one that is not over.
async fn cancel(client: &Client, project: &str, run: Option<&str>, json: bool) -> Result<ExitCode> {
    let base = format!("/api/v1/projects/{project}/pipeline-runs");
    let id = match run {
        Some(run) => run.to_owned(),
        None => {
            let runs = lists::items(&client.get(&base).await?).into_iter();
            let open = runs.filter(|run| matches!(run["state"].as_str(), Some("pending" | "running" | "interrupted")));
            let open: Vec<String> = open.filter_map(|run| run["id"].as_str().map(str::to_owned)).collect();
            match open.as_slice() {
                [] => return done("no pipeline run is under way", &json!({ "cancelled": null }), json),
                [one] => one.clone(),
                many => {
                    let message = format!("{} pipeline runs are not over: {}", many.len(), many.join(", "));
                    return Err(refused(ErrorCode::InvalidArgument, message, "name the one that is to stop"));
                }
            }
        }
    };
    let ended = client.post(&format!("{base}/{id}/cancel"), &json!({})).await?;
    let state = ended["state"].as_str().unwrap_or_default();
    // One that decides and releases by now comes to its own end.
    done(&format!("pipeline run {id} is {state}"), &ended, json)
}

/// Says what would run, and why. Nothing is submitted: whoever only looks changes nothing.
async fn plan(connection: &Connection, folder: &Path, steps: &[String], json: bool) -> Result<ExitCode> {
    let client = &connection.client;
    let made = if connection.is_remote {
        send::plan(client, folder, steps).await?
    } else {
        client.post("/api/v1/plan", &json!({ "steps": steps })).await?
    };
    if json {
        say!("{made}");
        return Ok(ExitCode::SUCCESS);
    }
    let plan = made.get("plan").and_then(Value::as_array).context("the server told no plan")?;
    for new in made.get("waiting").and_then(Value::as_array).into_iter().flatten() {
        let text = |name: &str| new.get(name).and_then(Value::as_str).unwrap_or_default();
        say!("dataset `{}`: {}", text("dataset"), text("message"));
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
    say!("{}", table(&["step", "", "because"], &rows));
    Ok(ExitCode::SUCCESS)
}

fn told(answer: &Value, json: bool) -> Result<ExitCode> {
    let message = answer.get("message").and_then(Value::as_str).map_or_else(|| answer.to_string(), str::to_owned);
    done(&message, answer, json)
}

/// Says that it is done: a line for people, or what a program reads.
fn done(message: &str, answer: &Value, json: bool) -> Result<ExitCode> {
    if json {
        say!("{answer}");
    } else {
        say!("{message}");
    }
    Ok(ExitCode::SUCCESS)
}

/// In `.perennial`: that folder itself and where the data folder is, when it is elsewhere.
const ELSEWHERE: &str = "elsewhere";

/// The data folder of a project's folder: what PERENNIAL_DATA says, else that of the last `up`, else `.perennial`.
pub(crate) fn data_folder(folder: &Path) -> PathBuf {
    let own = folder.join(".perennial");
    let elsewhere = || {
        let note = std::fs::read(own.join(ELSEWHERE)).ok()?;
        let end = note.iter().position(|byte| *byte == b'\n')?;
        // A copy of the folder is another project's, whose data are its own.
        let is_here = own.canonicalize().ok()?.as_os_str().as_bytes() == &note[..end];
        is_here.then(|| OsString::from_vec(note[end + 1..].to_vec()))
    };
    std::env::var_os("PERENNIAL_DATA").or_else(elsewhere).map_or_else(|| own.clone(), PathBuf::from)
}

/// Notes where the data folder of a project's folder is, so that every command there finds it.
fn note_data_folder(folder: &Path, data: &Path) -> Result<()> {
    let own = folder.join(".perennial");
    let (data, note) = (data.canonicalize()?, own.join(ELSEWHERE));
    if data != own.canonicalize().unwrap_or_default() {
        std::fs::create_dir_all(&own)?;
        let own = own.canonicalize()?;
        std::fs::write(note, [own.as_os_str().as_bytes(), b"\n", data.as_os_str().as_bytes()].concat())?;
    } else if note.exists() {
        std::fs::remove_file(note)?;
    }
    Ok(())
}
