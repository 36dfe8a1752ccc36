use std::collections::BTreeSet;
use std::fmt::{Debug, Display};
use std::str::FromStr;

use super::*;

/// Every pair that has a way on, as `state event -> state`, one a line.
fn ways<S, E>(states: &[S], events: &[E], transition: impl Fn(S, E) -> Result<S, TransitionError>) -> Vec<String>
where
    S: Copy + Display,
    E: Copy + Debug,
{
    let mut ways = Vec::new();
    for state in states {
        for event in events {
            if let Ok(next) = transition(*state, *event) {
                ways.push(format!("{state} {event:?} -> {next}"));
            }
        }
    }
    ways
}

fn words_read_back<S: Copy + Display + Debug + PartialEq + FromStr>(states: &[S])
where
    S::Err: Display + Debug,
{
    let words: BTreeSet<String> = states.iter().map(ToString::to_string).collect();
    assert_eq!(words.len(), states.len(), "each state has a word of its own");
    for state in states {
        assert_eq!(state.to_string().parse::<S>().unwrap(), *state);
    }
    let error = "nonsense".parse::<S>().unwrap_err().to_string();
    assert!(words.iter().all(|word| error.contains(&format!("`{word}`"))), "{error}");
}

#[test]
fn every_word_reads_back_to_its_state() {
    words_read_back(LoadState::ALL);
    words_read_back(PipelineRunState::ALL);
    words_read_back(StepRunState::ALL);
    words_read_back(RunStatus::ALL);
    words_read_back(CanaryState::ALL);
    words_read_back(ApprovalRequestState::ALL);
    words_read_back(Lifecycle::ALL);
    words_read_back(ModelVersionState::ALL);
    words_read_back(AlertState::ALL);
    words_read_back(SegmentState::ALL);
    words_read_back(JobState::ALL);
}

#[test]
fn a_load_moves_only_as_its_diagram_says() {
    use LoadEvent::*;
    let ways = ways(LoadState::ALL, &[Hold, Begin, Accept, Reject, Commit, Replace, Fail], LoadState::transition);
    assert_eq!(
        ways,
        [
            "staged Hold -> held",
            "staged Begin -> committing",
            "staged Fail -> failed",
            "held Accept -> committing",
            "held Reject -> rejected",
            "held Replace -> replaced",
            "committing Commit -> committed",
            "committing Fail -> failed",
            "committed Replace -> replaced",
        ]
    );
}

#[test]
fn a_pipeline_run_moves_only_as_its_diagram_says() {
    use PipelineRunEvent::*;
    let events = [Start, Interrupt, Resume, Succeed, Idle, Fail, Cancel];
    assert_eq!(
        ways(PipelineRunState::ALL, &events, PipelineRunState::transition),
        [
            "pending Start -> running",
            "pending Fail -> failed",
            "pending Cancel -> cancelled",
            "running Interrupt -> interrupted",
            "running Succeed -> succeeded",
            "running Idle -> nothing-to-do",
            "running Fail -> failed",
            "running Cancel -> cancelled",
            "interrupted Resume -> running",
            "interrupted Fail -> failed",
            "interrupted Cancel -> cancelled",
        ]
    );
    for state in PipelineRunState::ALL {
        let has_way = events.iter().any(|event| state.transition(*event).is_ok());
        assert_eq!(state.is_terminal(), !has_way, "{state}");
    }
}

#[test]
fn a_step_run_moves_only_as_its_diagram_says() {
    use StepRunEvent::*;
    let events = [Start, Succeed, Reuse, Fail, Skip, Interrupt];
    assert_eq!(
        ways(StepRunState::ALL, &events, StepRunState::transition),
        [
            "pending Start -> running",
            "pending Reuse -> cached",
            "pending Skip -> skipped",
            "running Succeed -> succeeded",
            "running Fail -> failed",
            "running Interrupt -> interrupted",
        ]
    );
    for state in StepRunState::ALL {
        let has_way = events.iter().any(|event| state.transition(*event).is_ok());
        assert_eq!(state.is_terminal(), !has_way, "{state}");
    }
}

