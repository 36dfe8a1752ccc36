//! Work that ends the server each time that it is tried: after two deaths it is held, and the server serves the rest.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Place, Server, text};

const BASE: &str = "/api/v1/projects/shops";

/// The longest wait for a state.
const WAIT: Duration = Duration::from_mins(2);

/// Waits until `found` gives something.
fn wait<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(begun.elapsed() < WAIT, "waited in vain until {what}");
        std::thread::yield_now();
    }
}

/// What is held, and the alerts about it.
fn held(server: &Server) -> (Vec<Value>, Vec<Value>) {
    let mut alerts = server.list(&format!("{BASE}/alerts"));
    alerts.retain(|alert| alert.to_string().contains("is held: the server died 2 times while it processed it"));
    (server.list(&format!("{BASE}/held")), alerts)
}

#[test]
fn a_step_during_which_two_servers_were_killed_is_held_and_the_rest_is_served() {
    let place = Place::with_file(
        "[project]\nname = \"shops\"\n\n[datasets.stock]\nsource = { files = \"in/*.csv\" }\n\n\
         [steps.endless]\nsql = \"endless.sql\"\n\n[steps.total]\nsql = \"total.sql\"\n",
    );
    place.write("in/1.csv", "shop,pieces\na,1\nb,2\n");
    place.write("total.sql", "SELECT sum(pieces) AS pieces FROM stock\n");
    place.write(
        "endless.sql",
        "SELECT count(*) AS n FROM stock CROSS JOIN range(0, 1000000) AS a CROSS JOIN range(0, 1000000) AS b \
         WHERE a.value + b.value + stock.pieces < 0\n",
    );
    let mut server = Server::up(&place, &[]);
    let run =
        server.post(&format!("{BASE}/pipeline-runs"), &json!({ "kind": "run" }))["id"].as_str().unwrap().to_owned();
    let shown = |server: &Server| server.get(&format!("{BASE}/pipeline-runs/{run}"));
    let mut attempts: Vec<String> = Vec::new();
    for _ in 0..2 {
        assert!(held(&server).0.is_empty(), "once may be chance");
        // The other step has ended: what a server did beside the cause of its death is counted, too.
        let attempt = wait("another attempt at the step is running alone", || {
            let run = shown(&server);
            let steps = run["steps"].as_array().unwrap();
            let find = |step: &str, state: &str| steps.iter().find(|run| run["step"] == step && run["state"] == state);
            let id = find("endless", "running")?["id"].as_str()?.to_owned();
            (find("total", "succeeded").is_some() && !attempts.contains(&id)).then_some(id)
        });
        attempts.push(attempt);
        server.kill();
        server = Server::up(&place, &[]);
    }
    let ended = wait("the run has ended", || Some(shown(&server)).filter(|run| run["state"] == "failed"));
    let words = ended.to_string();
    assert!(words.contains("step `endless` is held: the server died 2 times while it processed it"), "{words}");
    let (held, alerts) = held(&server);
    assert_eq!((held.len(), alerts.len()), (1, 1), "{held:?} {alerts:?}");
    assert_eq!((&held[0]["kind"], &alerts[0]["state"]), (&json!("step"), &json!("firing")));
    place.good(&["run", "total"]);
    assert_eq!(place.query("SELECT pieces FROM total"), [[3]]);
    // A person releases it, with other SQL it is other work anyway.
    place.good(&["held", "release", held[0]["id"].as_str().unwrap()]);
    place.write("endless.sql", "SELECT count(*) AS n FROM stock\n");
    place.good(&["run"]);
    assert_eq!(place.query("SELECT n FROM endless"), [[2]]);
}

/// Memory of a server beyond what it has when it is idle, bytes. The poison takes more.
const MEMORY_BYTES: u64 = 160 << 20;

/// The memory of the data of a process, bytes.
fn data_bytes(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmData:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// Starts a server that loads files in its own process, with a limit of its memory.
fn up_in_process(place: &Place, memory_bytes: Option<u64>) -> Command {
    let up = place.command(&["up", "--port", "0", "--data-in-process"]);
    let limit = memory_bytes.map_or("unlimited".to_owned(), |bytes| (bytes / 1024).to_string());
    let mut command = Command::new("bash");
    command.args(["-c", "ulimit -d \"$0\"; exec \"$@\"", &limit]).arg(up.get_program()).args(up.get_args());
    command.current_dir(up.get_current_dir().unwrap()).stdin(std::process::Stdio::null());
    for (name, value) in up.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    // Memory that the allocator only reserves would count.
    command.env("MIMALLOC_ARENA_EAGER_COMMIT", "0");
    command
}

/// A Parquet file of some kilobytes with one text of 400 MiB.
fn write_poison(path: &Path) {
    let python = std::env::var_os("PERENNIAL_TEST_PYTHON")
        .expect("PERENNIAL_TEST_PYTHON must name a Python with pyarrow: run the tests by `cargo xtask test`");
    let script = "import sys, pyarrow as pa, pyarrow.parquet as pq\n\
                  table = pa.table({'shop': ['0' * (400 << 20)], 'pieces': [1]})\n\
                  pq.write_table(table, sys.argv[1], compression='zstd', use_dictionary=False, write_statistics=False)\n";
    let output = Command::new(python).args(["-c", script]).arg(path).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
}

#[test]
fn a_file_that_ends_two_servers_is_held_and_the_rest_is_served() {
    let place = Place::with_file(
        "[project]\nname = \"shops\"\n\n[datasets.stock]\nsource = { files = \"in/*.parquet\", settle = \"0 s\" }\n\n\
         [datasets.other]\nsource = { files = \"other/*.csv\", settle = \"0 s\" }\n",
    );
    place.write("other/1.csv", "n\n1\n");
    let data = place.path().join(".perennial");
    let server = Server::start(up_in_process(&place, None), &data);
    place.good(&["run"]);
    let limit = data_bytes(server.child.id()) + MEMORY_BYTES;
    server.kill();
    let poison = place.folder.path().join("poison.parquet");
    write_poison(&poison);
    assert!(std::fs::metadata(&poison).unwrap().len() < 1 << 20);
    place.write("in/1.parquet", std::fs::read(&poison).unwrap());
    for _ in 0..2 {
        let mut server = Server::start(up_in_process(&place, Some(limit)), &data);
        let ended = wait("the file has ended the server", || server.child.try_wait().unwrap());
        assert!(!ended.success(), "{ended}");
        assert!(server.log().contains("memory allocation of"), "{}", server.log());
    }
    let server = Server::start(up_in_process(&place, Some(limit)), &data);
    let (held, alerts) = wait("the file is held", || Some(held(&server)).filter(|(held, _)| !held.is_empty()));
    assert_eq!((held.len(), alerts.len()), (1, 1), "{held:?} {alerts:?}");
    assert_eq!((&held[0]["kind"], &alerts[0]["state"]), (&json!("load"), &json!("firing")));
    assert!(held[0].to_string().contains("file `in/1.parquet` of dataset `stock`"), "{held:?}");
    place.write("other/2.csv", "n\n2\n");
    wait("the other file is loaded", || (place.query("SELECT sum(n) FROM other") == [[json!(3)]]).then_some(()));
}
