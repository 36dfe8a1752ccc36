use perennial_core::entity::Endpoint;
use perennial_core::id::{ModelId, ProjectId};

use perennial_kernel::wrong_state;

use super::{Behind, Retries};

#[test]
fn a_failed_swap_is_retried_after_intervals_that_double_up_to_ten_minutes() {
    let endpoint =
        Endpoint::unanswered(ProjectId::generate(), "delay".parse().unwrap(), ModelId::generate(), "champion", 0);
    let (retries, mut now_ms) = (Retries::default(), 0);
    assert!(retries.is_due(&endpoint, now_ms));
    for seconds in [10, 20, 40, 80, 160, 320, 600, 600] {
        let error = wrong_state(format!("not for {seconds} s"));
        retries.keep((endpoint.project_id, &endpoint.name), now_ms, &error);
        retries.postpone(&endpoint, now_ms);
        let fault = retries.find(endpoint.project_id, &endpoint.name).unwrap();
        assert_eq!(fault.message, error.message(), "the last cause");
        now_ms += seconds * 1_000;
        assert!(!retries.is_due(&endpoint, now_ms - 1), "before {seconds} s");
        assert!(retries.is_due(&endpoint, now_ms), "after {seconds} s");
    }
    assert!(retries.succeeded(endpoint.project_id, &endpoint.name));
    assert!(!retries.succeeded(endpoint.project_id, &endpoint.name));
    assert!(retries.is_due(&endpoint, 0));
}

#[test]
fn endpoints_that_are_behind_are_named() {
    assert_eq!(Behind::default().to_string(), "");
    let behind = Behind(vec!["delay".parse().unwrap(), "early".parse().unwrap()]);
    assert!(behind.to_string().contains("`delay`, `early`"), "{behind}");
}
