//! A worker and programs with every kind of behaviour, for tests.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::hint::black_box;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream, UdpSocket};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use perennial_core::{ErrorCode, Result as CoreResult};
use perennial_worker::{
    Handler, Message, Network, Processes, Program, Requirement, Role, Sandbox, Server, Worker, WorkerSpec,
};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch};

/// Longer than any test: a test kills the process before.
const ENDLESS: Duration = Duration::from_mins(10);

/// A megabyte at a time, as decoders allocate.
const CHUNK_BYTES: usize = 1 << 20;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        [perennial_worker::WORKER_ARGUMENT, ..] => {
            let roles = [Role { name: "probe", start: Probe::start }, Role { name: "refusing", start: refuse }];
            return Ok(ExitCode::from(perennial_worker::worker_main(&roles) as u8));
        }
        [perennial_worker::PROGRAM_ARGUMENT] => return Ok(ExitCode::from(perennial_worker::program_main() as u8)),
        // Starts a worker, as a server would, and prints its process id.
        ["serve"] => {
            let spec = WorkerSpec { program: std::env::current_exe()?, ..WorkerSpec::new("probe") };
            let mut worker = Worker::start(Arc::new(spec))?;
            println!("{}", worker.pid());
            worker.call(&Message::new(&["spin"])?, ENDLESS)?;
        }
        ["do", words @ ..] => match act(words) {
            Ok(text) => println!("{text}"),
            Err(error) => {
                println!("{error}");
                return Ok(ExitCode::FAILURE);
            }
        },
        other => Err(format!("unknown: {other:?}"))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn refuse(_: serde_json::Value) -> CoreResult<Box<dyn Handler>> {
    Err(perennial_core::Error::new(ErrorCode::NotReady, "the library is not installed"))
}

struct Probe {
    parameters: serde_json::Value,
    calls: u32,
}

impl Probe {
    fn start(parameters: serde_json::Value) -> CoreResult<Box<dyn Handler>> {
        Ok(Box::new(Self { parameters, calls: 0 }))
    }
}

impl Handler for Probe {
    fn call(&mut self, mut message: Message, server: &Arc<Server>) -> CoreResult<Message> {
        self.calls += 1;
        let words: Vec<String> = message.control()?;
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["echo"] => Message::new(&"echo").map(|answer| answer.with_payload(message.payload)),
            ["calls"] => Message::new(&self.calls),
            ["parameters"] => Message::new(&self.parameters),
            ["refuse"] => {
                Err(perennial_core::Error::new(ErrorCode::Sql, "column `x` does not exist")
                    .with_hint("correct the query"))
            }
            // Requests each word of the server, from two threads, and answers what it returned.
            ["request", names @ ..] => {
                let answers = thread::scope(|scope| {
                    let requests: Vec<_> = names.iter().map(|name| scope.spawn(|| request(server, name))).collect();
                    requests.into_iter().map(|request| request.join().unwrap_or_default()).collect::<Vec<_>>()
                });
                Message::new(&answers)
            }
            // Reads the file that is open in the message.
            ["descriptor"] => {
                let mut text = String::new();
                let file = message.descriptors.pop().map(fs::File::from);
                let read = file.map(|mut file| file.read_to_string(&mut text));
                Message::new(&(text, read.is_some_and(|read| read.is_ok())))
            }
            words => Message::new(&act(words).map_err(|error| error.to_string())),
        }
    }
}

fn request(server: &Arc<Server>, name: &str) -> String {
    let answer = Message::new(&name).and_then(|message| server.request(&message));
    answer.and_then(|answer| answer.control()).unwrap_or_else(|error| format!("refused: {error}"))
}