#[test]
fn an_ended_run_may_be_resumed_but_not_scheduled_again() {
    for from in RunStatus::ALL {
        for to in RunStatus::ALL {
            let moved = from.transition(RunEvent::to(*to));
            let is_allowed = *to != RunStatus::Scheduled || *from == RunStatus::Scheduled;
            assert_eq!(moved.is_ok(), is_allowed, "{from} to {to}");
            assert!(moved.is_err() || moved == Ok(*to));
        }
    }
}

#[test]
fn a_job_moves_only_as_its_diagram_says() {
    use JobEvent::*;
    let ways = ways(JobState::ALL, &[Claim, Complete, Retry, Hold, Requeue, Cancel], JobState::transition);
    assert_eq!(
        ways,
        [
            "pending Claim -> running",
            "pending Cancel -> cancelled",
            "running Claim -> running",
            "running Complete -> succeeded",
            "running Retry -> pending",
            "running Hold -> held",
            "running Cancel -> cancelled",
            "held Requeue -> pending",
            "held Cancel -> cancelled",
        ]
    );
    assert!(JobState::ALL.iter().all(|state| state.is_open() == state.transition(Cancel).is_ok()));
}

#[test]
fn a_canary_ends_once() {
    use CanaryEvent::*;
    for state in CanaryState::ALL {
        for (event, end) in
            [(Promote, CanaryState::Promoted), (RollBack, CanaryState::RolledBack), (Replace, CanaryState::Replaced)]
        {
            assert_eq!(state.transition(event).ok(), state.is_active().then_some(end), "{state} {event:?}");
        }
    }
    assert_eq!(CanaryState::Running.transition(Await), Ok(CanaryState::Waiting));
}

#[test]
fn a_request_for_approvals_moves_only_as_its_diagram_says() {
    use ApprovalRequestEvent::*;
    let ways =
        ways(ApprovalRequestState::ALL, &[Approve, Reject, Release, Fail, Replace], ApprovalRequestState::transition);
    assert_eq!(
        ways,
        [
            "waiting Approve -> approved",
            "waiting Reject -> rejected",
            "waiting Replace -> replaced",
            "approved Release -> released",
            "approved Fail -> failed",
            "approved Replace -> replaced",
        ]
    );
    let is_open = |state: &ApprovalRequestState| state.is_open() == state.transition(Replace).is_ok();
    assert!(ApprovalRequestState::ALL.iter().all(is_open));
}

#[test]
fn small_states_move_only_as_their_diagrams_say() {
    assert_eq!(
        ways(
            ModelVersionState::ALL,
            &[ModelVersionEvent::Ready, ModelVersionEvent::Fail],
            ModelVersionState::transition
        ),
        ["PENDING_REGISTRATION Ready -> READY", "PENDING_REGISTRATION Fail -> FAILED_REGISTRATION"]
    );
    assert_eq!(
        ways(AlertState::ALL, &[AlertEvent::Acknowledge, AlertEvent::Resolve], AlertState::transition),
        ["firing Acknowledge -> acknowledged", "firing Resolve -> resolved", "acknowledged Resolve -> resolved"]
    );
    assert_eq!(
        ways(SegmentState::ALL, &[SegmentEvent::Load, SegmentEvent::Remove], SegmentState::transition),
        ["sealed Load -> loaded", "loaded Remove -> removed"]
    );
}

#[test]
fn a_refused_event_names_noun_state_and_event() {
    let error = LoadState::Committed.transition(LoadEvent::Hold).unwrap_err();
    assert_eq!(error.to_string(), "a load that is `committed` does not take `hold`");
    assert_eq!(crate::Error::from(error).code(), crate::ErrorCode::WrongState);
}
