use std::path::Path;
use std::sync::Arc;

use perennial_core::port::runner::{JobSpec, Runner};
use perennial_testkit::conformance::runner::{Behaviour, RunnerUnderTest};
use perennial_testkit::runner_conformance;

use crate::TestStep;

/// The local runner, with one folder for all jobs.
struct Local {
    step: TestStep,
    runner: Option<Arc<dyn Runner>>,
}

impl Local {
    fn new() -> Self {
        let step = TestStep::new();
        let runner: Arc<dyn Runner> = Arc::new(step.runner());
        Self { step, runner: Some(runner) }
    }
}

impl RunnerUnderTest for Local {
    fn runner(&self) -> Arc<dyn Runner> {
        self.runner.clone().unwrap()
    }

    fn restart(&mut self) {
        let runner = self.runner.take().unwrap();
        assert_eq!(Arc::strong_count(&runner), 1, "a restart drops the runner");
        drop(runner);
        self.runner = Some(Arc::new(self.step.runner()));
    }

    fn job(&self, behaviour: Behaviour) -> JobSpec {
        match behaviour {
            Behaviour::Exit(code) => self.step.probe(&["exit", &code.to_string()]),
            Behaviour::Print(text) => self.step.job(&["echo", text]),
            Behaviour::RunUntilCancelled => self.step.probe(&["sleep"]),
        }
    }

    fn log(&self, job: &JobSpec) -> String {
        std::fs::read_to_string(Path::new(&job.log)).unwrap_or_default()
    }

    fn survives_restart(&self) -> bool {
        false
    }
}

runner_conformance!(Local::new());
