//! The worker processes of one model.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, available_parallelism};
use std::time::{Duration, Instant};

use perennial_core::model::PredictError;
use perennial_core::port::model::ModelFiles;
use perennial_core::{Error, ErrorCode, Result};
use perennial_worker::{ControlGroups, Message, Requirement, Stopper, Worker, WorkerSpec};

use super::pool::Pool;
use super::protocol::{Binding, Call, Description};
use super::session::{NAME, Parameters};

/// Workers of one model. A worker computes one request at a time.
const WORKERS_MAX: usize = 4;

/// A larger model file gets one worker, because each worker holds a copy of the weights.
const SEVERAL_WORKERS_BYTES: u64 = 32 << 20;

/// Longest pause before a worker is started again after several have died.
const PAUSE_MAX: Duration = Duration::from_mins(1);

/// Workers that die one after the other before the model counts as one that computes nothing.
const DEATHS_OF_FAULT: u32 = 2;

/// How long a model counts as one that computes nothing after the last death: later requests may find out otherwise.
const FAULT_TIME: Duration = Duration::from_mins(5);

/// Memory that a worker may use for each byte of its model file: the file, its weights, and their packed copy.
const MEMORY_PER_MODEL_BYTE: u64 = 4;

/// Limit of an answer of a worker, bytes.
const ANSWER_MAX_BYTES: u64 = 256 << 20;

/// Limits of the workers of a model.
#[derive(Debug, Clone, Copy)]
pub struct WorkerLimits {
    /// Time to load a model.
    pub load: Duration,
    /// Time to compute the rows of one call.
    pub run: Duration,
    /// Time that a request waits for a worker while others use all of them.
    pub wait: Duration,
    /// Memory of a worker beside its model, bytes: the runtime, and the tensors that it computes.
    pub memory_bytes: u64,
}

impl Default for WorkerLimits {
    fn default() -> Self {
        Self {
            load: Duration::from_mins(2),
            run: Duration::from_secs(30),
            wait: Duration::from_secs(10),
            memory_bytes: 2 << 30,
        }
    }
}

/// What the workers of all models are started with.
#[derive(Debug, Clone)]
pub struct WorkerOptions {
    /// The binary that has [`MODEL_ROLE`](crate::MODEL_ROLE).
    pub program: PathBuf,
    /// Their limits.
    pub limits: WorkerLimits,
    /// Whether a worker starts only where the kernel can isolate it.
    pub requirement: Requirement,
    /// Where workers get control groups.
    pub control_groups: Option<ControlGroups>,
}

impl Default for WorkerOptions {
    /// Workers of this binary, which start only where the kernel can isolate them.
    fn default() -> Self {
        Self {
            program: PathBuf::from("/proc/self/exe"),
            limits: WorkerLimits::default(),
            requirement: Requirement::Isolated,
            control_groups: None,
        }
    }
}

/// The worker processes of one model, and what they are started from.
pub(super) struct ModelWorkers {
    shared: Arc<Shared>,
    pool: Arc<Pool<Slot>>,
}

struct Shared {
    spec: Arc<WorkerSpec>,
    /// The model. They stay on disk, because a new worker loads them again.
    files: ModelFiles,
    binding: Binding,
    limits: WorkerLimits,
    deaths: Mutex<Deaths>,
    running: Mutex<Running>,
}

/// The calls that run.
#[derive(Default)]
struct Running {
    stoppers: Vec<(u64, Stopper)>,
    /// Calls so far.
    calls: u64,
    /// How often all calls were interrupted. A request that waited for a worker meanwhile does not begin.
    interruptions: u64,
}

/// Workers that died one after the other, without a success between.
#[derive(Default)]
struct Deaths {
    count: u32,
    cause: String,
    /// The last one.
    last: Option<Instant>,
    /// When the next worker may start.
    until: Option<Instant>,
}

/// The place of a worker, which starts when it is needed.
struct Slot(Option<Worker>);

impl Drop for Slot {
    /// Ends the worker on a thread of its own: the end of a process takes milliseconds.
    fn drop(&mut self) {
        if let Some(worker) = self.0.take() {
            // Without a thread, the closure and so the worker is dropped here.
            let _ = thread::Builder::new().spawn(move || drop(worker));
        }
    }
}

/// A worker that has loaded a model and is not bound yet.
pub(super) struct LoadedWorker {
    spec: Arc<WorkerSpec>,
    limits: WorkerLimits,
    worker: Worker,
    pub(super) description: Description,
}

/// Why a worker has not loaded a model.
pub(super) enum LoadFailure {
    /// ONNX Runtime refused the model, or no worker can start.
    Refused(Error),
    /// The worker died: the model is dangerous to load again.
    Died(perennial_worker::Error),
}

