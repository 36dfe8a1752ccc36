use async_trait::async_trait;
use perennial_core::frame::Frame;
use perennial_core::model::classes::ClassKind;
use perennial_core::model::{PredictError, Scores, Signature};
use perennial_core::task::TaskKind;

use super::*;

/// A model that is never asked.
struct NoModel(Arc<Signature>);

#[async_trait]
impl LoadedModel for NoModel {
    fn signature(&self) -> &Arc<Signature> {
        &self.0
    }

    async fn predict(&self, _: &Frame) -> Result<Scores, PredictError> {
        Err(PredictError::Model("never asked".to_owned()))
    }
}

fn version(number: i64) -> LoadedVersion {
    let signature =
        Signature { inputs: Vec::new(), task: TaskKind::Regression, classes: Vec::new(), class_kind: ClassKind::Text };
    LoadedVersion { number, model: Arc::new(NoModel(Arc::new(signature))), stats: Arc::default() }
}

fn route(number: i64, role: TrafficRole, share: f64) -> Route {
    Route { version: version(number), role, share }
}

/// Requests of 10,000 keys by version number.
fn requests(routes: &Routes, number: i64) -> usize {
    (0..10_000).filter(|key| routes.choose(&format!("flight-{key}")).version.number == number).count()
}

#[test]
fn the_champion_alone_answers_every_request() {
    let routes = Routes::new(version(1));
    assert_eq!(requests(&routes, 1), 10_000);
    assert!(routes.is_champion_only() && routes.canary().is_none());
}

#[test]
fn a_canary_answers_its_share_and_the_champion_the_rest() {
    let routes = Routes::with_shares(version(1), vec![route(2, TrafficRole::Canary, 0.2)], "first".to_owned());
    let canary = requests(&routes, 2);
    assert!((1_850..2_150).contains(&canary), "{canary}");
    assert_eq!(requests(&routes, 1), 10_000 - canary);
    assert_eq!(routes.canary().map(|route| route.version.number), Some(2));
    assert!((routes.champion().share - 0.8).abs() < 1e-9);
}

#[test]
fn several_versions_may_have_a_share() {
    let others = vec![route(2, TrafficRole::Canary, 0.3), route(3, TrafficRole::Canary, 0.1)];
    let routes = Routes::with_shares(version(1), others, "first".to_owned());
    let (second, third) = (requests(&routes, 2), requests(&routes, 3));
    assert!((2_820..3_180).contains(&second), "{second}");
    assert!((880..1_120).contains(&third), "{third}");
    assert_eq!(requests(&routes, 1), 10_000 - second - third);
}

/// A shadow is such a route: loaded and found by its number, chosen for no request.
#[test]
fn a_route_without_a_share_is_chosen_for_no_request() {
    let others = vec![route(2, TrafficRole::Canary, 0.5), route(3, TrafficRole::Canary, 0.0)];
    let routes = Routes::with_shares(version(1), others, "first".to_owned());
    assert_eq!(requests(&routes, 3), 0);
    assert_eq!(requests(&routes, 1) + requests(&routes, 2), 10_000);
    assert_eq!(routes.find(3).map(|route| route.version.number), Some(3));
    assert_eq!(routes.iter().count(), 3);
}

#[test]
fn another_salt_chooses_another_sample() {
    let with_salt =
        |salt: &str| Routes::with_shares(version(1), vec![route(2, TrafficRole::Canary, 0.1)], salt.to_owned());
    let (first, second) = (with_salt("first"), with_salt("second"));
    let is_canary = |routes: &Routes, key: &str| routes.choose(key).role == TrafficRole::Canary;
    let both = (0..10_000).filter(|key| {
        let key = key.to_string();
        is_canary(&first, &key) && is_canary(&second, &key)
    });
    let both = both.count();
    assert!((60..150).contains(&both), "{both}");
}
