//! Ends a query whose caller has given up, also where an operator computes for long without yielding.

use std::fmt::{self, Display, Formatter};
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::datatypes::{FieldRef, Schema};
use arrow::record_batch::RecordBatch;
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;

/// Whether a query has been given up.
#[derive(Debug, Clone, Default)]
pub(crate) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// An error once the query has been given up.
    pub(super) fn check(&self) -> Result<()> {
        if self.0.load(Ordering::Relaxed) { exec_err!("the query was given up") } else { Ok(()) }
    }

    /// A guard that gives the query up when it is dropped.
    pub(crate) fn on_drop(&self) -> InterruptOnDrop {
        InterruptOnDrop(self.clone())
    }
}

/// Gives a query up when it is dropped.
pub(crate) struct InterruptOnDrop(Interrupt);

impl Drop for InterruptOnDrop {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Relaxed);
    }
}

/// An expression that fails once the query has been given up.
#[derive(Debug, Clone)]
pub(super) struct Interruptible {
    inner: Arc<dyn PhysicalExpr>,
    interrupt: Interrupt,
}

impl Interruptible {
    /// The expression `inner` of the query of `interrupt`.
    pub(super) fn new(inner: Arc<dyn PhysicalExpr>, interrupt: Interrupt) -> Self {
        Self { inner, interrupt }
    }
}

impl PhysicalExpr for Interruptible {
    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        self.interrupt.check()?;
        self.inner.evaluate(batch)
    }

    fn return_field(&self, schema: &Schema) -> Result<FieldRef> {
        self.inner.return_field(schema)
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.inner]
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        match children.pop() {
            Some(inner) => Ok(Arc::new(Self { inner, interrupt: self.interrupt.clone() })),
            None => Ok(self),
        }
    }

    fn fmt_sql(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        self.inner.fmt_sql(formatter)
    }
}

impl Display for Interruptible {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        self.inner.fmt(formatter)
    }
}

impl PartialEq for Interruptible {
    fn eq(&self, other: &Self) -> bool {
        self.inner.eq(&other.inner)
    }
}

impl Eq for Interruptible {}

impl Hash for Interruptible {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.inner.hash(state);
    }
}
