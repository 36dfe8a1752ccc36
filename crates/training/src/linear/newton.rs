//! Newton's method with line search. Each direction is found by conjugate gradients with a
//! diagonal preconditioner (Nocedal and Wright: Numerical Optimization, algorithm 7.1).

use perennial_core::task::TaskKind;

use super::Settings;
use super::objective::{Iterate, Objective};
use crate::{Error, Metric};

/// Maximum number of Hessian-vector products of one iteration.
const HESSIAN_PRODUCTS_MAX: usize = 500;
/// Maximum number of halvings of a step.
const HALVINGS_MAX: usize = 30;
/// Share of the linearly predicted decrease that a step must reach (Armijo condition).
const SUFFICIENT_DECREASE: f64 = 1e-4;

/// Minimises the objective; returns the coefficients and the training loss of each iteration.
pub(super) fn minimise(objective: &Objective, settings: &Settings) -> Result<(Vec<f64>, Vec<Metric>), Error> {
    let mut coefficients = objective.initial_coefficients();
    let mut iterate = objective.evaluate(&coefficients);
    let mut metrics = vec![training_metric(objective, &iterate, 0)];
    let gradient_tolerance = settings.tolerance * norm(&iterate.gradient);
    for step in 1..=settings.iterations {
        let length = norm(&iterate.gradient);
        if length <= gradient_tolerance {
            break;
        }
        let direction = newton_direction(objective, &iterate, gradient_tolerance);
        let Some((next, candidate)) = line_search(objective, &coefficients, &iterate, &direction) else {
            break;
        };
        (coefficients, iterate) = (next, candidate);
        metrics.push(training_metric(objective, &iterate, step));
    }
    if !iterate.value.is_finite() {
        return Err(Error::Trainer("the loss is no longer finite".to_owned()));
    }
    Ok((coefficients, metrics))
}

/// Solves `hessian × direction = -gradient` approximately, more exactly as the gradient becomes smaller.
fn newton_direction(objective: &Objective, iterate: &Iterate, gradient_tolerance: f64) -> Vec<f64> {
    let length = norm(&iterate.gradient);
    let residual_tolerance =
        (length * (length / gradient_scale(iterate)).sqrt().min(0.1)).max(0.5 * gradient_tolerance);
    let preconditioner: Vec<f64> = objective
        .hessian_diagonal(iterate)
        .into_iter()
        .map(|value| if value > 0.0 { 1.0 / value } else { 1.0 })
        .collect();
    let mut direction = vec![0.0; objective.size()];
    let mut residual: Vec<f64> = iterate.gradient.iter().map(|value| -value).collect();
    let mut preconditioned: Vec<f64> = residual.iter().zip(&preconditioner).map(|(r, i)| r * i).collect();
    let mut search = preconditioned.clone();
    let mut residual_dot = dot(&residual, &preconditioned);
    for _ in 0..HESSIAN_PRODUCTS_MAX {
        if norm(&residual) <= residual_tolerance {
            break;
        }
        let product = objective.hessian_product(iterate, &search);
        let curvature = dot(&search, &product);
        if curvature <= 0.0 {
            break;
        }
        let step_length = residual_dot / curvature;
        direction.iter_mut().zip(&search).for_each(|(d, s)| *d += step_length * s);
        residual.iter_mut().zip(&product).for_each(|(r, p)| *r -= step_length * p);
        preconditioned.iter_mut().zip(residual.iter().zip(&preconditioner)).for_each(|(z, (r, i))| *z = r * i);
        let next = dot(&residual, &preconditioned);
        let beta = next / residual_dot;
        residual_dot = next;
        search.iter_mut().zip(&preconditioned).for_each(|(s, z)| *s = z + beta * *s);
    }
    direction
}

/// The scale relative to which the gradient counts as small.
fn gradient_scale(iterate: &Iterate) -> f64 {
    (norm(&iterate.gradient) + iterate.value.abs()).max(f64::MIN_POSITIVE)
}

/// Backtracking line search: halves the step until the objective decreases sufficiently.
fn line_search(
    objective: &Objective,
    from: &[f64],
    iterate: &Iterate,
    direction: &[f64],
) -> Option<(Vec<f64>, Iterate)> {
    let slope = dot(&iterate.gradient, direction);
    if slope >= 0.0 {
        return None;
    }
    let mut step_length = 1.0;
    for _ in 0..HALVINGS_MAX {
        let next: Vec<f64> = from.iter().zip(direction).map(|(f, d)| f + step_length * d).collect();
        let candidate = objective.evaluate(&next);
        if candidate.value <= iterate.value + SUFFICIENT_DECREASE * step_length * slope {
            return Some((next, candidate));
        }
        step_length /= 2.0;
    }
    None
}

fn training_metric(objective: &Objective, iterate: &Iterate, step: u64) -> Metric {
    let mean = iterate.loss / objective.design.rows() as f64;
    let value = if objective.loss.task == TaskKind::Regression { (2.0 * mean).sqrt() } else { mean };
    Metric { name: objective.loss.metric_name(), step, value }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn norm(values: &[f64]) -> f64 {
    dot(values, values).sqrt()
}
