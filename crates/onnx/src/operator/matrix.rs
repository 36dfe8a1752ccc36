//! Matrix products.

use std::ops::{Add, Mul};
use std::sync::Arc;

use super::broadcast::{each_index, join, offset, strides};
use super::{BuildResult, Inputs, Operator, first_output};
use crate::node::Node;
use crate::tensor::{Data, Element, Tensor};

#[derive(Debug)]
struct MatMul;

#[derive(Debug)]
struct Gemm {
    alpha: f32,
    beta: f32,
    transpose_a: bool,
    transpose_b: bool,
}

pub(super) fn build(name: &str, node: &Node<'_>) -> Option<BuildResult> {
    match name {
        "MatMul" => Some(Ok(Arc::new(MatMul))),
        "Gemm" => Some(Ok(Arc::new(Gemm {
            alpha: node.float("alpha", 1.0),
            beta: node.float("beta", 1.0),
            transpose_a: node.int("transA", 0) != 0,
            transpose_b: node.int("transB", 0) != 0,
        }))),
        _ => None,
    }
}

/// Adds the product of row-major `a` (rows × inner) and `b` (inner × columns) to `output`.
///
/// The inner loop runs over a row of `b`, that is over adjacent elements, so that
/// the compiler vectorises it.
pub(crate) fn add_product<T>(a: &[T], b: &[T], inner: usize, columns: usize, output: &mut [T])
where
    T: Copy + Add<Output = T> + Mul<Output = T>,
{
    if inner == 0 || columns == 0 {
        return;
    }
    for (a_row, out) in a.chunks_exact(inner).zip(output.chunks_exact_mut(columns)) {
        for (&factor, b_row) in a_row.iter().zip(b.chunks_exact(columns)) {
            for (sum, &value) in out.iter_mut().zip(b_row) {
                *sum = *sum + factor * value;
            }
        }
    }
}

/// The dot product, accumulated in eight independent sums.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let mut sums = [0.0_f32; 8];
    for (a, b) in a.iter().zip(b) {
        for ((sum, x), y) in sums.iter_mut().zip(a).zip(b) {
            *sum += x * y;
        }
    }
    sums.iter().sum::<f32>() + a_rest.iter().zip(b_rest).map(|(x, y)| x * y).sum::<f32>()
}

pub(crate) fn transposed<T: Copy>(values: &[T], rows: usize, columns: usize) -> Vec<T> {
    (0..columns).flat_map(|column| (0..rows).map(move |row| values[row * columns + column])).collect()
}

impl Operator for MatMul {
    fn run(&self, inputs: &dyn Inputs, outputs: &mut [Tensor]) -> Result<(), String> {
        let (a, b, output) = (inputs.required(0)?, inputs.required(1)?, first_output(outputs)?);
        match (a.data(), b.data()) {
            (Data::F32(x), Data::F32(y)) => multiply((x, a.shape()), (y, b.shape()), inputs, output, 0.0),
            (Data::F64(x), Data::F64(y)) => multiply((x, a.shape()), (y, b.shape()), inputs, output, 0.0),
            (x, y) => Err(format!("expected floats of one type, got {} and {}", x.element_type(), y.element_type())),
        }
    }
}

fn multiply<T>(
    (x, a): (&[T], &[usize]),
    (y, b): (&[T], &[usize]),
    inputs: &dyn Inputs,
    output: &mut Tensor,
    zero: T,
) -> Result<(), String>
where
    T: Element + Copy + Add<Output = T> + Mul<Output = T>,
{
    let bad = || format!("cannot multiply matrices of shapes {a:?} and {b:?}");
    // A vector is a row on the left and a column on the right.
    let left = if a.len() == 1 { vec![1, a[0]] } else { a.to_vec() };
    let right = if b.len() == 1 { vec![b[0], 1] } else { b.to_vec() };
    let ([left_batch @ .., rows, inner], [right_batch @ .., right_inner, columns]) = (&left[..], &right[..]) else {
        return Err(bad());
    };
    let (rows, inner, columns) = (*rows, *inner, *columns);
    if inner != *right_inner {
        return Err(bad());
    }
    let batch = join(left_batch, right_batch)?;
    let mut shape = batch.clone();
    if a.len() > 1 {
        shape.push(rows);
    }
    if b.len() > 1 {
        shape.push(columns);
    }
    let count = crate::tensor::elements(&shape)?;
    inputs.charge(count.saturating_mul(inner))?;
    let out = output.reset(&shape)?;
    out.resize(count, zero);
    let (left_steps, right_steps) = (strides(left_batch, &batch), strides(right_batch, &batch));
    let mut block = 0;
    each_index(&batch, |index| {
        let from = offset(index, &left_steps) * rows * inner;
        let with = offset(index, &right_steps) * inner * columns;
        let (x, y) = (&x[from..from + rows * inner], &y[with..with + inner * columns]);
        add_product(x, y, inner, columns, &mut out[block..block + rows * columns]);
        block += rows * columns;
    });
    Ok(())
}