/// Does what foreign code might do.
fn act(words: &[&str]) -> Result<String, Box<dyn Error>> {
    Ok(match words {
        ["read", path] => fs::read_to_string(path)?,
        ["write", path] => fs::write(path, "written").map(|()| "written".to_owned())?,
        ["list", path] => {
            let names = fs::read_dir(path)?.map(|entry| entry.map(|entry| entry.file_name().display().to_string()));
            let mut names = names.collect::<Result<Vec<_>, _>>()?;
            names.sort();
            names.join(" ")
        }
        ["connect", address] => TcpStream::connect(address).map(|_| "connected".to_owned())?,
        // Gives the text to a server and answers what it gives back.
        ["exchange", address, text] => {
            let mut stream = TcpStream::connect(address)?;
            stream.write_all(text.as_bytes())?;
            stream.shutdown(Shutdown::Write)?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            answer
        }
        // Starts a worker where the kernel has no Landlock; it writes a file.
        ["without-landlock", requirement, path] => {
            deny_landlock()?;
            let mut spec = WorkerSpec { program: std::env::current_exe()?, ..WorkerSpec::new("probe") };
            spec.sandbox.requirement = Requirement::of(*requirement == "possible");
            let mut worker = Worker::start(Arc::new(spec)).map_err(perennial_core::Error::from)?;
            let written: Result<String, String> = worker.call(&Message::new(&["write", path])?, ENDLESS)?.control()?;
            format!("{}: {}", worker.isolation(), written.unwrap_or_else(|error| error))
        }
        // Runs this program in a further sandbox whose network is a server.
        ["nested", server, words @ ..] => nested(server, words)?,
        ["datagram", address] => UdpSocket::bind("0.0.0.0:0")?.send_to(b"x", address).map(|_| "sent".to_owned())?,
        ["unix", path] => UnixStream::connect(path).map(|_| "connected".to_owned())?,
        ["listen", path] => UnixListener::bind(path).map(|_| "listening".to_owned())?,
        ["pair"] => UnixStream::pair().map(|_| "paired".to_owned())?,
        ["start", program] => Command::new(program).status().map(|status| status.to_string())?,
        ["variables"] => std::env::vars().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("\n"),
        ["arguments"] => std::env::args().collect::<Vec<_>>().join(" "),
        ["folder"] => std::env::current_dir()?.display().to_string(),
        ["thread"] => thread::spawn(|| "from a thread").join().unwrap_or_default().to_owned(),
        ["print", bytes] => {
            let line = [b'x'; 99];
            for _ in 0..bytes.parse::<usize>()? / 100 {
                std::io::stderr().write_all(&line)?;
                std::io::stderr().write_all(b"\n")?;
            }
            String::new()
        }
        ["panic"] => fault(),
        ["abort"] => std::process::abort(),
        ["exit", code] => std::process::exit(code.parse()?),
        ["spin"] => loop {
            black_box(());
        },
        ["sleep"] => {
            thread::sleep(ENDLESS);
            String::new()
        }
        // In small steps, which the supervisor sees growing.
        ["eat", bytes] => {
            let total: usize = bytes.parse()?;
            let mut eaten: Vec<Vec<u8>> = Vec::new();
            while eaten.len() * CHUNK_BYTES < total {
                eaten.push(vec![1; CHUNK_BYTES]);
            }
            format!("ate {}", black_box(eaten).len())
        }
        // At once, which the kernel refuses.
        ["gulp", bytes] => format!("took {}", black_box(vec![1_u8; bytes.parse()?]).len()),
        ["call", name] => system_call(name),
        other => Err(format!("unknown: {other:?}"))?,
    })
}

/// Makes the kernel one without Landlock for this process and all that it starts.
fn deny_landlock() -> Result<(), Box<dyn Error>> {
    let rules = BTreeMap::from([(libc::SYS_landlock_create_ruleset, Vec::new())]);
    let (denied, processor) =
        (SeccompAction::Errno(libc::ENOSYS as u32), TargetArch::try_from(std::env::consts::ARCH)?);
    let filter: BpfProgram = SeccompFilter::new(rules, SeccompAction::Allow, denied, processor)?.try_into()?;
    Ok(seccompiler::apply_filter(&filter)?)
}

/// The isolation of a program inside this one's sandbox, and what it prints.
fn nested(server: &str, words: &[&str]) -> Result<String, Box<dyn Error>> {
    let this = std::env::current_exe()?;
    let argv = ["probe", "do"].iter().chain(words).map(|&word| word.to_owned()).collect();
    let sandbox = Sandbox {
        readable: vec![this.clone()],
        network: Network::Server(server.parse()?),
        processes: Processes::Allowed,
        ..Sandbox::worker()
    };
    let program =
        Program { file: this.clone(), argv, folder: Path::new("/").into(), environment: BTreeMap::new(), sandbox };
    let mut running = program.spawn(&this, Stdio::piped(), Stdio::null())?;
    let mut output = String::new();
    running.child.stdout.take().ok_or("no output")?.read_to_string(&mut output)?;
    running.child.wait()?;
    Ok(format!("{}: {}", running.isolation, output.trim_end()))
}

#[expect(clippy::panic, reason = "the behaviour under test")]
fn fault() -> String {
    panic!("a fault of the handler")
}

/// The error of a system call that is denied, made without arguments that mean anything.
#[expect(unsafe_code, reason = "system calls that the standard library does not make")]
fn system_call(name: &str) -> String {
    let calls = BTreeMap::from([
        ("ptrace", libc::SYS_ptrace),
        ("bpf", libc::SYS_bpf),
        ("keyctl", libc::SYS_keyctl),
        ("unshare", libc::SYS_unshare),
        ("mount", libc::SYS_mount),
        ("io_uring_setup", libc::SYS_io_uring_setup),
        ("clone3", libc::SYS_clone3),
        ("userfaultfd", libc::SYS_userfaultfd),
        ("perf_event_open", libc::SYS_perf_event_open),
        ("process_vm_readv", libc::SYS_process_vm_readv),
        ("getpid of x32", 0x4000_0000 + libc::SYS_getpid),
    ]);
    let Some(number) = calls.get(name) else { return format!("unknown: {name}") };
    // SAFETY: all arguments are zero; each call is refused before it does anything.
    let result = unsafe { libc::syscall(*number, 0, 0, 0, 0, 0, 0) };
    if result >= 0 { "allowed".to_owned() } else { std::io::Error::last_os_error().to_string() }
}
