//! The conformance suite of [`Source`]: what collecting relies on.
//!
//! [`source_conformance!`](crate::source_conformance) declares a test for each case.

use perennial_core::id::LoadId;
use perennial_core::port::data::{DataEngine, Mode, ScanPlan, StageRequest, Staged};
use perennial_core::port::source::{Batch, Position, Positions, Source};

use super::data::accepted;

/// A source under test, without rows at first.
pub trait SourceUnderTest {
    /// The source.
    fn source(&self) -> Box<dyn Source + '_>;

    /// An engine that can read it.
    fn engine(&self) -> &dyn DataEngine;

    /// Lets a row arrive: column `n` with this number, which is another one in each call.
    fn offer(&self, n: i64);
}

/// Declares a test for each case of the suite. `$start` is an expression that starts a source without rows.
#[macro_export]
macro_rules! source_conformance {
    ($start:expr) => {
        $crate::source_conformance! { @tests $start;
            a_source_without_rows_offers_nothing,
            rows_are_offered_until_their_positions_are_stored,
            later_rows_are_offered_beyond_the_positions,
            the_same_rows_have_the_same_identity_and_others_another,
            a_batch_can_be_read_again,
            batches_and_parts_are_ordered,
        }
    };
    (@tests $start:expr; $($case:ident,)*) => {
        $(
            #[tokio::test]
            async fn $case() {
                $crate::conformance::source::$case(&$start).await;
            }
        )*
    };
}

/// Nothing arrived.
pub async fn a_source_without_rows_offers_nothing(test: &impl SourceUnderTest) {
    let poll = accepted(test.source().poll(&Positions::new()).await);
    assert!(poll.batches.is_empty(), "{poll:?}");
}

/// Polling changes nothing; a stored position does. Positions survive as text.
pub async fn rows_are_offered_until_their_positions_are_stored(test: &impl SourceUnderTest) {
    test.offer(1);
    test.offer(2);
    let first = poll(test, &Positions::new()).await;
    assert_eq!(staged(test, &first).await.arrived, 2);
    assert_eq!(poll(test, &Positions::new()).await, first);
    assert_eq!(poll(test, &after(&Positions::new(), &first)).await, []);
}

/// Rows before a position are not offered again.
pub async fn later_rows_are_offered_beyond_the_positions(test: &impl SourceUnderTest) {
    let mut positions = Positions::new();
    let mut sums = Vec::new();
    for n in 1..=3 {
        test.offer(n);
        let batches = poll(test, &positions).await;
        let staged = staged(test, &batches).await;
        assert_eq!(staged.arrived, 1, "row {n}");
        sums.push(staged.change.added);
        positions = after(&positions, &batches);
    }
    assert!(sums[0] != sums[1] && sums[1] != sums[2] && sums[0] != sums[2], "a row is offered twice");
}

/// The identity decides whether rows were loaded before.
pub async fn the_same_rows_have_the_same_identity_and_others_another(test: &impl SourceUnderTest) {
    test.offer(1);
    let first = poll(test, &Positions::new()).await;
    let identity = identify(test, &first).await;
    assert_eq!(identify(test, &first).await, identity);
    test.offer(2);
    let second = poll(test, &after(&Positions::new(), &first)).await;
    assert_ne!(identify(test, &second).await, identity);
}

/// Reading takes nothing from the source.
pub async fn a_batch_can_be_read_again(test: &impl SourceUnderTest) {
    test.offer(1);
    test.offer(2);
    let batches = poll(test, &Positions::new()).await;
    let (first, again) = (staged(test, &batches).await, staged(test, &batches).await);
    assert_eq!((first.arrived, &first.change), (again.arrived, &again.change));
}

/// At most one batch a part, each of a part that the source has.
pub async fn batches_and_parts_are_ordered(test: &impl SourceUnderTest) {
    for n in [3, 1, 2] {
        test.offer(n);
    }
    let poll = accepted(test.source().poll(&Positions::new()).await);
    assert!(poll.parts.is_sorted_by(|a, b| a < b), "{:?}", poll.parts);
    assert!(poll.batches.is_sorted_by(|a, b| a.part < b.part), "{:?}", poll.batches);
    assert!(poll.batches.iter().all(|batch| poll.parts.contains(&batch.part)), "{poll:?}");
}

async fn poll(test: &impl SourceUnderTest, positions: &Positions) -> Vec<Batch> {
    accepted(test.source().poll(positions).await).batches
}

async fn identify(test: &impl SourceUnderTest, batches: &[Batch]) -> Vec<String> {
    let mut identities = Vec::new();
    for batch in batches {
        identities.push(accepted(test.source().identify(batch).await));
    }
    identities
}

/// The positions after batches were loaded, as they are read from the store.
fn after(positions: &Positions, batches: &[Batch]) -> Positions {
    let stored = |batch: &Batch| (batch.part.clone(), Position::new(batch.position.as_str().to_owned()));
    positions.clone().into_iter().chain(batches.iter().map(stored)).collect()
}

/// Stages batches as one load of a dataset without rows.
async fn staged(test: &impl SourceUnderTest, batches: &[Batch]) -> Staged {
    let request = StageRequest {
        load: LoadId::generate(),
        dataset: accepted("rows".parse()),
        base: None,
        input: accepted(test.source().read(batches).await),
        mode: Mode::Append,
        key: Vec::new(),
        schema: None,
        optional: Vec::new(),
        evolve: false,
        replaces: None,
        plan: ScanPlan::default(),
    };
    accepted(test.engine().stage(request).await)
}
