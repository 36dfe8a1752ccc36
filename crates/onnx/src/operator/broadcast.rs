//! Broadcasting of tensors of different shapes, as in NumPy.

use crate::tensor::{Element, Tensor};

/// The common shape to which two shapes are broadcast.
pub(super) fn join(a: &[usize], b: &[usize]) -> Result<Vec<usize>, String> {
    let rank = a.len().max(b.len());
    let at = |shape: &[usize], i: usize| (i + shape.len()).checked_sub(rank).map_or(1, |i| shape[i]);
    (0..rank)
        .map(|i| match (at(a, i), at(b, i)) {
            (x, y) if x == y => Ok(x),
            (1, y) => Ok(y),
            (x, 1) => Ok(x),
            _ => Err(format!("cannot broadcast shapes {a:?} and {b:?}")),
        })
        .collect()
}

/// Strides of a tensor of `shape` for indices of the broadcast shape `target`; 0 for repeated axes.
pub(super) fn strides(shape: &[usize], target: &[usize]) -> Vec<usize> {
    let mut strides = vec![0; target.len()];
    let mut step = 1;
    for (stride, &length) in strides.iter_mut().rev().zip(shape.iter().rev()) {
        *stride = if length == 1 { 0 } else { step };
        step *= length;
    }
    strides
}

/// Visits the indices of `shape` in row-major order.
pub(super) fn each_index(shape: &[usize], mut visit: impl FnMut(&[usize])) {
    let mut index = vec![0; shape.len()];
    if shape.contains(&0) {
        return;
    }
    loop {
        visit(&index);
        let Some(axis) = (0..shape.len()).rev().find(|&axis| index[axis] + 1 < shape[axis]) else { return };
        index[axis] += 1;
        index[axis + 1..].fill(0);
    }
}

/// The offset of the element at `index`.
pub(super) fn offset(index: &[usize], strides: &[usize]) -> usize {
    index.iter().zip(strides).map(|(i, stride)| i * stride).sum()
}

/// Applies `each` to all pairs of elements of two broadcast tensors, each given as elements and shape.
pub(super) fn broadcast<T: Element, U: Element>(
    (x, a): (&[T], &[usize]),
    (y, b): (&[T], &[usize]),
    output: &mut Tensor,
    mut each: impl FnMut(&T, &T) -> U,
) -> Result<(), String> {
    if a == b {
        output.reset(a)?.extend(x.iter().zip(y).map(|(x, y)| each(x, y)));
        return Ok(());
    }
    let shape = join(a, b)?;
    // Common case: a row or a single element is combined with every row.
    let fits = |short: &[usize]| {
        let lead = short.iter().take_while(|&&length| length == 1).count();
        shape.ends_with(&short[lead..]) && !short.contains(&0)
    };
    let out = output.reset(&shape)?;
    if a == shape && fits(b) {
        for row in x.chunks_exact(y.len()) {
            out.extend(row.iter().zip(y).map(|(x, y)| each(x, y)));
        }
    } else if b == shape && fits(a) {
        for row in y.chunks_exact(x.len()) {
            out.extend(x.iter().zip(row).map(|(x, y)| each(x, y)));
        }
    } else {
        let (xs, ys) = (strides(a, &shape), strides(b, &shape));
        each_index(&shape, |index| out.push(each(&x[offset(index, &xs)], &y[offset(index, &ys)])));
    }
    Ok(())
}
