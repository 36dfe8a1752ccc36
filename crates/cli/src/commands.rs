//! Dispatches the commands.

mod doctor;
mod init;
mod lists;
pub(crate) use lists::{explained, items};
mod outcome;
mod pipeline;
mod store;
mod up;
pub(crate) use up::up;
mod upload;
mod verify;
mod wait;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::CommandFactory;
use perennial_config::{FILE_NAME, Project};
use perennial_core::{Error, ErrorCode};
use serde_json::{Value, json};

use self::pipeline::RESUME_OR_CANCEL;
use crate::args::{Arguments, Command, Data, Held, PrefixOf, Principals, Releases, RoleOf, Sources, Tokens};
use crate::client::Client;
use crate::connection::{Connection, team_server};
use crate::demo;
use crate::output::{note, say, user_error};

/// Runs one command to its end.
pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode> {
    let folder = arguments.project.clone();
    // `init` writes files that a team shares; all other files are data.
    if !matches!(arguments.command, Command::Init(_)) {
        perennial_server::data_folder::keep_files_private();
    }
    match &arguments.command {
        Command::Init(options) => return init::init(&folder, options, arguments.json),
        Command::Up(options) => return up(&folder, options).await,
        Command::Demo(options) => return demo::play(options).await,
        Command::Doctor => return doctor::doctor(&folder, arguments.json).await,
        Command::Restore { from } => return store::restore(&folder, from, arguments.json),
        Command::Completions { shell } => return completions(*shell),
        Command::Backup { .. } if team_server().is_none() => store::check_data_folder(&folder)?,
        _ => {}
    }
    let connection = Connection::open(&folder).await?;
    let interrupted = connection.interrupted();
    let resumes = match &arguments.command {
        Command::Run(options) => !options.dry_run,
        Command::Release(_) | Command::Cancel { .. } => true,
        _ => false,
    };
    if interrupted > 0 && !resumes {
        note!("interrupted pipeline runs: {interrupted}; `perennial run` and `perennial up` {RESUME_OR_CANCEL}");
    }
    let ended = with_server(&arguments, &connection, &folder).await;
    connection.close().await?;
    ended
}

async fn with_server(arguments: &Arguments, connection: &Connection, folder: &Path) -> Result<ExitCode> {
    let (json, client) = (arguments.json, &connection.client);
    match &arguments.command {
        Command::Check => check(connection, folder, json).await,
        Command::Run(options) if options.dry_run => pipeline::plan(connection, folder, &options.steps, json).await,
        Command::Run(options) => pipeline::run(connection, folder, &options.steps, json).await,
        Command::Release(options) => pipeline::release(connection, folder, options, json).await,
        Command::Why { step } => pipeline::plan(connection, folder, std::slice::from_ref(step), json).await,
        Command::Tokens(verb) => tokens(client, verb, json).await,
        Command::Principals(verb) => principals(client, verb, json).await,
        Command::Sources(verb) => sources(client, verb, json).await,
        Command::Verify { head } => verify::verify(client, folder, head.as_deref(), json).await,
        Command::Approvals => lists::approvals(&client.get("/api/v1/approvals").await?, json),
        Command::LoginLink => login_link(connection, json).await,
        Command::Backup { to } => backup(connection, folder, to, json).await,
        other => {
            let project = project_name(client, folder).await?;
            with_project(client, &project, other, json).await
        }
    }
}

