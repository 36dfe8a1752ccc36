//! A client of `bravo`, whose requests must succeed in time while others attack.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use reqwest::Method;

use super::project::{self, BRAVO, BRAVO_ENDPOINT};
use super::target::{Target, shortened};

/// The longest time of a request of the client, on two busy cores.
pub(super) const REQUEST_TIME_MAX: Duration = Duration::from_secs(2);
/// The pause between two rounds of requests.
const PAUSE: Duration = Duration::from_millis(50);

/// What the client has seen.
#[derive(Debug, Default)]
pub(super) struct Requests {
    pub(super) count: u64,
    pub(super) longest: Duration,
    pub(super) times: Vec<Duration>,
    /// Requests that failed, and those that took too long.
    pub(super) holes: Vec<String>,
}

/// Predicts and lists on new connections until `is_over`.
pub(super) async fn observe(target: Arc<Target>, is_over: Arc<AtomicBool>) -> Requests {
    let http = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build().unwrap();
    let infer = format!("/v2/models/{BRAVO_ENDPOINT}/infer");
    let lists = [format!("/api/v1/projects/{BRAVO}/datasets"), format!("/api/v1/projects/{BRAVO}/pipeline-runs")];
    let mut seen = Requests::default();
    let mut pause = tokio::time::interval(PAUSE);
    while !is_over.load(Ordering::Relaxed) {
        pause.tick().await;
        let predict = http.post(format!("{}{infer}", target.server.address)).json(&project::prediction());
        measure(&target, &mut seen, &infer, predict).await;
        let list = &lists[seen.count as usize / 2 % lists.len()];
        measure(&target, &mut seen, list, http.request(Method::GET, format!("{}{list}", target.server.address))).await;
    }
    seen
}

async fn measure(target: &Target, seen: &mut Requests, path: &str, request: reqwest::RequestBuilder) {
    let began = Instant::now();
    let request = request.bearer_auth(target.bystander.token.as_deref().unwrap_or_default());
    let failure = match request.send().await {
        Ok(answer) if answer.status().is_success() => answer.bytes().await.err().map(|error| format!("{error:?}")),
        Ok(answer) => Some(format!("{}: {}", answer.status(), shortened(&answer.text().await.unwrap_or_default()))),
        Err(error) => Some(format!("{error:?}")),
    };
    let time = began.elapsed();
    seen.count += 1;
    seen.longest = seen.longest.max(time);
    seen.times.push(time);
    if let Some(failure) = failure {
        let during = target.running();
        seen.holes.push(format!("the bystander's request of {path} failed during {during}: {failure}"));
    } else if time > REQUEST_TIME_MAX {
        let during = target.running();
        seen.holes.push(format!("the bystander's request of {path} took {} ms during {during}", time.as_millis()));
    }
}
