//! MLflow's own Python client against the server, as a step's command uses it.

use perennial_kernel::access::step_token;
use perennial_tracking::runs::{self, Begin};
use tokio::net::TcpListener;
use tokio::process::Command;

use crate::support::Server;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unmodified_client_logs_into_the_run_of_its_step_and_finds_it() {
    let python = std::env::var("PERENNIAL_TEST_PYTHON").expect(
        "PERENNIAL_TEST_PYTHON must name a Python with mlflow-skinny and pandas: run the tests by `cargo xtask test`",
    );
    let (server, project) = Server::with_project().await;
    let caller = server.test.system();
    let begin = |name: &str| Begin { name: Some(name.to_owned()), ..Begin::default() };
    let (own, _) = runs::create(&caller, project.experiment, begin("train")).await.unwrap();
    let (other, _) = runs::create(&caller, project.experiment, begin("other")).await.unwrap();
    let token = step_token(&caller, (project.id, &project.name), &"train".parse().unwrap(), own.run_id).await.unwrap();

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(perennial_http::serve(
        listener,
        perennial_http::PlainTcp,
        server.router.clone(),
        async move { drop(stopped.await) },
        perennial_http::ServeLimits::default(),
    ));

    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(&python)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../../conformance/mlflow_client.py"))
        .current_dir(folder.path())
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", folder.path())
        .env("MLFLOW_TRACKING_URI", &address)
        .env("MLFLOW_TRACKING_TOKEN", &token.secret)
        .env("MLFLOW_RUN_ID", own.run_id.to_string())
        .env("MLFLOW_EXPERIMENT_ID", project.experiment.to_string())
        .env("OTHER_RUN_ID", other.run_id.to_string())
        .env("ADMIN_TOKEN", &server.admin)
        // It writes into its own environment beside the client, which reads that.
        .env("MLFLOW_DISABLE_TELEMETRY", "true")
        .output()
        .await
        .unwrap_or_else(|error| panic!("PERENNIAL_TEST_PYTHON `{python}` does not start: {error}"));
    let said = String::from_utf8_lossy(&output.stdout);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.ends_with("passed\n"), "{said}\n{complaint}");

    let (run, data) = runs::get(&caller, own.run_id).await.unwrap();
    assert_eq!((run.status.as_str(), data.metrics.len() > 1), ("FINISHED", true));
    let (_, untouched) = runs::get(&caller, other.run_id).await.unwrap();
    assert!(untouched.params.is_empty() && untouched.metrics.is_empty());
    drop(stop);
    serving.await.unwrap();
}
