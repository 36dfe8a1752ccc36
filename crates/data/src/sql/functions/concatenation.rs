//! The operator `||` of texts as a function, so that its result has a limit.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Field, FieldRef, Schema};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::common::{Result, exec_datafusion_err};
use datafusion::logical_expr::type_coercion::binary::BinaryTypeCoercer;
use datafusion::logical_expr::{
    ColumnarValue, Expr, Operator, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{BinaryExpr, Column, Literal};

/// The name in messages.
pub(super) const NAME: &str = "||";

/// A chain of operators as one function. Null with anything is null, unlike `concat`.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Concatenation {
    signature: Signature,
}

impl Concatenation {
    /// The function.
    pub(super) fn function() -> ScalarUDF {
        ScalarUDF::new_from_impl(Self { signature: Signature::user_defined(Volatility::Immutable) })
    }
}

impl ScalarUDFImpl for Concatenation {
    fn name(&self) -> &'static str {
        NAME
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let names = args.iter().map(|arg| Ok(arg.schema_name().to_string())).collect::<Result<Vec<_>>>()?;
        Ok(names.join(" || "))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        let common = common_type(arg_types)?;
        Ok(vec![common; arg_types.len()])
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        common_type(arg_types)
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        // Neighbours are joined until one value remains, so that a value of a long chain is copied a few times only.
        let mut values = call.args;
        while values.len() > 1 {
            let mut joined = Vec::with_capacity(values.len().div_ceil(2));
            let mut rest = values.into_iter();
            while let Some(left) = rest.next() {
                joined.push(match rest.next() {
                    Some(right) => join(left, right, call.number_rows)?,
                    None => left,
                });
            }
            values = joined;
        }
        values.pop().ok_or_else(|| exec_datafusion_err!("`{NAME}` has no operands"))
    }
}

/// The type of all operands and of the result.
fn common_type(types: &[DataType]) -> Result<DataType> {
    let mut types = types.iter().cloned();
    let first = types.next().ok_or_else(|| exec_datafusion_err!("`{NAME}` has no operands"))?;
    types
        .try_fold(first, |left, right| BinaryTypeCoercer::new(&left, &Operator::StringConcat, &right).get_result_type())
}

/// Two values as one text for each row.
fn join(left: ColumnarValue, right: ColumnarValue, rows: usize) -> Result<ColumnarValue> {
    let (mut fields, mut columns): (Vec<FieldRef>, Vec<ArrayRef>) = (Vec::new(), Vec::new());
    let mut operand = |value: ColumnarValue| -> Arc<dyn PhysicalExpr> {
        match value {
            ColumnarValue::Scalar(scalar) => Arc::new(Literal::new(scalar)),
            ColumnarValue::Array(array) => {
                fields.push(Arc::new(Field::new("value", array.data_type().clone(), true)));
                columns.push(array);
                Arc::new(Column::new("value", columns.len() - 1))
            }
        }
    };
    let operator = BinaryExpr::new(operand(left), Operator::StringConcat, operand(right));
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    operator.evaluate(&RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)?)
}
