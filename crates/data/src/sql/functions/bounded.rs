//! Functions whose result is computed only where its size and its time are within limits.

use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, ArrayRef};
use arrow::compute::concat;
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::{DataFusionError, Result, ScalarValue, exec_err};
use datafusion::logical_expr::interval_arithmetic::Interval;
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ExpressionPlacement, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature,
};

use super::growth::Growth;
use super::measure::{Arguments, bytes};
use super::memory::{Reserved, ResultMemory};
use crate::sql::interrupt::Interrupt;

/// The greatest size of the results that a function computes at once, in bytes, beyond one row: what its arguments allow
/// may be far more than it makes of them.
const SLICE_BYTES_MAX: u64 = 16 << 20;
/// The part of the memory of results that they may take.
const SLICE_FRACTION: u64 = 16;
/// What a value takes beside its content, as its offset, in bytes.
const ROW_BYTES: u64 = 16;
/// The most steps that a function takes at once, beyond one row: a fraction of a second.
const SLICE_STEPS: u64 = 100_000_000;
/// The most steps of one row: seconds.
const ROW_STEPS_MAX: u64 = 2_000_000_000;
/// The greatest text that a constant expression may have, in bytes. Plans copy it.
const CONSTANT_TEXT_BYTES_MAX: u64 = 1 << 20;

/// What the functions of one query share.
#[derive(Debug)]
pub(super) struct Limits {
    /// The memory of results.
    pub(super) memory: ResultMemory,
    /// Whether the query has been given up.
    pub(super) interrupt: Interrupt,
    /// What constants occupy until the query ends.
    pub(super) constants: Mutex<Vec<Reserved>>,
}

/// A function with limits.
#[derive(Debug)]
pub(super) struct Bounded {
    function: Arc<ScalarUDF>,
    growth: Growth,
    limits: Arc<Limits>,
}

impl Bounded {
    /// Wraps `function`, whose result grows as `growth`.
    pub(super) fn wrap(function: Arc<ScalarUDF>, growth: Growth, limits: &Arc<Limits>) -> ScalarUDF {
        ScalarUDF::new_from_impl(Self { function, growth, limits: Arc::clone(limits) })
    }

    /// Invokes the function on rows whose results take at most `bytes_max`.
    fn invoke(&self, call: ScalarFunctionArgs, bytes_max: u64) -> Result<ArrayRef> {
        let (reserved, rows) = (self.limits.memory.reserve(self.name(), bytes_max)?, call.number_rows);
        reserved.hold(self.function.invoke_with_args(call)?.into_array(rows)?)
    }

    /// Invokes the function on constants: once for all rows.
    fn invoke_constant(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let bytes_max = self.growth.bytes(&Arguments::new(&call.args)?, 0);
        let (mut reserved, rows) = (self.limits.memory.reserve(self.name(), bytes_max)?, call.number_rows);
        let value = match self.function.invoke_with_args(ScalarFunctionArgs { number_rows: 1, ..call })? {
            ColumnarValue::Scalar(value) => value,
            ColumnarValue::Array(array) => ScalarValue::try_from_array(&array, 0)?,
        };
        let size = bytes(value.to_array()?.as_ref());
        if is_text(&value) && size > CONSTANT_TEXT_BYTES_MAX {
            return exec_err!(
                "`{}` makes a constant text of {size} bytes, expected at most {CONSTANT_TEXT_BYTES_MAX}",
                self.name()
            );
        }
        // The planner evaluates constants as one row, and the plan keeps them.
        if rows == 1 {
            reserved.shrink(size);
            self.limits.constants.lock().unwrap_or_else(PoisonError::into_inner).push(reserved);
        }
        Ok(ColumnarValue::Scalar(value))
    }

