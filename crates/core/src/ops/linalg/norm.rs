//! Owns norms of vectors and matrices.

use super::{Input, OpInfo, Sample, kinds, samples, svdvals};
use crate::{Array, Axes, Dtype, Error, Result, Shape, keep};

const OP: &str = "linalg.norm";

/// Which norm to take. Numbers convert into it: `2.0`, `f64::INFINITY`.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::array;
/// use olivine_core::linalg::{self, Order};
/// let a = array!([[3.0, 0.0], [0.0, 4.0]]);
/// let of = |order: Order| linalg::norm(&a, order, [0, 1])?.item::<f32>();
/// assert_eq!((of(Order::Frobenius)?, of(Order::P(1.0))?), (5.0, 4.0));
/// assert!((of(Order::Nuclear)? - 7.0).abs() < 1e-5);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Order {
    /// The root of the sum of squares, of vectors and of matrices.
    #[default]
    Euclidean,
    /// The same, of matrices only.
    Frobenius,
    /// The sum of singular values, of matrices.
    Nuclear,
    /// The norm of an order: of vectors, the root of that order of the sum of powers, the number of
    /// nonzero elements for 0, or the greatest or least magnitude for ±∞; of matrices, the greatest
    /// or least sum of magnitudes of columns (±1) or rows (±∞), or the greatest or least
    /// singular value (±2).
    P(f64),
}

impl From<f64> for Order {
    fn from(order: f64) -> Self {
        Order::P(order)
    }
}

/// The norm of vectors along one axis, or of matrices in two axes, rows first.
///
/// With `..` for axes, [`Order::Euclidean`] takes all elements as one vector, and other orders take
/// one vector or one matrix. Integers are taken as `float32`; the norm of complex numbers is real.
/// The gradient at a vector of zeros is zero.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, linalg, linalg::Order};
/// let x = array!([[3.0, 4.0], [0.0, 5.0]]);
/// assert_eq!(linalg::norm(&x, Order::Euclidean, -1)?.to_vec::<f32>()?, [5.0, 5.0]);
/// assert_eq!(linalg::norm(&x, f64::INFINITY, [0, 1])?.item::<f32>()?, 7.0);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn norm(x: &Array, order: impl Into<Order>, axes: impl Into<Axes>) -> Result<Array> {
    let (order, axes) = (order.into(), axes.into());
    let given = axes.as_given().map(<[i64]>::to_vec);
    let whole = given.is_none() && order == Order::Euclidean;
    let given = given.unwrap_or_else(|| (0..x.ndim() as i64).collect());
    let mut list = Vec::new();
    for &axis in &given {
        list.push(x.shape().axis(axis, OP)?);
    }
    if list.len() == 2 && list[0] == list[1] {
        let reason = format!("axes {given:?} repeat an axis");
        return Err(Error::Argument { op: OP, reason });
    }
    let result = match x.dtype() {
        Dtype::Complex64 => Dtype::Float32,
        dtype => dtype.to_inexact(),
    };
    // Halves are summed in float32.
    let wide = x.astype(match x.dtype() {
        Dtype::Float64 | Dtype::Complex64 => x.dtype(),
        _ => Dtype::Float32,
    })?;
    let matrix_only = matches!(order, Order::Frobenius | Order::Nuclear);
    let found = match list[..] {
        _ if whole => euclidean(&wide, &list)?,
        [] | [_] if !matrix_only => of_vectors(&wide, order, &list)?,
        [rows, columns] => of_matrices(&wide, order, rows, columns)?,
        _ => {
            let wanted = if matrix_only { "two axes" } else { "one or two axes" };
            let reason = format!("a norm of {order:?} is taken over {wanted}, not {}", list.len());
            return Err(Error::Argument { op: OP, reason });
        }
    };
    // Every axis is still there; those that were summed over have size one.
    let found = found.astype(result)?;
    if axes.keeps_dims() {
        return Ok(found);
    }
    let rest = (0..x.ndim()).filter(|axis| !list.contains(axis));
    let shape: Shape = rest.map(|axis| x.shape()[axis]).collect();
    Ok(found.reshape_to(shape))
}

fn over(axes: &[usize]) -> Axes {
    let axes: Vec<i64> = axes.iter().map(|&axis| axis as i64).collect();
    keep(&axes[..])
}

/// Applies a root, whose slope at zero is infinite, so that the gradient of a norm of zeros is zero.
fn root(sum: &Array, root: impl FnOnce(&Array) -> Result<Array>) -> Result<Array> {
    let zero = sum.equal(0)?;
    zero.select(0, root(&zero.select(1, sum)?)?)
}

fn euclidean(x: &Array, axes: &[usize]) -> Result<Array> {
    let complex = x.dtype() == Dtype::Complex64;
    let squares = if complex { x.abs()?.square()? } else { x.square()? };
    root(&squares.sum(over(axes))?, Array::sqrt)
}

