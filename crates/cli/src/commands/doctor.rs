//! `perennial doctor`: what the machine has, what is missing, and what to do.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::Result;
use perennial_core::id::RunnerJobId;
use perennial_core::port::runner;
use perennial_runners::{LocalPaths, LocalRunner};
use perennial_store::{Schema, Store, unreadable};
use perennial_worker::ControlGroups;
use serde_json::{Value, json};

use crate::client::{Client, ErrorResponse};
use crate::commands::items;
use crate::connection::team_server;
use crate::data_folder;
use crate::database;
use crate::embedded_server::{ServerFile, try_lock};
use crate::output::{cell, say, table};

/// One line of the report.
struct Finding {
    part: &'static str,
    state: &'static str,
    found: String,
    next: String,
}

pub(crate) async fn doctor(folder: &Path, json: bool) -> Result<ExitCode> {
    let mut findings = vec![
        program("python", &["python3", "python"], "steps in Python need it: install Python 3"),
        program(
            "uv",
            &["uv"],
            "creates the environments of `env = \"uv:…\"` faster than Python's venv module, which is used without it: `pip install uv`",
        ),
        onnx_runtime(),
        isolation().await,
        memory_limits(folder),
        disk(folder),
        project(folder),
        open_files(),
    ];
    findings.extend(rows(folder).await);
    // A server that runs may use another database than this command would.
    match running_server(folder) {
        Some((data, file)) => findings.extend(own_server(&data, &file).await),
        None => {
            findings.push(database().await);
            findings.push(artifacts().await);
        }
    }
    findings.extend(server().await);
    if json {
        let report: Vec<_> = findings
            .iter()
            .map(|f| json!({ "part": f.part, "state": f.state, "found": f.found, "next": f.next }))
            .collect();
        say!("{}", json!(report));
    } else {
        let rows: Vec<Vec<String>> = findings
            .iter()
            .map(|f| vec![f.part.to_owned(), f.state.to_owned(), f.found.clone(), f.next.clone()])
            .collect();
        say!("{}", table(&["part", "", "found", "next"], &rows));
    }
    Ok(ExitCode::from(u8::from(findings.iter().any(|finding| finding.state == "wrong"))))
}

fn program(part: &'static str, names: &[&str], next: &str) -> Finding {
    for name in names {
        if let Ok(output) = Command::new(name).arg("--version").output() {
            let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            return Finding { part, state: "found", found: text, next: String::new() };
        }
    }
    Finding { part, state: "missing", found: String::new(), next: next.to_owned() }
}

fn onnx_runtime() -> Finding {
    match perennial_serving::find_library() {
        Some(path) => {
            Finding { part: "ONNX Runtime", state: "found", found: path.display().to_string(), next: String::new() }
        }
        None => Finding {
            part: "ONNX Runtime",
            state: "missing",
            found: "classical models do not need it".to_owned(),
            next: "for other models: `pip install onnxruntime`, then set ORT_DYLIB_PATH".to_owned(),
        },
    }
}

async fn isolation() -> Finding {
    let (state, found, next) = match isolated().await {
        Ok(isolation) if isolation.contains("own network") => ("found", isolation, String::new()),
        Ok(isolation) if isolation != "none" => (
            "found",
            isolation,
            "steps with `network = \"server\"` reach the server's port at other addresses, too, and need Linux 6.7: permit \
             namespaces of users (`sysctl user.max_user_namespaces`), and `unshare` in a container"
                .to_owned(),
        ),
        Ok(_) => (
            "missing",
            "the kernel has no Landlock".to_owned(),
            "commands run steps without isolation, and their records contain `isolation = none`; `perennial up` refuses \
             steps unless it is started with `--allow-unisolated-steps`"
                .to_owned(),
        ),
        Err(error) => ("wrong", format!("{error:#}"), "steps cannot be started on this machine".to_owned()),
    };
    Finding { part: "isolation", state, found, next }
}

/// How the memory of steps and workers is limited by the running server, or by one that is started as this command.
fn memory_limits(folder: &Path) -> Finding {
    let server = running_server(folder).map_or_else(std::process::id, |(_, file)| file.pid);
    let (found, next) = match ControlGroups::probe(server) {
        Ok(group) => (format!("control groups below {}", group.display()), String::new()),
        Err(reason) => (
            format!("by process: {reason}"),
            "a server whose control group is delegated to it, as by `Delegate=memory` in its unit of systemd, bounds all \
             memory of a step exactly"
                .to_owned(),
        ),
    };
    Finding { part: "memory limits", state: "found", found, next }
}