    /// Parts of the rows, each with the greatest size of its results.
    fn slices(&self, arguments: &Arguments, rows: usize) -> Result<Vec<Slice>> {
        let slice_bytes = (self.limits.memory.bytes_max() / SLICE_FRACTION).min(SLICE_BYTES_MAX);
        let mut slices = vec![Slice::default()];
        for row in 0..rows {
            let bytes = self.growth.bytes(arguments, row).saturating_add(ROW_BYTES);
            let steps = self.growth.steps(arguments, row);
            if steps > ROW_STEPS_MAX {
                return exec_err!(
                    "`{}` would take {steps} steps for one row, expected at most {ROW_STEPS_MAX}: shorten its arguments",
                    self.name()
                );
            }
            let Some(last) = slices.last_mut() else { continue };
            let sums = (last.bytes.saturating_add(bytes), last.steps.saturating_add(steps));
            if last.rows > 0 && (sums.0 > slice_bytes || sums.1 > SLICE_STEPS) {
                slices.push(Slice { rows: 1, bytes, steps });
            } else {
                *last = Slice { rows: last.rows + 1, bytes: sums.0, steps: sums.1 };
            }
        }
        Ok(slices)
    }
}

fn is_text(scalar: &ScalarValue) -> bool {
    matches!(scalar.data_type(), DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

/// Rows that are computed at once.
#[derive(Default)]
struct Slice {
    rows: usize,
    bytes: u64,
    steps: u64,
}

impl ScalarUDFImpl for Bounded {
    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.limits.interrupt.check()?;
        let arguments = Arguments::new(&call.args)?;
        if call.args.iter().all(|value| matches!(value, ColumnarValue::Scalar(_))) {
            self.slices(&arguments, 1)?;
            return self.invoke_constant(call);
        }
        let slices = self.slices(&arguments, call.number_rows)?;
        drop(arguments);
        if let [slice] = slices.as_slice() {
            return self.invoke(call, slice.bytes).map(ColumnarValue::Array);
        }
        let (mut parts, mut start) = (Vec::with_capacity(slices.len()), 0);
        for slice in slices {
            self.limits.interrupt.check()?;
            let part = |value: &ColumnarValue| match value {
                ColumnarValue::Array(array) => ColumnarValue::Array(array.slice(start, slice.rows)),
                ColumnarValue::Scalar(scalar) => ColumnarValue::Scalar(scalar.clone()),
            };
            let args = call.args.iter().map(part).collect();
            parts.push(self.invoke(ScalarFunctionArgs { args, number_rows: slice.rows, ..call.clone() }, slice.bytes)?);
            start += slice.rows;
        }
        let size = parts.iter().map(|part| part.get_array_memory_size() as u64).sum();
        let reserved = self.limits.memory.reserve(self.name(), size)?;
        let parts: Vec<&dyn Array> = parts.iter().map(ArrayRef::as_ref).collect();
        reserved.hold(concat(&parts).map_err(DataFusionError::from)?).map(ColumnarValue::Array)
    }

    fn with_updated_config(&self, config: &ConfigOptions) -> Option<ScalarUDF> {
        let updated = self.function.inner().with_updated_config(config)?;
        Some(Self::wrap(Arc::new(updated), self.growth, &self.limits))
    }

    // Not `simplify`: it may put calls without limits in place of this one.

    fn name(&self) -> &str {
        self.function.name()
    }

    fn aliases(&self) -> &[String] {
        self.function.aliases()
    }

    fn schema_name(&self, args: &[datafusion::logical_expr::Expr]) -> Result<String> {
        self.function.inner().schema_name(args)
    }

    fn signature(&self) -> &Signature {
        self.function.inner().signature()
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        self.function.inner().return_type(arg_types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.function.inner().return_field_from_args(args)
    }

    fn is_strict(&self) -> bool {
        self.function.inner().is_strict()
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        self.function.inner().coerce_types(arg_types)
    }

    fn evaluate_bounds(&self, input: &[&Interval]) -> Result<Interval> {
        self.function.inner().evaluate_bounds(input)
    }

    fn propagate_constraints(&self, interval: &Interval, inputs: &[&Interval]) -> Result<Option<Vec<Interval>>> {
        self.function.inner().propagate_constraints(interval, inputs)
    }

    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        self.function.inner().output_ordering(inputs)
    }

    fn preserves_lex_ordering(&self, inputs: &[ExprProperties]) -> Result<bool> {
        self.function.inner().preserves_lex_ordering(inputs)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.function.inner().documentation()
    }

    fn placement(&self, args: &[ExpressionPlacement]) -> ExpressionPlacement {
        self.function.inner().placement(args)
    }
}

impl PartialEq for Bounded {
    fn eq(&self, other: &Self) -> bool {
        self.function == other.function
    }
}

impl Eq for Bounded {}

impl Hash for Bounded {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.function.hash(state);
    }
}