fn of_vectors(x: &Array, order: Order, axes: &[usize]) -> Result<Array> {
    let Order::P(p) = order else { return euclidean(x, axes) };
    let axes_kept = || over(axes);
    if p == f64::INFINITY {
        x.abs()?.max(axes_kept())
    } else if p == f64::NEG_INFINITY {
        x.abs()?.min(axes_kept())
    } else if p == 0.0 {
        x.not_equal(0)?.astype(super::magnitude(x.dtype()))?.sum(axes_kept())
    } else if p == 1.0 {
        x.abs()?.sum(axes_kept())
    } else if p == 2.0 {
        euclidean(x, axes)
    } else {
        let sum = x.abs()?.power(p)?.sum(axes_kept())?;
        if p > 0.0 { root(&sum, |sum| sum.power(1.0 / p)) } else { sum.power(1.0 / p) }
    }
}

fn of_matrices(x: &Array, order: Order, rows: usize, columns: usize) -> Result<Array> {
    let p = match order {
        Order::Euclidean | Order::Frobenius => return euclidean(x, &[rows, columns]),
        Order::Nuclear => return of_singular_values(x, rows, columns, |s| s.sum(-1)),
        Order::P(p) => p,
    };
    let sums = |along: usize| x.abs()?.sum(over(&[along]));
    match p {
        1.0 => sums(rows)?.max(over(&[columns])),
        -1.0 => sums(rows)?.min(over(&[columns])),
        f64::INFINITY => sums(columns)?.max(over(&[rows])),
        f64::NEG_INFINITY => sums(columns)?.min(over(&[rows])),
        2.0 => of_singular_values(x, rows, columns, |s| s.max(-1)),
        -2.0 => of_singular_values(x, rows, columns, |s| s.min(-1)),
        _ => {
            let reason = format!("matrices have no norm of order {p}");
            Err(Error::Argument { op: OP, reason })
        }
    }
}

fn of_singular_values(
    x: &Array,
    rows: usize,
    columns: usize,
    reduce: fn(&Array) -> Result<Array>,
) -> Result<Array> {
    let others = (0..x.ndim()).filter(|&axis| axis != rows && axis != columns);
    let order: Vec<i64> = others.chain([rows, columns]).map(|axis| axis as i64).collect();
    let found = reduce(&svdvals(&x.transpose(&order[..])?)?)?;
    let sizes = x.shape().iter().enumerate();
    let sizes = sizes.map(|(axis, &size)| if axis == rows || axis == columns { 1 } else { size });
    Ok(found.reshape_to(sizes.collect()))
}

pub(super) fn ops() -> Vec<OpInfo> {
    vec![samples::op(
        OP,
        "Norms of vectors and matrices.",
        "linalg.norm(a, ord=None, axis=None, keepdims=False)",
        kinds::ALL,
        || {
            let vectors = |shape: &[usize], order: Order, axis: i64| {
                let label = format!("ord={order:?}, axis={axis}");
                Sample::new(label, [Input::any(shape)], move |x| norm(&x[0], order, axis))
            };
            let matrices = |shape: &[usize], order: Order, axes: [i64; 2]| {
                let label = format!("ord={order:?}, axis={axes:?}, keepdims");
                Sample::new(label, [Input::any(shape)], move |x| norm(&x[0], order, keep(axes)))
            };
            let mut samples = vec![
                Sample::new("ord=Euclidean, axis=None", [Input::any([2, 3, 2])], |x| {
                    norm(&x[0], Order::Euclidean, ..)
                }),
                Sample::new("ord=P(1.0), axis=None", [Input::any([3, 4])], |x| {
                    norm(&x[0], 1.0, ..)
                }),
                Sample::new("ord=Euclidean, axis=None", [Input::any([0, 2])], |x| {
                    norm(&x[0], Order::Euclidean, ..)
                }),
                vectors(&[3, 4], Order::Euclidean, -1),
                vectors(&[3, 0], Order::P(1.0), -1),
                vectors(&[0, 3], Order::P(3.0), 1),
                matrices(&[2, 3, 4], Order::Euclidean, [0, 2]),
                matrices(&[2, 3, 4], Order::Frobenius, [-1, 0]),
            ];
            for order in [1.0, 2.0, 3.0, 0.0, f64::INFINITY, f64::NEG_INFINITY] {
                samples.push(vectors(&[5, 3], Order::P(order), 0));
            }
            for order in [1.0, -1.0, 2.0, -2.0, f64::INFINITY, f64::NEG_INFINITY] {
                samples.push(matrices(&[2, 3, 4], Order::P(order), [2, 1]));
            }
            samples.push(matrices(&[3, 2, 4], Order::Nuclear, [0, 2]));
            samples
        },
    )]
}
