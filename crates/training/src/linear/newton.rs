//! Newton's method; each step is found by conjugate gradients, preconditioned by the
//! diagonal (Nocedal, Wright: Numerical Optimization, algorithm 7.1).

use perennial_core::task::TaskKind;

use super::Settings;
use super::problem::{Place, Problem};
use crate::{Error, Metric};

/// Products with the matrix of second derivatives in one step, at most.
const PRODUCTS_MAX: usize = 500;
/// Halvings of a step, at most.
const HALVINGS_MAX: usize = 30;
/// Share of the promised decrease that a step has to keep.
const DECREASE_SHARE: f64 = 1e-4;

/// The coefficients where the problem is smallest, and the loss on the way there.
pub(super) fn minimise(problem: &Problem, settings: &Settings) -> Result<(Vec<f64>, Vec<Metric>), Error> {
    let mut coefficients = problem.start();
    let mut place = problem.at(&coefficients);
    let mut metrics = vec![measure(problem, &place, 0)];
    let goal = settings.tolerance * norm(&place.gradient);
    for step in 1..=settings.iterations {
        let length = norm(&place.gradient);
        if length <= goal {
            break;
        }
        let direction = direction(problem, &place, goal);
        let Some((next, there)) = walk(problem, &coefficients, &place, &direction) else {
            break;
        };
        (coefficients, place) = (next, there);
        metrics.push(measure(problem, &place, step));
    }
    if !place.value.is_finite() {
        return Err(Error::Trainer("the loss is no longer finite".to_owned()));
    }
    Ok((coefficients, metrics))
}

/// Solves `curvature × direction = -gradient`, the more exactly the nearer the end is.
fn direction(problem: &Problem, place: &Place, goal: f64) -> Vec<f64> {
    let length = norm(&place.gradient);
    let exact_to = (length * (length / norm_scale(place)).sqrt().min(0.1)).max(0.5 * goal);
    let inverse: Vec<f64> =
        problem.diagonal(place).into_iter().map(|value| if value > 0.0 { 1.0 / value } else { 1.0 }).collect();
    let mut direction = vec![0.0; problem.size()];
    let mut residual: Vec<f64> = place.gradient.iter().map(|value| -value).collect();
    let mut scaled: Vec<f64> = residual.iter().zip(&inverse).map(|(r, i)| r * i).collect();
    let mut search = scaled.clone();
    let mut fit = dot(&residual, &scaled);
    for _ in 0..PRODUCTS_MAX {
        if norm(&residual) <= exact_to {
            break;
        }
        let product = problem.curve(place, &search);
        let bend = dot(&search, &product);
        if bend <= 0.0 {
            break;
        }
        let share = fit / bend;
        direction.iter_mut().zip(&search).for_each(|(d, s)| *d += share * s);
        residual.iter_mut().zip(&product).for_each(|(r, p)| *r -= share * p);
        scaled.iter_mut().zip(residual.iter().zip(&inverse)).for_each(|(z, (r, i))| *z = r * i);
        let next = dot(&residual, &scaled);
        let keep = next / fit;
        fit = next;
        search.iter_mut().zip(&scaled).for_each(|(s, z)| *s = z + keep * *s);
    }
    direction
}

/// A length that the gradient's is compared with.
fn norm_scale(place: &Place) -> f64 {
    (norm(&place.gradient) + place.value.abs()).max(f64::MIN_POSITIVE)
}

/// Goes along `direction`, half as far each time until the value is enough smaller.
fn walk(problem: &Problem, from: &[f64], place: &Place, direction: &[f64]) -> Option<(Vec<f64>, Place)> {
    let promised = dot(&place.gradient, direction);
    if promised >= 0.0 {
        return None;
    }
    let mut share = 1.0;
    for _ in 0..HALVINGS_MAX {
        let next: Vec<f64> = from.iter().zip(direction).map(|(f, d)| f + share * d).collect();
        let there = problem.at(&next);
        if there.value <= place.value + DECREASE_SHARE * share * promised {
            return Some((next, there));
        }
        share /= 2.0;
    }
    None
}

fn measure(problem: &Problem, place: &Place, step: u64) -> Metric {
    let mean = place.loss / problem.design.rows() as f64;
    let value = if problem.loss.task == TaskKind::Regression { (2.0 * mean).sqrt() } else { mean };
    Metric { name: problem.loss.metric(), step, value }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn norm(values: &[f64]) -> f64 {
    dot(values, values).sqrt()
}
