#![allow(missing_docs, clippy::all, dead_code)]
#[path = "../src/wiring.rs"]
mod wiring;
use perennial_app::{Caller, clock, pipelines, projects};
use perennial_store::pipeline_runs::PipelineKind;
use std::path::Path;
use std::time::Instant;
fn start(m: i8) -> i64 {
    let (y, m) = if m > 12 { (2014, m - 12) } else { (2013, m) };
    let z = jiff::tz::TimeZone::get("America/New_York").unwrap();
    jiff::civil::date(y, m, 1).at(0, 0, 0, 0).to_zoned(z).unwrap().timestamp().as_millisecond()
}
fn main() {
    let mut words = std::env::args_os().skip(1);
    if words.next().is_some_and(|word| word == perennial_runners::LAUNCH_ARGUMENT) {
        std::process::exit(perennial_runners::launch_main());
    }
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(go());
}
async fn go() {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let root = Path::new("/tmp/probe-project");
    let _ = std::fs::remove_dir_all(root);
    std::fs::create_dir_all(root.join("data")).unwrap();
    let ex = Path::new("examples/flights");
    for f in ["perennial.toml", "sql/features.sql", "data/planes.csv"] {
        let to = root.join(f);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(ex.join(f), to).unwrap();
    }
    let deliver = |f: String| {
        let to = root.join(&f);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(ex.join(&f), to).unwrap();
    };
    let places = wiring::Places { root: root.to_path_buf(), data: root.join(".perennial"), database: None, artifacts: None, may_step_clock: true };
    let t = Instant::now();
    let app = wiring::open(&places).await.unwrap();
    eprintln!("open {:?}", t.elapsed());
    let caller = Caller::system(app.clone(), "probe");
    let t = Instant::now();
    let project = projects::submit(&caller).await.unwrap();
    eprintln!("submit {:?}", t.elapsed());
    for m in 1..=6 {
        deliver(format!("data/schedule/2013-{m:02}.parquet"));
        deliver(format!("data/weather/2013-{m:02}.csv"));
        let t = Instant::now();
        let h = clock::advance(&caller, &project, start(m)).await.unwrap();
        eprintln!("month {m} begins {:?} {h:?}", t.elapsed());
        deliver(format!("data/arrivals/2013-{m:02}.parquet"));
        let t = Instant::now();
        let h = clock::advance(&caller, &project, start(m + 1) + 3_600_000).await.unwrap();
        eprintln!("month {m} ends {:?} {h:?}", t.elapsed());
    }
    for _ in 0..2 {
        let t = Instant::now();
        let run = pipelines::request(&caller, &project, PipelineKind::Release, serde_json::json!({"kind":"person"}), &pipelines::Options::default()).await.unwrap();
        let done = pipelines::carry_out(&caller, &project, &run).await;
        eprintln!("release {:?} {:?}", t.elapsed(), done.map(|d| (d.state, d.message)));
    }
}
