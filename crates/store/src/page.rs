//! Pages of lists, by cursor.

/// The most items a page holds.
pub const PAGE_MAX: u32 = 50_000;

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where the next page begins; `None` when this is the last.
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// Cuts a page out of what a query for one row more than `limit` gave.
    pub(crate) fn cut(mut items: Vec<T>, limit: u32, cursor: impl Fn(&T) -> String) -> Self {
        let limit = limit.clamp(1, PAGE_MAX) as usize;
        if items.len() <= limit {
            return Self { items, next: None };
        }
        items.truncate(limit);
        let next = items.last().map(cursor);
        Self { items, next }
    }
}

/// The cursor before everything in a list ordered by id, newest first: greater than every id.
pub(crate) const NEWEST: &str = "g";

/// Rows to ask for, so that it shows whether more follow.
pub(crate) fn rows_for(limit: u32) -> i64 {
    i64::from(limit.clamp(1, PAGE_MAX)) + 1
}
