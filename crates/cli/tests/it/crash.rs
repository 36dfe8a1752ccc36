//! The server killed with SIGKILL at seeded random moments while it is busy with everything at once:
//! files arrive, steps run, predictions are answered and logged, the alias moves, runs log metrics,
//! held loads are released. After each kill the client's own journal of what was acknowledged is
//! compared by id with what is there: all of it, nothing half, nothing twice.

mod asking;
mod files;
mod half;
mod journal;
mod load;
mod oracle;
mod report;

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;

use crate::support::{Place, Server};
use asking::Asking;
use files::Chance;
use journal::Journal;
use report::Tally;

/// Kills in the tests; the campaign asks for more by `PERENNIAL_CRASH_KILLS`.
const KILLS: u64 = 20;
/// Kills a project lives through; then another begins with another seed.
const KILLS_A_ROUND: u64 = 20;
/// The first round's seed.
const SEED: u64 = 2013;
/// A server is killed within this time of being busy.
const BUSY_MS_MAX: u64 = 2_500;
/// A server that is killed while it starts is killed within this time.
const STARTING_MS_MAX: u64 = 600;
/// One start in so many is killed on its way.
const KILLED_STARTS: u64 = 4;

#[test]
fn whenever_the_server_is_killed_nothing_acknowledged_is_lost_half_there_or_twice() {
    let asked = std::env::var("PERENNIAL_CRASH_KILLS").ok().map(|kills| kills.parse().unwrap());
    let mut tally = Tally::new(asked.unwrap_or(KILLS));
    while tally.kills < tally.asked {
        Round::new(SEED + tally.rounds).play(&mut tally);
    }
    tally.tell();
}

/// One project and what its client knows.
struct Round {
    place: Place,
    runtime: Runtime,
    http: reqwest::Client,
    journal: Arc<Mutex<Journal>>,
    chance: Chance,
}

impl Round {
    fn new(seed: u64) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self {
            place: files::place(),
            runtime: tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap(),
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            journal: Arc::default(),
            chance: Chance::new(seed),
        }
    }

    fn play(mut self, tally: &mut Tally) {
        let mut server = Server::up(&self.place, &[]);
        self.runtime.block_on(load::set_up(&self.asking(&server), &self.place, &self.journal));
        let until = tally.asked.min(tally.kills + KILLS_A_ROUND);
        while tally.kills < until {
            let busy = Duration::from_millis(self.chance.below(BUSY_MS_MAX));
            self.kill_under_load(server, busy);
            tally.kills += 1;
            server = self.start(tally);
            oracle::compare(&self.runtime, &self.asking(&server), &self.place, &self.journal);
            tally.progress(busy, &self.journal.lock().unwrap());
        }
        oracle::finish(&self.runtime, &self.asking(&server), &self.place, &self.journal);
        tally.take(&self.journal.lock().unwrap());
    }

    fn asking(&self, server: &Server) -> Asking {
        Asking { http: self.http.clone(), address: server.address.clone(), token: server.token.clone() }
    }

    /// Keeps the server busy for a time, then kills it in the middle of it.
    fn kill_under_load(&mut self, server: Server, busy: Duration) {
        let asking = self.asking(&server);
        let mut clients = {
            let _inside = self.runtime.enter();
            load::start(&asking, &self.place, &self.journal, &mut self.chance)
        };
        // Clients end when the server does; one that ends before tells what is wrong.
        let ended = self.runtime.block_on(async { tokio::time::timeout(busy, clients.join_next()).await });
        if let Ok(Some(ended)) = ended {
            panic!("a client ended while the server was up: {ended:?}");
        }
        server.kill();
        self.runtime.block_on(async {
            while let Some(ended) = clients.join_next().await {
                ended.unwrap();
            }
        });
    }

    /// Starts the server again; now and then it is killed on its way first.
    fn start(&mut self, tally: &mut Tally) -> Server {
        while tally.kills < tally.asked && self.chance.below(KILLED_STARTS) == 0 {
            self.kill_while_starting();
            tally.kills += 1;
            tally.kills_while_starting += 1;
        }
        let began = Instant::now();
        let server = Server::up(&self.place, &[]);
        tally.starts.push(began.elapsed());
        server
    }

    fn kill_while_starting(&mut self) {
        let mut command = self.place.command(&["up", "--port", "0"]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (sender, told) = mpsc::channel();
        let reading = std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| sender.send(line)));
        // Whatever comes first: its time is over, or it answers already.
        let until = Instant::now() + Duration::from_millis(self.chance.below(STARTING_MS_MAX));
        while told
            .recv_timeout(until.saturating_duration_since(Instant::now()))
            .is_ok_and(|line| !line.starts_with("answering at "))
        {}
        child.kill().unwrap();
        child.wait().unwrap();
        drop(told);
        let _ = reading.join().unwrap();
    }
}
