//! Owns the reference of linear algebra, by textbook algorithms in double precision.

use std::cmp::Ordering;

use num_complex::Complex;
use olivine_core::{Dtype, Kind};

use super::{
    Args,
    args::integers,
    dense::{Dense, Z, peak},
};
use crate::{
    Tensor, Value,
    tensor::{broadcast, indices},
};

/// The results of a sample whose name starts with `linalg.`.
pub(super) fn linalg(op: &str, args: &Args, inputs: &[Tensor]) -> Option<Vec<Tensor>> {
    match (op, inputs) {
        ("norm", [x]) => Some(vec![norm(args, x)?]),
        ("cross", [a, b]) => Some(vec![cross(a, b, args.integer("axis")?)]),
        ("solve" | "solve_triangular", [a, b]) => Some(vec![systems(op, args, &graded(a), b)]),
        ("eig" | "eigvals", [x]) if args.has("turning") => {
            let turn = [0.0, -6.0, 6.0, 0.0];
            let values = x.values.iter().zip(turn).map(|(v, t)| plus(*v, t));
            let x = Tensor::new(x.dtype, x.shape.clone(), values);
            each(op, args, &x)
        }
        ("det" | "slogdet", [x]) if x.dtype == Dtype::Bool => each(op, args, x),
        ("lu" | "lu_factor", [x]) => {
            let x = graded(x);
            let rows = x.shape[x.rank() - 2];
            let flipped = Tensor::build(x.dtype, x.shape.clone(), |index| {
                let mut at = index.to_vec();
                at[index.len() - 2] = rows - 1 - at[index.len() - 2];
                x.at(&at)
            });
            each(op, args, &flipped)
        }
        (_, [x]) => each(op, args, &graded(x)),
        _ => None,
    }
}

fn plus(value: Value, real: f64) -> Value {
    match value {
        Value::Int(v) => Value::Int(v + real as i128),
        Value::Real(_) | Value::Complex(_) => Value::Complex(value.complex() + real),
    }
}

/// The matrices with 6, 12, … added on the diagonal.
fn graded(x: &Tensor) -> Tensor {
    Tensor::build(x.dtype, x.shape.clone(), |index| {
        let (i, j) = (index[index.len() - 2], index[index.len() - 1]);
        plus(x.at(index), if i == j { 6.0 * (j + 1) as f64 } else { 0.0 })
    })
}

/// The matrices in the last two axes.
fn matrices(x: &Tensor) -> Vec<Dense> {
    let (batch, own) = x.shape.split_at(x.rank() - 2);
    let read = |at: Vec<usize>| {
        Dense::build(own[0], own[1], |i, j| {
            x.at(&[&at[..], &[i, j]].concat()).complex()
        })
    };
    indices(batch).into_iter().map(read).collect()
}

/// One output: its dtype, the shape of one piece, and the pieces.
struct Output {
    dtype: Dtype,
    own: Vec<usize>,
    pieces: Vec<Vec<Z>>,
}

/// What a function of one matrix gives: for each output its values.
type Found = Vec<Vec<Z>>;

fn reals(values: &[f64]) -> Vec<Z> {
    values.iter().copied().map(Z::from).collect()
}

fn counts(values: &[usize]) -> Vec<Z> {
    values.iter().map(|&v| Z::from(v as f64)).collect()
}

fn unit(z: Z) -> Z {
    z / z.norm()
}

