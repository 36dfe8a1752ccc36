use std::collections::BTreeMap;
use std::sync::Arc;

use perennial_core::id::RunnerJobId;
use perennial_core::port::runner::{Environment, JobIsolation, JobNetwork, JobSpec, Limits, Runner};
use perennial_testkit::conformance::runner::{Behaviour, RunnerUnderTest};
use perennial_testkit::fakes::{FakeCluster, FakeRunner};
use perennial_testkit::runner_conformance;
use tempfile::TempDir;

/// A server that is connected to a cluster.
struct Connected {
    cluster: Arc<FakeCluster>,
    runner: Arc<dyn Runner>,
    temp: TempDir,
}

impl Connected {
    fn new() -> Self {
        let cluster = Arc::<FakeCluster>::default();
        let runner = Arc::new(FakeRunner::connect(cluster.clone()));
        Self { cluster, runner, temp: TempDir::new().unwrap() }
    }
}

impl RunnerUnderTest for Connected {
    fn runner(&self) -> Arc<dyn Runner> {
        self.runner.clone()
    }

    fn restart(&mut self) {
        self.runner = Arc::new(FakeRunner::connect(self.cluster.clone()));
    }

    fn job(&self, behaviour: Behaviour) -> JobSpec {
        let word = match behaviour {
            Behaviour::Exit(code) => format!("exit:{code}"),
            Behaviour::Print(text) => format!("print:{text}"),
            Behaviour::RunUntilCancelled => "wait".to_owned(),
        };
        let (path, readable) = (Vec::new(), Vec::new());
        JobSpec {
            id: RunnerJobId::generate(),
            argv: vec![word],
            folder: self.temp.path().to_owned(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            env: BTreeMap::new(),
            environment: Environment { digest: "none".to_owned(), lock: None, path, readable, reproducible: true },
            isolation: JobIsolation::Full,
            network: JobNetwork::Full,
            limits: Limits::default(),
            log: self.temp.path().join("log"),
        }
    }

    fn log(&self, job: &JobSpec) -> String {
        std::fs::read_to_string(&job.log).unwrap_or_default()
    }

    fn survives_restart(&self) -> bool {
        true
    }
}

runner_conformance!(Connected::new());
