//! The data workers of `perennial up`.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::processes;
use crate::s3_server::{ObjectStore, SECRET};
use crate::support::{Place, Server, text};

#[test]
fn a_query_whose_worker_is_killed_may_be_sent_again() {
    let place =
        Place::with_file("[project]\nname = \"shops\"\n\n[datasets.stock]\nsource = { files = \"in/*.csv\" }\n");
    place.write("in/1.csv", "shop,pieces\na,1\n");
    let server = Server::up(&place, &[]);
    place.good(&["run"]);
    let endless = "SELECT count(*) FROM range(0, 1000000) AS a JOIN range(0, 1000000) AS b ON a.value + b.value < 0";
    let url = format!("{}/api/v1/projects/shops/query", server.address);
    let query = server.http().post(url).bearer_auth(&server.token).json(&json!({ "sql": endless, "limit": 10 }));
    let kill = async {
        loop {
            tokio::task::yield_now().await;
            for worker in processes::workers(server.child.id(), "data") {
                if processes::is_busy(worker) {
                    processes::kill(worker);
                }
            }
        }
    };
    let (status, retry_after, answer) = server.block_on(async {
        let answer = tokio::select! {
            answer = query.send() => answer.unwrap(),
            () = kill => unreachable!("it has no end"),
        };
        let retry_after = answer.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
        (answer.status(), retry_after, answer.text().await.unwrap())
    });
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!((status, retry_after.as_deref()), (StatusCode::SERVICE_UNAVAILABLE, Some("1")), "{answer}");
    assert!(answer.to_string().contains("the `data` worker died by signal 9"), "{answer}");
    assert!(answer.to_string().contains("try again"), "{answer}");
    assert_eq!(place.query("SELECT shop, pieces FROM stock"), [[json!("a"), json!(1)]]);
}

#[test]
fn workers_load_and_query_what_is_in_an_object_store_without_its_credentials() {
    let store = ObjectStore::start();
    store.put("perennial/in/1.csv", "id,pieces\n1,10\n2,20\n");
    let place = Place::with_file(
        "[project]\nname = \"shops\"\n\n[datasets.stock]\nsource = { files = \"s3://perennial/in/*.csv\" }\nmode = \"merge\"\n\
         key = [\"id\"]\n\n[steps.total]\nsql = \"total.sql\"\n",
    );
    place.write("total.sql", "SELECT sum(pieces) AS pieces FROM stock\n");
    let up = || {
        let mut command = place.command(&["up", "--port", "0", "--artifacts", "s3://perennial/own"]);
        command.envs(store.variables());
        Server::start(command, &place.path().join(".perennial"))
    };
    let server = up();
    place.good(&["run"]);
    // The second load compares its keys with the table.
    store.put("perennial/in/2.csv", "id,pieces\n2,25\n3,30\n");
    place.good(&["run"]);
    assert_eq!(place.query("SELECT id, pieces FROM stock ORDER BY id"), [[1, 10], [2, 25], [3, 30]]);
    assert_eq!(place.query("SELECT pieces FROM total"), [[65]]);
    assert!(!place.path().join(".perennial/tables").exists(), "the tables are in the bucket");

    let workers = processes::workers(server.child.id(), "data");
    assert!(workers.len() >= 2, "one for queries, one for loads: {workers:?}");
    for worker in workers {
        let arguments = std::fs::read_to_string(format!("/proc/{worker}/cmdline")).unwrap();
        assert_eq!(arguments, "perennial\0__worker\0data\0");
        // Hidden from other processes of the same user; an administrator may read it.
        if let Ok(variables) = std::fs::read_to_string(format!("/proc/{worker}/environ")) {
            assert!(!variables.contains("AWS_") && !variables.contains(SECRET), "{variables}");
        }
    }
    for own in ["s3://perennial/own/tables/shops/stock", "s3://perennial/in/1.csv"] {
        let refused = place.run(&["data", "query", &format!("SELECT * FROM '{own}'")]);
        assert!(text(&refused.stderr).contains("does not exist"), "{refused:?}");
    }
    drop(server);
    let _server = up();
    assert_eq!(place.query("SELECT sum(pieces) FROM stock"), [[65]], "after a restart");
    assert!(place.good(&["verify"]).contains("is intact"));
}