impl From<perennial_worker::Error> for LoadFailure {
    fn from(error: perennial_worker::Error) -> Self {
        match error {
            perennial_worker::Error::Refused(error) => Self::Refused(error),
            other => Self::Died(other),
        }
    }
}

impl From<LoadFailure> for Error {
    fn from(failure: LoadFailure) -> Self {
        match failure {
            LoadFailure::Refused(error) => error,
            LoadFailure::Died(error) => error.into(),
        }
    }
}

/// Starts a worker and loads a model. Blocks.
pub(super) fn load(options: &WorkerOptions, library: &Path, files: &ModelFiles) -> Result<LoadedWorker, LoadFailure> {
    let (limits, spec) = (options.limits, spec(options, library, files).map_err(LoadFailure::Refused)?);
    let spec = Arc::new(spec);
    let mut worker = Worker::start(spec.clone()).map_err(|error| LoadFailure::Refused(error.into()))?;
    let description = load_into(&mut worker, files, limits)?;
    Ok(LoadedWorker { spec, limits, worker, description })
}

/// The error of a prediction that a retry may complete.
fn unavailable(code: ErrorCode, message: &str) -> PredictError {
    PredictError::Runtime(Error::new(code, message).with_hint("try again in a moment"))
}

fn spec(options: &WorkerOptions, library: &Path, files: &ModelFiles) -> Result<WorkerSpec> {
    let failed = |error| Error::internal(format!("cannot read model file `{}`", files.onnx), error);
    let model_bytes = fs::metadata(files.onnx_path()).map_err(failed)?.len();
    let mut spec = WorkerSpec::new(NAME);
    spec.program.clone_from(&options.program);
    let library = library.canonicalize().unwrap_or_else(|_| library.to_owned());
    spec.answer_max_bytes = ANSWER_MAX_BYTES;
    spec.sandbox.readable = library.parent().map(Path::to_owned).into_iter().collect();
    spec.sandbox.limits.memory_bytes = Some(options.limits.memory_bytes + MEMORY_PER_MODEL_BYTE * model_bytes);
    spec.sandbox.requirement = options.requirement;
    spec.control_groups.clone_from(&options.control_groups);
    spec.parameters = serde_json::to_value(Parameters { library })
        .map_err(|error| Error::internal("the parameters of a worker cannot be written", error))?;
    Ok(spec)
}

fn load_into(worker: &mut Worker, files: &ModelFiles, limits: WorkerLimits) -> Result<Description, LoadFailure> {
    let file = File::open(files.onnx_path());
    let file = file.map_err(|error| Error::internal(format!("cannot read model file `{}`", files.onnx), error));
    let call = file.and_then(|file| Ok(Message::new(&Call::Load)?.with_descriptor(file)));
    let answer = worker.call(&call.map_err(LoadFailure::Refused)?, limits.load)?;
    answer.control().map_err(LoadFailure::Refused)
}

fn bind(worker: &mut Worker, binding: &Binding, limits: WorkerLimits) -> Result<(), LoadFailure> {
    let call = Message::new(&Call::Bind(binding.clone())).map_err(LoadFailure::Refused)?;
    worker.call(&call, limits.load)?;
    Ok(())
}

impl LoadedWorker {
    /// The workers of the model, of which this is the first.
    pub(super) fn serve(mut self, files: ModelFiles, binding: Binding) -> Result<ModelWorkers> {
        bind(&mut self.worker, &binding, self.limits)?;
        let is_large = fs::metadata(files.onnx_path()).is_ok_and(|file| file.len() > SEVERAL_WORKERS_BYTES);
        let count = if is_large { 1 } else { available_parallelism().map_or(1, |cores| cores.get().min(WORKERS_MAX)) };
        // The pool gives out the last one first.
        let slots = (1..count).map(|_| Slot(None)).chain([Slot(Some(self.worker))]).collect();
        let shared = Shared {
            spec: self.spec,
            files,
            binding,
            limits: self.limits,
            deaths: Mutex::default(),
            running: Mutex::default(),
        };
        Ok(ModelWorkers { shared: Arc::new(shared), pool: Pool::new(slots) })
    }
}

impl ModelWorkers {
    /// The numbers of the output of some rows.
    pub(super) async fn run(&self, rows: usize, payload: Vec<u8>) -> Result<Vec<f64>, PredictError> {
        let interruptions = self.shared.running().interruptions;
        let acquired = tokio::time::timeout(self.shared.limits.wait, self.pool.acquire()).await;
        let acquired = acquired.map_err(|_| unavailable(ErrorCode::Busy, "every worker of the model is busy"))?;
        let mut pooled = acquired.ok_or_else(|| PredictError::Model("the worker is missing".to_owned()))?;
        let shared = self.shared.clone();
        let computed = tokio::task::spawn_blocking(move || match pooled.get_mut() {
            Some(slot) => shared.run(slot, interruptions, rows, payload),
            None => Err(PredictError::Model("the worker is missing".to_owned())),
        });
        computed.await.map_err(|panic| PredictError::Model(panic.to_string()))?
    }