/// Commands on the project of the folder that submit nothing.
async fn with_project(client: &Client, project: &str, command: &Command, json: bool) -> Result<ExitCode> {
    let base = format!("/api/v1/projects/{project}");
    let answer = match command {
        Command::Cancel { run } => return pipeline::cancel(client, project, run.as_deref(), json).await,
        Command::Data(Data::Accept { load, all }) => {
            client.post(&format!("{base}/loads/{load}/accept"), &json!({ "all": all })).await?
        }
        Command::Data(Data::Reject { load }) => client.post(&format!("{base}/loads/{load}/reject"), &json!({})).await?,
        Command::Held { verb: Some(Held::Release { id }) } => {
            client.post(&format!("{base}/held/{id}/release"), &json!({})).await?
        }
        Command::Held { verb: Some(Held::Cancel { id }) } => {
            client.post(&format!("{base}/held/{id}/cancel"), &json!({})).await?
        }
        Command::Rollback { endpoint, reason } => {
            client.post(&format!("{base}/endpoints/{endpoint}/rollback"), &json!({ "reason": reason })).await?
        }
        Command::Releases { verb: Some(Releases::Approve { digest, role, note }) } => {
            let approval = json!({ "role": role, "note": note });
            client.post(&format!("{base}/releases/{digest}/approve"), &approval).await?
        }
        Command::Releases { verb: Some(Releases::Reject { digest, reason }) } => {
            client.post(&format!("{base}/releases/{digest}/reject"), &json!({ "reason": reason })).await?
        }
        other => return lists::show(client, project, other, json).await,
    };
    show_message(&answer, json)
}

fn completions(shell: clap_complete::Shell) -> Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "perennial", &mut script);
    say!("{}", String::from_utf8(script)?);
    Ok(ExitCode::SUCCESS)
}

async fn check(connection: &Connection, folder: &Path, json: bool) -> Result<ExitCode> {
    let client = &connection.client;
    let answer = if connection.is_remote {
        upload::check(client, folder).await?
    } else {
        client.post("/api/v1/check", &json!({})).await?
    };
    done(&format!("`{FILE_NAME}` is valid"), &answer, json)
}

async fn tokens(client: &Client, verb: &Tokens, json: bool) -> Result<ExitCode> {
    match verb {
        Tokens::Create { name, role, on } => {
            let created = client.post("/api/v1/tokens", &json!({ "name": name, "role": role, "project": on })).await?;
            let secret = created.get("secret").and_then(Value::as_str).unwrap_or_default().to_owned();
            if !json {
                note!(
                    "this token is shown only once; send it as `Authorization: Bearer TOKEN`, or set PERENNIAL_TOKEN and PERENNIAL_SERVER"
                );
            }
            done(&secret, &created, json)
        }
        Tokens::List => lists::tokens(&client.get("/api/v1/tokens").await?, json),
        Tokens::Revoke { id } => show_message(&client.delete(&format!("/api/v1/tokens/{id}")).await?, json),
    }
}

async fn principals(client: &Client, verb: &Principals, json: bool) -> Result<ExitCode> {
    let answer = match verb {
        Principals::List => return lists::principals(&client.get("/api/v1/principals").await?, json),
        Principals::Grant(RoleOf { name, role, on }) => {
            client.post(&format!("/api/v1/principals/{name}/grants"), &json!({ "role": role, "project": on })).await?
        }
        Principals::Revoke(RoleOf { name, role, on }) => {
            let project = on.as_ref().map(|project| format!("&project={project}")).unwrap_or_default();
            client.delete(&format!("/api/v1/principals/{name}/grants?role={role}{project}")).await?
        }
    };
    show_message(&answer, json)
}

async fn sources(client: &Client, verb: &Sources, json: bool) -> Result<ExitCode> {
    let path = |project: &str| format!("/api/v1/projects/{project}/source-grants");
    let answer = match verb {
        Sources::List { project } => return lists::source_grants(&client.get(&path(project)).await?, json),
        Sources::Allow(PrefixOf { project, prefix }) => {
            client.post(&path(project), &json!({ "prefix": prefix })).await?
        }
        Sources::Deny(PrefixOf { project, prefix }) => {
            let url = reqwest::Url::parse_with_params("http://localhost/", [("prefix", prefix)])?;
            client.delete(&format!("{}?{}", path(project), url.query().unwrap_or_default())).await?
        }
    };
    show_message(&answer, json)
}