fn each(op: &str, args: &Args, x: &Tensor) -> Option<Vec<Tensor>> {
    let (batch, own) = x.shape.split_at(x.rank() - 2);
    let (m, n) = (own[0], own[1]);
    let k = m.min(n);
    let upper = args.has("upper") || args.get("UPLO") == Some("U");
    let dtype = match x.dtype.kind() {
        Kind::Float | Kind::Complex => x.dtype,
        Kind::Bool | Kind::Signed | Kind::Unsigned => Dtype::Float32,
    };
    let magnitude = if dtype == Dtype::Complex64 {
        Dtype::Float32
    } else {
        dtype
    };
    let index = Dtype::Uint32;
    let vectors = args.label().is_empty() || args.has("turning");
    let specs: Vec<(Dtype, Vec<usize>)> = match op {
        "cholesky" | "cholesky_inv" | "inv" | "tri_inv" => vec![(dtype, vec![n, n])],
        "pinv" => vec![(dtype, vec![n, m])],
        "det" => vec![(dtype, vec![])],
        "slogdet" => vec![(dtype, vec![]), (dtype, vec![])],
        "qr" => vec![(dtype, vec![m, k]), (dtype, vec![k, n])],
        "lu" => vec![(index, vec![m]), (dtype, vec![m, k]), (dtype, vec![k, n])],
        "lu_factor" => vec![(dtype, vec![m, n]), (index, vec![k])],
        "svd" if args.has("projections") => vec![(dtype, vec![m, m]), (dtype, vec![n, n])],
        "svd" if vectors => {
            vec![
                (dtype, vec![m, k]),
                (magnitude, vec![k]),
                (dtype, vec![k, n]),
            ]
        }
        "svd" => vec![(magnitude, vec![k])],
        "eigh" => vec![(magnitude, vec![n]), (dtype, vec![n, n])],
        "eigvalsh" => vec![(magnitude, vec![n])],
        "eigvals" => vec![(Dtype::Float32, vec![n]); 2],
        "eig" => {
            let (values, vectors) = ((Dtype::Float32, vec![n]), (Dtype::Float32, vec![n, n]));
            vec![values.clone(), values, vectors.clone(), vectors]
        }
        _ => return None,
    };
    let triangle = matches!(
        op,
        "cholesky" | "cholesky_inv" | "tri_inv" | "eigh" | "eigvalsh"
    );
    let mut outputs: Vec<Output> = specs
        .into_iter()
        .map(|(dtype, own)| Output {
            dtype,
            own,
            pieces: Vec::new(),
        })
        .collect();
    for a in matrices(x) {
        let a = match (triangle, upper) {
            (false, _) => a,
            (true, false) => a.masked(|i, j| i >= j),
            (true, true) => a.masked(|i, j| i <= j),
        };
        let found = a.finite().then(|| of_one(op, args, &a, upper));
        for (i, output) in outputs.iter_mut().enumerate() {
            output.pieces.push(match &found {
                Some(found) => found[i].clone(),
                // Without vectors beyond the singular values there is nothing to project on.
                None if args.has("projections") && [m, n][i] == k => {
                    vec![Z::ZERO; output.own.iter().product()]
                }
                None if op == "lu" && i > 0 => triangle_of_unknown(i == 1, &output.own),
                None if output.dtype == index => counts(&(0..output.own[0]).collect::<Vec<_>>()),
                None => vec![Z::new(f64::NAN, f64::NAN); output.own.iter().product()],
            });
        }
    }
    let tensor = |output: Output| {
        let shape = [batch, &output.own[..]].concat();
        Tensor::new(
            output.dtype,
            shape,
            output.pieces.concat().into_iter().map(Value::Complex),
        )
    };
    Some(outputs.into_iter().map(tensor).collect())
}

/// A triangle of numbers that are not known; a lower one has ones on its diagonal.
fn triangle_of_unknown(lower: bool, shape: &[usize]) -> Vec<Z> {
    let nan = Z::new(f64::NAN, f64::NAN);
    let value = |i: usize, j: usize| match (i.cmp(&j), lower) {
        (Ordering::Equal, true) => Z::ONE,
        (Ordering::Less, true) | (Ordering::Greater, false) => Z::ZERO,
        (Ordering::Greater, true) | (Ordering::Less | Ordering::Equal, false) => nan,
    };
    Dense::build(shape[0], shape[1], value).values
}