    /// Why the workers compute nothing: several have died in a row, the last one recently.
    pub(super) fn fault(&self) -> Option<String> {
        let deaths = self.shared.deaths();
        let is_recent = deaths.last.is_some_and(|last| last.elapsed() < FAULT_TIME);
        let is_fault = deaths.count >= DEATHS_OF_FAULT && is_recent;
        is_fault.then(|| format!("{} workers have ended one after the other: {}", deaths.count, deaths.cause))
    }

    /// Ends the calls that run, and those that wait for a worker: they fail.
    pub(super) fn interrupt(&self) {
        let mut running = self.shared.running();
        running.interruptions += 1;
        running.stoppers.iter().for_each(|(_, stopper)| stopper.stop());
    }
}

impl Shared {
    /// Computes on the worker of a slot, which is started if it does not run. Blocks.
    fn run(
        &self,
        slot: &mut Slot,
        interruptions: u64,
        rows: usize,
        payload: Vec<u8>,
    ) -> Result<Vec<f64>, PredictError> {
        let failed = |error: Error| PredictError::Model(error.message().to_owned());
        let message = Message::new(&Call::Run { rows }).map_err(failed)?.with_payload(payload);
        let mut idle = slot.0.take().filter(Worker::is_usable);
        loop {
            let was_idle = idle.is_some();
            let mut worker = match idle.take() {
                Some(worker) => worker,
                None => self.start()?,
            };
            let Some(call) = self.begin(&worker, interruptions) else {
                slot.0 = Some(worker);
                return Err(unavailable(ErrorCode::NotReady, "the prediction was interrupted"));
            };
            let answer = worker.call(&message, self.limits.run);
            self.running().stoppers.retain(|(own, _)| *own != call);
            match answer {
                Ok(answer) => {
                    slot.0 = Some(worker);
                    *self.deaths() = Deaths::default();
                    // The caller checks the count of numbers, which does not include a part of one.
                    let (numbers, _) = answer.payload.as_chunks::<8>();
                    return Ok(numbers.iter().map(|&number| f64::from_le_bytes(number)).collect());
                }
                Err(perennial_worker::Error::Refused(error)) => {
                    slot.0 = Some(worker);
                    return Err(failed(error));
                }
                // It was interrupted: not by a fault of the model.
                Err(error @ perennial_worker::Error::Stopped { .. }) => {
                    return Err(PredictError::Runtime(Error::from(error).with_hint("try again")));
                }
                // It may have been killed while it was idle, so the rows are given to a new worker once.
                Err(perennial_worker::Error::Died { .. }) if was_idle => {}
                Err(error) => return Err(self.died(error)),
            }
        }
    }

    /// Registers a call of a worker, so that it can be interrupted; `None` when that has happened since the request began.
    fn begin(&self, worker: &Worker, interruptions: u64) -> Option<u64> {
        let mut running = self.running();
        if running.interruptions != interruptions {
            return None;
        }
        running.calls += 1;
        let call = running.calls;
        running.stoppers.push((call, worker.stopper()));
        Some(call)
    }

    /// Starts a worker with the model, unless the last ones have just died.
    fn start(&self) -> Result<Worker, PredictError> {
        {
            let deaths = self.deaths();
            if let Some(until) = deaths.until.filter(|until| *until > Instant::now()) {
                let seconds = (until - Instant::now()).as_secs() + 1;
                let message = format!("{}; a worker starts again in {seconds} s", deaths.cause);
                return Err(unavailable(ErrorCode::NotReady, &message));
            }
        }
        let mut worker = Worker::start(self.spec.clone()).map_err(|error| self.died(error))?;
        let loaded = load_into(&mut worker, &self.files, self.limits);
        match loaded.and_then(|_| bind(&mut worker, &self.binding, self.limits)) {
            Ok(()) => Ok(worker),
            Err(LoadFailure::Refused(error)) => Err(PredictError::Model(error.message().to_owned())),
            Err(LoadFailure::Died(error)) => Err(self.died(error)),
        }
    }

    /// Records the end of a worker. The first one is replaced at once, later ones after a pause.
    fn died(&self, error: perennial_worker::Error) -> PredictError {
        let mut deaths = self.deaths();
        let pause = Duration::from_secs(1 << deaths.count.min(6)) / 2;
        deaths.until = (deaths.count > 0).then(|| Instant::now() + pause.min(PAUSE_MAX));
        deaths.count += 1;
        deaths.last = Some(Instant::now());
        deaths.cause = error.to_string();
        tracing::warn!(model.digest = %self.files.digest, error = %error, "the worker of a model ended");
        PredictError::Runtime(error.into())
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn deaths(&self) -> MutexGuard<'_, Deaths> {
        self.deaths.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
