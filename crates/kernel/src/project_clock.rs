//! The clock of a project: the wall clock, unless it is stepped.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use perennial_core::clock::{Clock, Instant};

/// Stands for a clock that follows the wall clock.
const NOT_STEPPED: i64 = i64::MIN;

/// The project clock, which drives arrival, windows, schedules and canaries. Thread-safe.
pub struct ProjectClock {
    wall: Arc<dyn Clock>,
    stepped_ms: AtomicI64,
    opened_ms: AtomicI64,
}

impl ProjectClock {
    /// A clock that stands at `stepped_ms`, or follows the wall clock without it.
    pub(crate) fn new(wall: Arc<dyn Clock>, stepped_ms: Option<i64>) -> Self {
        let opened_ms = stepped_ms.unwrap_or_else(|| wall.wall_ms());
        Self {
            wall,
            stepped_ms: AtomicI64::new(stepped_ms.unwrap_or(NOT_STEPPED)),
            opened_ms: AtomicI64::new(opened_ms),
        }
    }

    /// Both clocks at this moment.
    pub fn now(&self) -> Instant {
        let wall_ms = self.wall.wall_ms();
        Instant { wall_ms, project_ms: self.stepped_ms().unwrap_or(wall_ms) }
    }

    /// Where the clock stands when it is stepped.
    pub fn stepped_ms(&self) -> Option<i64> {
        Some(self.stepped_ms.load(Ordering::Acquire)).filter(|ms| *ms != NOT_STEPPED)
    }

    /// Steps the clock to an instant. The caller stores it first.
    pub fn step_to(&self, ms: i64) {
        if self.stepped_ms.swap(ms, Ordering::AcqRel) == NOT_STEPPED {
            // Before the first step the project followed another clock.
            self.opened_ms.store(ms, Ordering::Release);
        }
    }

    /// From when a schedule counts that has never come due: when this server opened the project, or the clock was
    /// first stepped; at most `now_ms`.
    pub fn opened_ms(&self, now_ms: i64) -> i64 {
        self.opened_ms.load(Ordering::Acquire).min(now_ms)
    }

    /// The project time of something recorded at an instant of the wall clock. A stepped clock has no relation to
    /// the wall clock, so this is where it stood when this server opened the project.
    pub fn since_ms(&self, wall_ms: i64) -> i64 {
        if self.stepped_ms().is_some() { self.opened_ms.load(Ordering::Acquire) } else { wall_ms }
    }
}