async fn login_link(connection: &Connection, json: bool) -> Result<ExitCode> {
    if !connection.is_persistent {
        let message = "no server is running that a browser could sign in to";
        let hint = "start `perennial up` first, then run this command in another terminal";
        return Err(user_error(ErrorCode::WrongState, message, hint));
    }
    let client = &connection.client;
    let created = client.post("/api/v1/login-links", &json!({})).await?;
    // A team's server is reached at the address that this command used.
    let address = created["address"].as_str().filter(|_| !connection.is_remote).unwrap_or_else(|| client.base());
    let link = format!("{address}{}", created.get("path").and_then(Value::as_str).unwrap_or_default());
    done(&link, &json!({ "link": link }), json)
}

async fn backup(connection: &Connection, folder: &Path, to: &Path, json: bool) -> Result<ExitCode> {
    if connection.is_remote {
        let message = "a backup copies files on the server's machine";
        let hint = "run this command on that machine, without PERENNIAL_SERVER";
        return Err(user_error(ErrorCode::InvalidArgument, message, hint));
    }
    store::backup(&connection.client, folder, to, json).await
}

/// Lets an embedded server submit the project of its own folder; gives the name of the project.
pub(crate) async fn submit(client: &Client) -> Result<String> {
    let project = client.post("/api/v1/projects/submit", &json!({})).await?;
    show_notes(&project);
    project.get("name").and_then(Value::as_str).map(str::to_owned).context("the server did not name the project")
}

/// Shows the notes in the response to a submission.
fn show_notes(submitted: &Value) {
    for line in submitted["notes"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        note!("• {line}");
    }
}

/// Submits the project of the folder, after an upload if the server is a team's; gives the name of the project.
async fn submitted(connection: &Connection, folder: &Path) -> Result<String> {
    if connection.is_remote {
        upload::submit(&connection.client, folder).await
    } else {
        submit(&connection.client).await
    }
}

/// The name of the project in the folder's project file; without a file, the only project that the server shows.
/// This submits nothing.
///
/// # Errors
/// If the file has no name, or if there is no file and the server does not show exactly one project.
async fn project_name(client: &Client, folder: &Path) -> Result<String> {
    let file = folder.join(FILE_NAME);
    if file.is_file() {
        let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let name = Project::name_in(&text).ok_or_else(|| {
            Error::new(ErrorCode::ProjectFile, format!("{} has no `name` under `[project]`", file.display()))
                .with_hint("`perennial check` lists the mistakes in the file")
        })?;
        return Ok(name.to_string());
    }
    let listed = lists::items(&client.get("/api/v1/projects").await?);
    let shown: Vec<&str> = listed
        .iter()
        .filter(|project| project.get("file_digest").is_some_and(Value::is_string))
        .filter_map(|project| project.get("name")?.as_str())
        .collect();
    let (found, hint) = match shown.as_slice() {
        [only] => return Ok((*only).to_owned()),
        [] => (
            "no project",
            "`-C DIR` names the project folder; `perennial run` in that folder submits the project".to_owned(),
        ),
        several => ("several projects", format!("`-C DIR` names the folder of one of them: {}", several.join(", "))),
    };
    let message = format!("{} contains no `{FILE_NAME}`, and the server shows {found}", folder.display());
    Err(user_error(ErrorCode::NotFound, message, &hint))
}

/// Prints the message of a response.
fn show_message(answer: &Value, json: bool) -> Result<ExitCode> {
    let message = answer.get("message").and_then(Value::as_str).map_or_else(|| answer.to_string(), str::to_owned);
    done(&message, answer, json)
}

/// Prints the result of a successful command: a line, or the JSON value.
fn done(message: &str, answer: &Value, json: bool) -> Result<ExitCode> {
    if json {
        say!("{answer}");
    } else {
        say!("{message}");
    }
    Ok(ExitCode::SUCCESS)
}