fn of_one(op: &str, args: &Args, a: &Dense, upper: bool) -> Found {
    let (m, n) = (a.rows, a.columns);
    let k = m.min(n);
    match op {
        "cholesky" if upper => vec![a.transposed().cholesky().transposed().values],
        "cholesky" => vec![a.cholesky().values],
        "cholesky_inv" if upper => vec![a.adjoint().times(a).inverse().values],
        "cholesky_inv" => vec![a.times(&a.adjoint()).inverse().values],
        "inv" | "tri_inv" => vec![a.inverse().values],
        "pinv" if m >= n => vec![a.adjoint().times(a).solve(&a.adjoint()).values],
        "pinv" => vec![a.times(&a.adjoint()).adjoint().solve(a).adjoint().values],
        "det" => vec![vec![a.determinant()]],
        "slogdet" => {
            let d = a.determinant().re;
            let sign = if d == 0.0 { 0.0 } else { d.signum() };
            vec![reals(&[sign]), reals(&[d.abs().ln()])]
        }
        "qr" => {
            let (q, r) = a.qr();
            vec![q.values, r.values]
        }
        "lu" => {
            let (factors, _, order) = a.lu();
            let mut places = vec![0; m];
            for (place, &row) in order.iter().enumerate() {
                places[row] = place;
            }
            let lower = Dense::build(m, k, |i, j| match i.cmp(&j) {
                Ordering::Less => Z::ZERO,
                Ordering::Equal => Z::ONE,
                Ordering::Greater => factors.at(i, j),
            });
            let upper = factors.head(k, n).masked(|i, j| i <= j);
            vec![counts(&places), lower.values, upper.values]
        }
        "lu_factor" => {
            let (factors, exchanges, _) = a.lu();
            vec![factors.values, counts(&exchanges)]
        }
        "svd" => {
            let (u, s, v) = a.svd();
            if args.has("projections") {
                let rest = |side: &Dense| {
                    Dense::identity(side.rows)
                        .minus(&side.times(&side.adjoint()))
                        .values
                };
                return vec![rest(&u), rest(&v)];
            }
            if args.has("compute_uv") {
                return vec![reals(&s)];
            }
            let turn = |j: usize| {
                let column: Vec<Z> = (0..m).map(|i| u.at(i, j)).collect();
                unit(column[peak(&column)])
            };
            let left = Dense::build(m, k, |i, j| u.at(i, j) * turn(j).conj());
            let right = Dense::build(k, n, |i, j| v.at(j, i).conj() * turn(i));
            vec![left.values, reals(&s), right.values]
        }
        "eigh" | "eigvalsh" => {
            let whole = Dense::build(n, n, |i, j| match (i == j, (i > j) != upper) {
                (true, _) => Z::from(a.at(i, i).re),
                (false, true) => a.at(i, j),
                (false, false) => a.at(j, i).conj(),
            });
            let (values, vectors) = whole.eigen();
            vec![values, turned(&vectors).values]
        }
        _ => {
            let (values, vectors) = a.eigen();
            let relative = Dense::build(n, n, |i, j| vectors.at(i, j) * vectors.at(0, j).conj());
            let imaginary = |values: &[Z]| values.iter().map(|z| Z::from(z.im)).collect();
            vec![
                values.clone(),
                imaginary(&values),
                relative.values.clone(),
                imaginary(&relative.values),
            ]
        }
    }
}

/// The symmetric square root of a matrix of two rows that is graded three times, row by row.
pub(super) fn square_root(x: &Tensor) -> Vec<f64> {
    let lower = matrices(&graded(&graded(&graded(x))))[0].masked(|i, j| i >= j);
    if !lower.finite() {
        return vec![f64::NAN; 4];
    }
    let (a, b, d) = (lower.at(0, 0).re, lower.at(1, 0).re, lower.at(1, 1).re);
    // By the theorem of Cayley and Hamilton.
    let root = (a * d - b * b).sqrt();
    let scale = (a + d + 2.0 * root).sqrt();
    [a + root, b, b, d + root].map(|x| x / scale).to_vec()
}

/// Each column divided by the direction of its element on the diagonal.
fn turned(vectors: &Dense) -> Dense {
    Dense::build(vectors.rows, vectors.columns, |i, j| {
        vectors.at(i, j) * unit(vectors.at(j, j)).conj()
    })
}