impl Operator for Gemm {
    #[expect(clippy::many_single_char_names, reason = "matrices, as in algebra")]
    fn run(&self, inputs: &dyn Inputs, outputs: &mut [Tensor]) -> Result<(), String> {
        let (a, b, c, output) = (inputs.required(0)?, inputs.required(1)?, inputs.get(2), first_output(outputs)?);
        match (a.data(), b.data()) {
            (Data::F32(x), Data::F32(y)) => {
                inputs.charge(self.products(a.shape(), y.len()))?;
                let c = c.map(|c| c.values().map(|z| (z, c.shape())).ok_or("C has another type")).transpose()?;
                self.typed((x, a.shape()), (y, b.shape()), c, output, 0.0, self.alpha, self.beta)
            }
            (Data::F64(x), Data::F64(y)) => {
                inputs.charge(self.products(a.shape(), y.len()))?;
                let c = c.map(|c| c.values().map(|z| (z, c.shape())).ok_or("C has another type")).transpose()?;
                self.typed((x, a.shape()), (y, b.shape()), c, output, 0.0, self.alpha.into(), self.beta.into())
            }
            (x, y) => Err(format!("expected floats of one type, got {} and {}", x.element_type(), y.element_type())),
        }
    }
}

impl Gemm {
    /// The number of multiplications with a second matrix of so many elements.
    fn products(&self, a: &[usize], b_elements: usize) -> usize {
        let rows = if self.transpose_a { a.get(1) } else { a.first() };
        rows.map_or(0, |rows| rows.saturating_mul(b_elements))
    }

    #[expect(clippy::many_single_char_names, reason = "matrices and their shapes, as in algebra")]
    #[expect(clippy::too_many_arguments, reason = "three matrices, two factors and the zero of their type")]
    fn typed<T>(
        &self,
        (x, a): (&[T], &[usize]),
        (y, b): (&[T], &[usize]),
        c: Option<(&[T], &[usize])>,
        output: &mut Tensor,
        zero: T,
        alpha: T,
        beta: T,
    ) -> Result<(), String>
    where
        T: Element + Copy + Add<Output = T> + Mul<Output = T>,
    {
        let (&[a_rows, a_columns], &[b_rows, b_columns]) = (a, b) else {
            return Err(format!("expected two matrices, got shapes {a:?} and {b:?}"));
        };
        let (rows, inner) = if self.transpose_a { (a_columns, a_rows) } else { (a_rows, a_columns) };
        let (b_inner, columns) = if self.transpose_b { (b_columns, b_rows) } else { (b_rows, b_columns) };
        if inner != b_inner {
            return Err(format!("cannot multiply matrices of {rows} × {inner} and {b_inner} × {columns}"));
        }
        let (transposed_a, transposed_b);
        let x = if self.transpose_a {
            transposed_a = transposed(x, a_rows, a_columns);
            &transposed_a
        } else {
            x
        };
        let y = if self.transpose_b {
            transposed_b = transposed(y, b_rows, b_columns);
            &transposed_b
        } else {
            y
        };
        let count = crate::tensor::elements(&[rows, columns])?;
        let out = output.reset(&[rows, columns])?;
        out.resize(count, zero);
        add_product(x, y, inner, columns, out);
        let Some((z, c)) = c else {
            for value in out {
                *value = alpha * *value;
            }
            return Ok(());
        };
        if join(c, &[rows, columns])? != [rows, columns] {
            return Err(format!("cannot broadcast C of shape {c:?} to {rows} × {columns}"));
        }
        let steps = strides(c, &[rows, columns]);
        let mut values = out.iter_mut();
        for row in 0..rows {
            for (column, value) in values.by_ref().take(columns).enumerate() {
                *value = alpha * *value + beta * z[row * steps[0] + column * steps[1]];
            }
        }
        Ok(())
    }
}
