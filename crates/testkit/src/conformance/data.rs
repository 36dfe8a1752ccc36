//! The conformance suite of [`DataEngine`]: what the slices rely on.
//!
//! [`data_engine_conformance!`](crate::data_engine_conformance) declares a test for each case.

mod cases;
mod request;

pub use cases::*;
use perennial_core::port::data::DataEngine;
pub(super) use request::accepted;

/// An engine under test, with a source of files.
pub trait EngineUnderTest {
    /// The engine.
    fn engine(&self) -> &dyn DataEngine;

    /// Puts a file into the source `*.csv`.
    fn offer(&self, path: &str, content: &str);
}

/// Declares a test for each case of the suite. `$start` is an expression that starts an engine without tables.
#[macro_export]
macro_rules! data_engine_conformance {
    ($start:expr) => {
        $crate::data_engine_conformance! { @tests $start;
            files_are_listed_by_path_with_the_digest_of_their_content,
            a_new_file_changes_the_folders_of_a_listing,
            rows_are_in_the_table_after_the_commit_and_not_before,
            the_types_of_columns_are_inferred_and_enter_the_digest,
            the_columns_of_files_are_those_of_their_first_load,
            a_repeated_commit_is_answered_and_changes_nothing,
            a_commit_with_another_number_is_refused,
            a_load_without_staged_rows_cannot_be_committed,
            append_quarantines_null_repeated_and_existing_keys,
            merge_keeps_the_last_row_of_a_key_and_removes_the_row_of_the_table,
            replace_removes_every_row_before,
            a_load_that_replaces_another_removes_its_rows,
            row_checks_quarantine_rows_and_warnings_only_count_them,
            unique_and_reference_checks_find_their_rows,
            aggregate_checks_return_their_values,
            every_row_enters_when_all_are_committed,
            a_load_is_staged_again_against_the_table_as_it_is_now,
            quarantined_rows_are_written_once_and_read_latest_first,
            columns_may_be_added_and_no_other_change_is_allowed,
            a_broken_or_changed_file_is_refused_and_leaves_nothing_staged,
            columns_in_memory_keep_their_types,
            writes_wait_while_they_are_paused,
        }
    };
    (@tests $start:expr; $($case:ident,)*) => {
        $(
            #[tokio::test]
            async fn $case() {
                $crate::conformance::data::$case(&$start).await;
            }
        )*
    };
}