/// The isolation of steps, found by running a command as a step whose network is a server.
async fn isolated() -> Result<String> {
    let place = tempfile::tempdir()?;
    let folder = place.path().join("work");
    std::fs::create_dir(&folder)?;
    let launcher = std::env::current_exe()?;
    let (jobs, cache) = (place.path().join("jobs"), place.path().join("cache"));
    let paths = LocalPaths { launcher: &launcher, jobs: &jobs, cache: &cache, programs: "" };
    let local = LocalRunner::new(paths).may_run_unisolated(true);
    let (path, readable) = (Vec::new(), Vec::new());
    let job = runner::JobSpec {
        id: RunnerJobId::generate(),
        argv: vec!["true".to_owned()],
        folder,
        inputs: Vec::new(),
        outputs: Vec::new(),
        env: BTreeMap::new(),
        environment: runner::Environment { digest: "none".to_owned(), lock: None, path, readable, reproducible: false },
        isolation: runner::JobIsolation::Full,
        network: runner::JobNetwork::Server("http://127.0.0.1:7600".to_owned()),
        limits: runner::Limits::default(),
        log: place.path().join("log"),
    };
    Ok(runner::run_to_end(&local, job).await?.outcome()?.isolation)
}

/// The server that runs over the data folder of this project folder.
fn running_server(folder: &Path) -> Option<(PathBuf, ServerFile)> {
    let data = data_folder::of(&folder.canonicalize().ok()?);
    let file = ServerFile::read(&data)?;
    let is_alive = rustix::process::Pid::from_raw(file.pid as i32)
        .is_some_and(|pid| rustix::process::test_kill_process(pid).is_ok());
    is_alive.then_some((data, file))
}

/// What the running server uses, and whether it is ready.
async fn own_server(data: &Path, file: &ServerFile) -> Vec<Finding> {
    let ready = async { Client::local(data, &file.address)?.get("/ready").await };
    let (pid, address) = (file.pid, &file.address);
    let server = match ready.await {
        Ok(_) => Finding {
            part: "server",
            state: "found",
            found: format!("process {pid} at {address}, ready"),
            next: String::new(),
        },
        Err(error) => {
            let hint = error.downcast_ref::<ErrorResponse>().and_then(|response| response.hint.clone());
            Finding {
                part: "server",
                state: "wrong",
                found: format!("process {pid} at {address}: {error:#}"),
                next: hint.unwrap_or_else(|| "its log has the cause".to_owned()),
            }
        }
    };
    let used = |part, what: &str| Finding {
        part,
        state: "found",
        found: format!("{what}, used by the running server"),
        next: String::new(),
    };
    vec![server, used("database", &file.database), used("artifacts", &file.artifacts)]
}

/// Where a server that is started here would store blobs and datasets, and whether that answers.
async fn artifacts() -> Finding {
    let Ok(location) = std::env::var("PERENNIAL_ARTIFACTS") else {
        let found = "in the data folder".to_owned();
        return Finding { part: "artifacts", state: "found", found, next: String::new() };
    };
    match perennial_server::probe_artifacts(&location).await {
        Ok(()) => Finding { part: "artifacts", state: "found", found: location, next: String::new() },
        Err(error) => Finding {
            part: "artifacts",
            state: "wrong",
            found: error.message().to_owned(),
            next: "check PERENNIAL_ARTIFACTS, and the endpoint and credentials of the object store".to_owned(),
        },
    }
}

/// The team's server, if one is configured: whether it answers and accepts the token.
async fn server() -> Option<Finding> {
    let server = team_server()?;
    let Ok(token) = std::env::var("PERENNIAL_TOKEN") else {
        return Some(Finding {
            part: "team server",
            state: "wrong",
            found: "PERENNIAL_SERVER is set but PERENNIAL_TOKEN is not".to_owned(),
            next: "`perennial tokens create NAME` on the server's machine creates a token".to_owned(),
        });
    };
    let asked = async { Client::remote(&server, &token)?.get("/api/v1/projects").await };
    Some(match asked.await {
        Ok(_) => Finding { part: "team server", state: "found", found: server, next: String::new() },
        Err(error) => Finding {
            part: "team server",
            state: "wrong",
            found: format!("{error:#}"),
            next: "check PERENNIAL_SERVER and PERENNIAL_TOKEN".to_owned(),
        },
    })
}

fn disk(folder: &Path) -> Finding {
    let data = data_folder::of(folder);
    let place = if data.exists() { data.clone() } else { folder.to_path_buf() };
    match rustix::fs::statvfs(&place).map(|disk| disk.f_bavail * disk.f_frsize) {
        Ok(bytes) if bytes < 2 * 1024 * 1024 * 1024 => Finding {
            part: "disk",
            state: "wrong",
            found: format!("{} MB free for {}", bytes / 1_000_000, data.display()),
            next: "free at least 2 GB".to_owned(),
        },
        Ok(bytes) => Finding {
            part: "disk",
            state: "found",
            found: format!("{:.1} GB free for {}", bytes as f64 / 1e9, data.display()),
            next: String::new(),
        },
        Err(error) => Finding {
            part: "disk",
            state: "wrong",
            found: error.to_string(),
            next: "make the project folder readable".to_owned(),
        },
    }
}

