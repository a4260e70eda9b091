//! Owns the singular value decomposition and what is made from it.

use faer::{
    Par,
    diag::DiagMut,
    dyn_stack::{MemBuffer, MemStack},
    linalg::svd::{ComputeSvdVectors, svd as decompose, svd_scratch},
};

use crate::{Failure, Matrix, Outcome, Svd, factor, matrix::Number};

pub(crate) fn svd<T: Number, R: Number>(a: &Matrix<T>, vectors: bool) -> Outcome<Svd<T, R>> {
    let (m, n) = (a.rows, a.columns);
    let mut room = vectors.then(|| (Matrix::identity(m, m), Matrix::identity(n, n)));
    if m == 0 || n == 0 {
        return Ok(Svd {
            values: Vec::new(),
            vectors: room,
        });
    }
    let (a, back) = a.balanced();
    let want = if vectors {
        ComputeSvdVectors::Full
    } else {
        ComputeSvdVectors::No
    };
    let scratch = svd_scratch::<T>(m, n, want, want, Par::Seq, faer::Spec::default());
    let mut memory = MemBuffer::new(scratch);
    let mut values = vec![T::ZERO; m.min(n)];
    let (u, v) = match &mut room {
        Some((u, v)) => (Some(u.faer_mut()), Some(v.faer_mut())),
        None => (None, None),
    };
    let done = decompose(
        a.faer(),
        DiagMut::from_slice_mut(&mut values),
        u,
        v,
        Par::Seq,
        MemStack::new(&mut memory),
        faer::Spec::default(),
    );
    done.map_err(|_| Failure)?;
    let values = values.iter().map(|s| R::of(s.real_part() * back)).collect();
    Ok(Svd {
        values,
        vectors: room,
    })
}

/// A matrix made from scaled singular vectors: the sum over i of `weights[i] left[i] right[i]^T`.
fn recombined(left: &Matrix<f64>, weights: &[f64], right: &Matrix<f64>) -> Matrix<f64> {
    let mut sum = Matrix::zeros(left.rows, right.rows);
    for column in 0..right.rows {
        let into = sum.column_mut(column);
        for (i, weight) in weights.iter().enumerate() {
            let weight = weight * right.at(column, i);
            for (to, row) in into.iter_mut().zip(&left.elements[i * left.rows..]) {
                *to += weight * row;
            }
        }
    }
    sum
}

pub(crate) fn pseudo_inverse(a: &Matrix<f64>, cutoff: f64) -> Outcome<Matrix<f64>> {
    let found = svd::<f64, f64>(a, true)?;
    let (u, v) = found.vectors.ok_or(Failure)?;
    let least = cutoff * found.values.first().copied().unwrap_or(0.0);
    let inverse = |&s: &f64| if s > least { 1.0 / s } else { 0.0 };
    let weights: Vec<f64> = found.values.iter().map(inverse).collect();
    Ok(recombined(&v, &weights, &u))
}

pub(crate) fn cofactors(a: &Matrix<f64>) -> Outcome<Matrix<f64>> {
    let found = svd::<f64, f64>(a, true)?;
    let (u, v) = found.vectors.ok_or(Failure)?;
    let sign = orientation(&u) * orientation(&v);
    let others = |i: usize| -> f64 {
        let rest = found.values.iter().enumerate().filter(|(j, _)| *j != i);
        sign * rest.map(|(_, s)| s).product::<f64>()
    };
    let weights: Vec<f64> = (0..found.values.len()).map(others).collect();
    Ok(recombined(&u, &weights, &v))
}

/// The determinant, 1 or −1, of an orthogonal matrix.
fn orientation(a: &Matrix<f64>) -> f64 {
    let mut a = a.clone();
    let order = factor::lu(&mut a);
    let sign = (0..a.rows).map(|i| a.at(i, i).signum()).product::<f64>();
    if is_odd(&order) { -sign } else { sign }
}

/// Whether an order takes an odd number of exchanges.
pub(crate) fn is_odd(order: &[usize]) -> bool {
    let mut seen = vec![false; order.len()];
    let mut odd = false;
    for start in 0..order.len() {
        let mut at = start;
        let mut length = 0usize;
        while !seen[at] {
            seen[at] = true;
            at = order[at];
            length += 1;
        }
        odd ^= length > 0 && length.is_multiple_of(2);
    }
    odd
}