fn systems(op: &str, args: &Args, a: &Tensor, b: &Tensor) -> Tensor {
    let vector = b.rank() == 1;
    let b = if vector {
        b.reshaped([b.shape[0], 1])
    } else {
        b.clone()
    };
    let (batch_a, own_a) = a.shape.split_at(a.rank() - 2);
    let (batch_b, own_b) = b.shape.split_at(b.rank() - 2);
    let batch = broadcast(&[batch_a, batch_b]);
    let full = |x: &Tensor, own: &[usize]| {
        Tensor::build(x.dtype, [&batch, own].concat(), |index| {
            x.at_broadcast(index)
        })
    };
    let pairs = matrices(&full(a, own_a))
        .into_iter()
        .zip(matrices(&full(&b, own_b)));
    let upper = args.has("upper");
    let solved = pairs.flat_map(|(a, b)| {
        let a = match (op, upper) {
            ("solve", _) => a,
            (_, false) => a.masked(|i, j| i >= j),
            (_, true) => a.masked(|i, j| i <= j),
        };
        if a.finite() && b.finite() {
            a.solve(&b).values
        } else {
            vec![Z::new(f64::NAN, f64::NAN); b.values.len()]
        }
    });
    let x = Tensor::new(
        b.dtype,
        [&batch, own_b].concat(),
        solved.map(Value::Complex),
    );
    if vector {
        x.reshaped(own_b[..1].to_vec())
    } else {
        x
    }
}

fn cross(a: &Tensor, b: &Tensor, axis: i64) -> Tensor {
    let dtype = a.dtype.promote(b.dtype);
    let rank = a.rank().max(b.rank());
    let axis = if axis < 0 { axis + rank as i64 } else { axis } as usize;
    let without = |x: &Tensor| {
        let mut shape = [vec![1; rank - x.rank()], x.shape.clone()].concat();
        shape[axis] = 1;
        shape
    };
    let mut shape = broadcast(&[&without(a), &without(b)]);
    shape[axis] = 3;
    let part = |x: &Tensor, index: &[usize], i: usize| {
        let mut at = index.to_vec();
        at[axis] = i;
        if i >= x.shape[x.rank() + axis - rank] {
            Value::Int(0)
        } else {
            x.at_broadcast(&at)
        }
    };
    let product = |x: Value, y: Value| match (x, y) {
        (Value::Int(x), Value::Int(y)) if !matches!(dtype.kind(), Kind::Float | Kind::Complex) => {
            Value::Int(x * y)
        }
        _ if dtype == Dtype::Complex64 => Value::Complex(x.complex() * y.complex()).stored(dtype),
        _ => Value::Real(x.real() * y.real()).stored(dtype),
    };
    Tensor::build(dtype, shape, |index| {
        let (i, j) = ((index[axis] + 1) % 3, (index[axis] + 2) % 3);
        let first = product(part(a, index, i), part(b, index, j));
        let second = product(part(a, index, j), part(b, index, i));
        match (first, second) {
            (Value::Int(x), Value::Int(y)) => Value::Int(x - y),
            (x, y) => Value::Complex(x.complex() - y.complex()),
        }
    })
}

fn norm(args: &Args, x: &Tensor) -> Option<Tensor> {
    let dtype = match x.dtype.kind() {
        Kind::Complex => Dtype::Float32,
        Kind::Float => x.dtype,
        Kind::Bool | Kind::Signed | Kind::Unsigned => Dtype::Float32,
    };
    let text = args.get("axis")?;
    let axes: Vec<usize> = match text {
        "None" => (0..x.rank()).collect(),
        _ => integers(text)?
            .into_iter()
            .map(|axis| x.axis(axis))
            .collect(),
    };
    let order = args.get("ord")?;
    let number = order.strip_prefix("P(").and_then(|o| o.strip_suffix(')'));
    let number: Option<f64> = number.and_then(|o| o.parse().ok());
    let rest: Vec<usize> = (0..x.rank()).filter(|axis| !axes.contains(axis)).collect();
    let outer: Vec<usize> = rest.iter().map(|&axis| x.shape[axis]).collect();
    let inner: Vec<usize> = axes.iter().map(|&axis| x.shape[axis]).collect();
    let values = indices(&outer).into_iter().map(|outside| {
        let elements: Vec<Z> = indices(&inner)
            .into_iter()
            .map(|inside| {
                let mut at = vec![0; x.rank()];
                for (&axis, i) in rest.iter().zip(&outside).chain(axes.iter().zip(&inside)) {
                    at[axis] = *i;
                }
                x.at(&at).complex()
            })
            .collect();
        Value::Real(match (number, inner.len()) {
            (Some(p), 2) => of_matrix(&elements, inner[0], inner[1], p),
            (Some(p), _) => of_vector(&elements, p),
            (None, _) if order == "Nuclear" => singular(&elements, inner[0], inner[1]).iter().sum(),
            (None, _) => of_vector(&elements, 2.0),
        })
    });
    let values: Vec<Value> = values.collect();
    let shape = if args.has("keepdims") {
        (0..x.rank())
            .map(|axis| {
                if axes.contains(&axis) {
                    1
                } else {
                    x.shape[axis]
                }
            })
            .collect()
    } else {
        outer
    };
    Some(Tensor::new(dtype, shape, values))
}