fn project(folder: &Path) -> Finding {
    if folder.join(perennial_config::FILE_NAME).is_file() {
        return Finding {
            part: "project file",
            state: "found",
            found: perennial_config::FILE_NAME.to_owned(),
            next: "`perennial check` validates it".to_owned(),
        };
    }
    Finding {
        part: "project file",
        state: "missing",
        found: String::new(),
        next: "`perennial init` writes one; `-C DIR` names another folder".to_owned(),
    }
}

async fn database() -> Finding {
    let url = match database::from_environment() {
        Ok(Some(url)) => url,
        Ok(None) => {
            return Finding {
                part: "database",
                state: "found",
                found: "SQLite in the data folder".to_owned(),
                next: String::new(),
            };
        }
        Err(error) => {
            return Finding {
                part: "database",
                state: "wrong",
                found: format!("{error:#}"),
                next: "check PERENNIAL_DATABASE_FILE".to_owned(),
            };
        }
    };
    let schema = async {
        let store = perennial_store::Store::connect(&url, perennial_store::Options::default()).await?;
        Ok::<_, perennial_store::Error>((store.dialect(), store.schema().await?))
    };
    match schema.await {
        Ok((dialect, schema)) => Finding {
            part: "database",
            state: "found",
            found: match schema {
                Schema::Empty => format!("{dialect}, empty"),
                Schema::Older(migration) => format!("{dialect}, tables of an earlier version (migration {migration})"),
                Schema::Current => dialect.to_owned(),
            },
            next: match schema {
                Schema::Current => String::new(),
                Schema::Empty | Schema::Older(_) => {
                    "the next start of a server brings the tables up to date".to_owned()
                }
            },
        },
        Err(error) => Finding {
            part: "database",
            state: "wrong",
            found: perennial_core::Error::from(error).chain(),
            next: "check PERENNIAL_DATABASE".to_owned(),
        },
    }
}

/// Rows of the metadata that cannot be read: those of the running server, else of the database in the data folder.
async fn rows(folder: &Path) -> Option<Finding> {
    let part = "metadata rows";
    let unreadable = match unreadable_rows(folder).await {
        Ok(unreadable) => unreadable?,
        Err(error) => {
            let next = "the database has to answer before its rows can be checked".to_owned();
            return Some(Finding { part, state: "wrong", found: format!("{error:#}"), next });
        }
    };
    Some(match unreadable.as_slice() {
        [] => Finding { part, state: "found", found: "all can be read".to_owned(), next: String::new() },
        [first, rest @ ..] => Finding {
            part,
            state: "wrong",
            found: match rest.len() {
                0 => format!("{first} cannot be read and is set aside"),
                more => format!("{first} and {more} more cannot be read and are set aside"),
            },
            next: "restore a backup, or correct the rows: everything else is served".to_owned(),
        },
    })
}

/// The unreadable rows, each as table and key; `None` where there is no metadata yet.
async fn unreadable_rows(folder: &Path) -> Result<Option<Vec<String>>> {
    let data = data_folder::of(folder);
    let client = match (team_server(), ServerFile::read(&data)) {
        // Its `server` line says whether it answers.
        (Some(_), _) => return Ok(None),
        (None, Some(file)) => Some(Client::local(&data, &file.address)?),
        (None, None) => None,
    };
    if let Some(client) = client
        && let Ok(answer) = client.get("/api/v1/unreadable-rows").await
    {
        let text = |row: &Value| format!("`{}` of `{}`", cell(&row["key"]), cell(&row["table"]));
        return Ok(Some(items(&answer).iter().map(text).collect()));
    }
    let file = data.join("metadata.sqlite");
    let url = match database::from_environment()? {
        Some(url) => url,
        None if file.is_file() => format!("sqlite://{}", file.display()),
        None => return Ok(None),
    };
    let _lock = try_lock(&data)?;
    let store = Store::connect(&url, perennial_store::Options::default()).await?;
    if store.schema().await? != Schema::Current {
        return Ok(None);
    }
    let found = unreadable::list(&mut *store.read().await?).await?;
    store.close().await?;
    Ok(Some(found.iter().map(|row| format!("`{}` of `{}`", row.key, row.table)).collect()))
}

fn open_files() -> Finding {
    let text = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let limit = text
        .lines()
        .find(|line| line.starts_with("Max open files"))
        .and_then(|line| line.split_whitespace().nth(3)?.parse::<u64>().ok());
    match limit {
        Some(limit) if limit < 1024 => Finding {
            part: "open files",
            state: "wrong",
            found: limit.to_string(),
            next: "`ulimit -n 4096`".to_owned(),
        },
        Some(limit) => Finding { part: "open files", state: "found", found: limit.to_string(), next: String::new() },
        None => Finding {
            part: "open files",
            state: "found",
            found: "the system does not report a limit".to_owned(),
            next: String::new(),
        },
    }
}
