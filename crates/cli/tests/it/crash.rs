//! Kills a busy server with SIGKILL at random moments from a fixed seed, and processes below it: launchers and commands of
//! steps, workers of data and of models.
//! Meanwhile files arrive, steps run, predictions are answered and logged, the alias moves, runs log metrics, and held
//! loads are accepted. After each kill the clients' journal of acknowledged requests is compared by id with the content of
//! the server: everything must be present, complete, and present once.

mod client;
mod heights;
mod journal;
mod load;
mod partial;
mod project;
mod report;
mod verify;

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;

use crate::chance::Chance;
use crate::processes;
use crate::support::{Place, Server};
use client::ServerClient;
use journal::Journal;
use report::Tally;

/// Kills in the tests; `PERENNIAL_CRASH_KILLS` sets the number for a campaign.
const KILLS: u64 = 20;
/// Kills per project; the next project has another seed.
const KILLS_A_ROUND: u64 = 20;
/// The first round's seed.
const SEED: u64 = 2013;
/// The longest time that a server is busy before a kill.
const BUSY_MS_MAX: u64 = 2_500;
/// The longest time before a kill during a start.
const STARTING_MS_MAX: u64 = 600;
/// The longest pause between two kills of processes below a busy server.
const PROCESS_KILL_MS_MAX: u64 = 400;
/// One start in this number is killed.
const KILLED_STARTS: u64 = 4;

#[test]
fn a_kill_at_any_moment_loses_duplicates_and_truncates_nothing_acknowledged() {
    let kills = std::env::var("PERENNIAL_CRASH_KILLS").ok().map(|kills| kills.parse().unwrap());
    let mut tally = Tally::new(kills.unwrap_or(KILLS));
    while tally.kills < tally.planned {
        Round::new(SEED + tally.rounds).play(&mut tally);
    }
    tally.report();
}

/// One project, and the journal of its clients.
struct Round {
    place: Place,
    /// The folder of the second project.
    heights: Place,
    runtime: Runtime,
    http: reqwest::Client,
    journal: Arc<Mutex<Journal>>,
    chance: Chance,
}

impl Round {
    fn new(seed: u64) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self {
            place: project::place(),
            heights: heights::place(),
            runtime: tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap(),
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            journal: Arc::default(),
            chance: Chance::new(seed),
        }
    }

    fn play(mut self, tally: &mut Tally) {
        let mut server = Server::up(&self.place, &[]);
        heights::release(&server, &self.heights);
        self.runtime.block_on(load::set_up(&self.client(&server), &self.place, &self.journal));
        let until = tally.planned.min(tally.kills + KILLS_A_ROUND);
        while tally.kills < until {
            let busy = Duration::from_millis(self.chance.below(BUSY_MS_MAX));
            for role in self.kill_under_load(server, busy) {
                *tally.processes_killed.entry(role).or_default() += 1;
            }
            tally.kills += 1;
            server = self.start(tally);
            verify::compare(&self.runtime, &self.client(&server), &self.place, &self.journal);
            tally.progress(busy, &self.journal.lock().unwrap());
        }
        verify::finish(&self.runtime, &self.client(&server), &self.place, &self.journal);
        tally.add(&self.journal.lock().unwrap());
    }

    fn client(&self, server: &Server) -> ServerClient {
        ServerClient { http: self.http.clone(), address: server.address.clone(), token: server.token.clone() }
    }

    /// Keeps the server busy for a time, meanwhile kills processes below it, then kills it. Gives what the other killed
    /// processes were.
    fn kill_under_load(&mut self, server: Server, busy: Duration) -> Vec<String> {
        let client = self.client(&server);
        let mut clients = {
            let _guard = self.runtime.enter();
            load::start(&client, &self.place, &self.journal, &mut self.chance)
        };
        let (end, mut killed) = (Instant::now() + busy, Vec::new());
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            let pause = left.min(Duration::from_millis(self.chance.below(PROCESS_KILL_MS_MAX)));
            // A client ends only when the server ends, or when it finds an error.
            let ended = self.runtime.block_on(async { tokio::time::timeout(pause, clients.join_next()).await });
            if let Ok(Some(ended)) = ended {
                panic!("a client ended while the server was up: {ended:?}");
            }
            let below = processes::descendants(server.child.id());
            if !below.is_empty() {
                let chosen = *self.chance.choose(&below);
                let role = processes::worker_role(chosen);
                if processes::kill(chosen) {
                    killed
                        .push(role.map_or("processes of steps".to_owned(), |role| format!("workers of role `{role}`")));
                }
            }
        }
        server.kill();
        self.runtime.block_on(async {
            while let Some(ended) = clients.join_next().await {
                ended.unwrap();
            }
        });
        killed
    }

    /// Starts the server again. Some starts are killed first.
    fn start(&mut self, tally: &mut Tally) -> Server {
        while tally.kills < tally.planned && self.chance.below(KILLED_STARTS) == 0 {
            self.kill_while_starting();
            tally.kills += 1;
            tally.kills_while_starting += 1;
        }
        let began = Instant::now();
        let server = Server::up(&self.place, &[]);
        tally.starts.push(began.elapsed());
        self.runtime.block_on(load::release_held(&self.client(&server)));
        server
    }

    fn kill_while_starting(&mut self) {
        let mut command = self.place.command(&["up", "--port", "0"]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (sender, log) = mpsc::channel();
        let reading = std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| sender.send(line)));
        // Until the time is over, or the server is listening.
        let until = Instant::now() + Duration::from_millis(self.chance.below(STARTING_MS_MAX));
        while log
            .recv_timeout(until.saturating_duration_since(Instant::now()))
            .is_ok_and(|line| !line.starts_with("listening at "))
        {}
        child.kill().unwrap();
        child.wait().unwrap();
        drop(log);
        let _ = reading.join().unwrap();
    }
}
