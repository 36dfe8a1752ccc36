//! The conformance suite of [`ModelRuntime`]: what releases and endpoints rely on.
//!
//! [`model_runtime_conformance!`](crate::model_runtime_conformance) declares a test for each case.

mod cases;

pub use cases::*;
use perennial_core::port::model::{ModelFiles, ModelRuntime};

/// A runtime under test.
pub trait RuntimeUnderTest {
    /// The runtime.
    fn runtime(&self) -> &dyn ModelRuntime;

    /// A regression model in a folder of its own, whose score is its number `x` plus `offset`. The folder is removed with
    /// the lease.
    fn plus(&self, offset: f32) -> ModelFiles;

    /// A file that contains no model.
    fn broken(&self) -> ModelFiles;
}

/// Declares a test for each case of the suite. `$start` is an expression that creates a [`RuntimeUnderTest`].
#[macro_export]
macro_rules! model_runtime_conformance {
    ($start:expr) => {
        $crate::model_runtime_conformance! { @tests $start;
            each_row_has_its_score,
            no_rows_have_no_scores,
            inputs_are_found_by_name,
            models_are_loaded_side_by_side,
            concurrent_predictions_have_their_own_scores,
            a_model_in_process_computes_the_same_scores,
            a_model_keeps_the_files_that_it_needs,
            an_interruption_does_not_change_later_predictions,
            a_model_has_the_signature_it_was_loaded_with,
            an_inferred_signature_has_the_inputs_of_the_model,
            a_file_without_a_model_is_refused,
        }
    };
    (@tests $start:expr; $($case:ident,)*) => {$(
        #[tokio::test]
        async fn $case() {
            $crate::conformance::model::$case(&$start).await;
        }
    )*};
}