fn greatest(values: impl Iterator<Item = f64>) -> f64 {
    values
        .reduce(|a, b| if a.is_nan() || a >= b { a } else { b })
        .unwrap_or(0.0)
}

fn least(values: impl Iterator<Item = f64>) -> f64 {
    values
        .reduce(|a, b| if a.is_nan() || a <= b { a } else { b })
        .unwrap_or(0.0)
}

fn of_vector(x: &[Z], p: f64) -> f64 {
    let sizes = || x.iter().map(|z| z.norm());
    if p == f64::INFINITY {
        greatest(sizes())
    } else if p == f64::NEG_INFINITY {
        least(sizes())
    } else if p == 0.0 {
        sizes().filter(|&s| s != 0.0).count() as f64
    } else {
        sizes().map(|s| s.powf(p)).sum::<f64>().powf(1.0 / p)
    }
}

fn of_matrix(x: &[Complex<f64>], rows: usize, columns: usize, p: f64) -> f64 {
    let size = |i: usize, j: usize| x[i * columns + j].norm();
    let of_column = |j: usize| (0..rows).map(|i| size(i, j)).sum::<f64>();
    let of_row = |i: usize| (0..columns).map(|j| size(i, j)).sum::<f64>();
    if p == 1.0 {
        greatest((0..columns).map(of_column))
    } else if p == -1.0 {
        least((0..columns).map(of_column))
    } else if p == f64::INFINITY {
        greatest((0..rows).map(of_row))
    } else if p == f64::NEG_INFINITY {
        least((0..rows).map(of_row))
    } else if p > 0.0 {
        greatest(singular(x, rows, columns).into_iter())
    } else {
        least(singular(x, rows, columns).into_iter())
    }
}

/// Singular values of any matrix, by one-sided rotations that make columns orthogonal.
fn singular(x: &[Z], rows: usize, columns: usize) -> Vec<f64> {
    let mut a = Dense::build(rows, columns, |i, j| x[i * columns + j]);
    if !a.finite() {
        return vec![f64::NAN; rows.min(columns)];
    }
    if rows < columns {
        a = a.adjoint();
    }
    for _ in 0..60 {
        for p in 0..a.columns {
            for q in p + 1..a.columns {
                let dot = |s: usize, t: usize| -> Z {
                    (0..a.rows).map(|i| a.at(i, s).conj() * a.at(i, t)).sum()
                };
                let (pp, qq, pq) = (dot(p, p).re, dot(q, q).re, dot(p, q));
                if pq.norm() == 0.0 {
                    continue;
                }
                let phase = unit(pq);
                let zeta = (qq - pp) / (2.0 * pq.norm());
                let t = zeta.signum() / (zeta.abs() + (1.0 + zeta * zeta).sqrt());
                let c = 1.0 / (1.0 + t * t).sqrt();
                for i in 0..a.rows {
                    let (x, y) = (a.at(i, p), a.at(i, q) * phase.conj());
                    a.put(i, p, x * c - y * (c * t));
                    a.put(i, q, x * (c * t) + y * c);
                }
            }
        }
    }
    let length = |j| {
        (0..a.rows)
            .map(|i| a.at(i, j).norm_sqr())
            .sum::<f64>()
            .sqrt()
    };
    (0..a.columns).map(length).collect()
}
