//! Owns systems of linear equations and inverses.

use serde::{Deserialize, Serialize};

use super::{
    Input, OpInfo, Sample, identity_like, inexact, kinds, matrix,
    samples::{self, graded},
    square, transpose,
};
use crate::{
    Array, Error, Result, Shape,
    graph::{Batched, Gradients, Jvp, Primitive, Specs, Tangents, Vjp, Vmap, no_decomposition},
};

/// The inverse of square matrices.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, Array};
/// use olivine_core::linalg::Inverse;
/// let y = Array::apply_one(Inverse, [array!([[2.0, 0.0], [0.0, 4.0]])])?;
/// assert_eq!(y.to_vec::<f32>()?, [0.5, 0.0, 0.0, 0.25]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Inverse;

crate::stored!(Inverse);

impl Primitive for Inverse {
    fn name(&self) -> &'static str {
        "linalg.inv"
    }

    fn infer(&self, inputs: &[Array]) -> Result<Specs> {
        crate::graph::exactly(self.name(), 1, inputs)?;
        square(self.name(), &inputs[0])?;
        Ok([inputs[0].spec().clone()].into())
    }

    fn vjp(&self, vjp: &Vjp) -> Result<Gradients> {
        let inverse = transpose(&vjp.outputs[0])?;
        vjp.each(|_| inverse.matmul(vjp.cotangent())?.matmul(&inverse)?.negative().map(Some))
    }

    fn jvp(&self, jvp: &Jvp) -> Result<Tangents> {
        let inverse = &jvp.outputs[0];
        let along = |t: &Array| inverse.matmul(t)?.matmul(inverse)?.negative();
        Ok([jvp.tangents[0].as_ref().map(along).transpose()?].into())
    }

    fn vmap(&self, vmap: &Vmap) -> Result<Batched> {
        vmap.lifted(*self)
    }

    fn decompose(&self, inputs: &[Array]) -> Result<Vec<Array>> {
        let rows = square(self.name(), &inputs[0])?;
        let identity = identity_like(&inputs[0], rows)?;
        Ok(vec![solve(&inputs[0], &identity)?])
    }
}

/// The solution x of `a x = b` for square matrices `a` and matrices `b`, with equal leading axes.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, Array};
/// use olivine_core::linalg::Solve;
/// let x = Array::apply_one(Solve, [array!([[2.0, 0.0], [0.0, 4.0]]), array!([[1.0], [1.0]])])?;
/// assert_eq!(x.to_vec::<f32>()?, [0.5, 0.25]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Solve;

/// As [`Solve`], where one triangle of `a` is read.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, Array};
/// use olivine_core::linalg::SolveTriangular;
/// let (a, b) = (array!([[2.0, 4.0], [9.0, 4.0]]), array!([[8.0], [4.0]]));
/// let x = Array::apply_one(SolveTriangular { upper: true }, [a, b])?;
/// assert_eq!(x.to_vec::<f32>()?, [2.0, 1.0]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct SolveTriangular {
    /// Whether it is the upper one.
    pub upper: bool,
}

/// Either kind of system of equations.
trait System: Primitive + Copy {
    /// The kind of system that the transposed matrix is.
    fn transposed(self) -> Self;

    /// The elements of a matrix that count.
    fn masked(self, a: &Array) -> Result<Array>;

    fn reverse(self, vjp: &Vjp) -> Result<Gradients> {
        let inputs = [transpose(&vjp.inputs[0])?, vjp.cotangent().clone()];
        let of_b = Array::apply_one(self.transposed(), inputs)?;
        vjp.each(|i| {
            if i == 1 {
                return Ok(Some(of_b.clone()));
            }
            let of_a = of_b.matmul(transpose(&vjp.outputs[0])?)?.negative()?;
            self.masked(&of_a).map(Some)
        })
    }

    fn forward(self, jvp: &Jvp) -> Result<Tangents> {
        let moved = match &jvp.tangents[0] {
            Some(tangent) => Some(self.masked(tangent)?.matmul(&jvp.outputs[0])?),
            None => None,
        };
        let right = match (&jvp.tangents[1], moved) {
            (Some(tangent), Some(moved)) => tangent.subtract(moved)?,
            (Some(tangent), None) => tangent.clone(),
            (None, Some(moved)) => moved.negative()?,
            (None, None) => return jvp.zero(),
        };
        Ok([Some(Array::apply_one(self, [jvp.inputs[0].clone(), right])?)].into())
    }
}

impl System for Solve {
    fn transposed(self) -> Self {
        self
    }

    fn masked(self, a: &Array) -> Result<Array> {
        Ok(a.clone())
    }
}

impl System for SolveTriangular {
    fn transposed(self) -> Self {
        SolveTriangular { upper: !self.upper }
    }

    fn masked(self, a: &Array) -> Result<Array> {
        if self.upper { a.triu(0) } else { a.tril(0) }
    }
}

crate::stored!(Solve);

impl Primitive for Solve {
    fn name(&self) -> &'static str {
        "linalg.solve"
    }

    fn infer(&self, inputs: &[Array]) -> Result<Specs> {
        crate::graph::exactly(self.name(), 2, inputs)?;
        solution(self.name(), &inputs[0], &inputs[1])
    }

    fn vjp(&self, vjp: &Vjp) -> Result<Gradients> {
        self.reverse(vjp)
    }

    fn jvp(&self, jvp: &Jvp) -> Result<Tangents> {
        self.forward(jvp)
    }

    fn vmap(&self, vmap: &Vmap) -> Result<Batched> {
        vmap.lifted(*self)
    }

    fn decompose(&self, _inputs: &[Array]) -> Result<Vec<Array>> {
        no_decomposition(self.name())
    }
}

crate::stored!(SolveTriangular);

impl Primitive for SolveTriangular {
    fn name(&self) -> &'static str {
        "linalg.solve_triangular"
    }

    fn infer(&self, inputs: &[Array]) -> Result<Specs> {
        crate::graph::exactly(self.name(), 2, inputs)?;
        solution(self.name(), &inputs[0], &inputs[1])
    }

    fn vjp(&self, vjp: &Vjp) -> Result<Gradients> {
        self.reverse(vjp)
    }

    fn jvp(&self, jvp: &Jvp) -> Result<Tangents> {
        self.forward(jvp)
    }

    fn vmap(&self, vmap: &Vmap) -> Result<Batched> {
        vmap.lifted(*self)
    }

    fn decompose(&self, _inputs: &[Array]) -> Result<Vec<Array>> {
        no_decomposition(self.name())
    }
}

/// What solves systems of equal leading axes and dtypes.
fn solution(op: &'static str, a: &Array, b: &Array) -> Result<Specs> {
    check(op, a, b)?;
    if a.dtype() != b.dtype() {
        let reason = "matrices and right-hand sides have one dtype";
        return Err(Error::Dtype { op, dtype: b.dtype(), reason });
    }
    if a.ndim() != b.ndim() || a.shape()[..a.ndim() - 2] != b.shape()[..b.ndim() - 2] {
        let (left, right) = (a.shape().clone(), b.shape().clone());
        return Err(Error::Broadcast { op, left, right });
    }
    Ok([b.spec().clone()].into())
}

/// Checks that `a` is square and has as many columns as `b` has rows.
fn check(op: &'static str, a: &Array, b: &Array) -> Result<()> {
    let columns = square(op, a)?;
    let (rows, _) = matrix(op, b)?;
    if columns != rows {
        let (a, b) = (a.shape(), b.shape());
        let reason = format!("matrices of shape {a} do not fit right-hand sides of shape {b}");
        return Err(Error::Shape { op, reason });
    }
    Ok(())
}

/// Records a system after making dtypes and leading axes equal.
fn system(
    op: &'static str,
    a: &Array,
    b: &Array,
    primitive: impl Primitive,
) -> Result<Array> {
    let dtype = a.dtype().promote(b.dtype());
    square(op, a)?;
    let vector = b.ndim() == 1;
    let left = inexact(op, &a.astype(dtype)?)?;
    let mut right = inexact(op, &b.astype(dtype)?)?;
    if vector {
        right = right.expand_dims(-1)?;
    }
    check(op, &left, &right)?;
    let (batch_a, own_a) = left.shape().split_at(left.ndim() - 2);
    let (batch_b, own_b) = right.shape().split_at(right.ndim() - 2);
    let batch = Shape::from(batch_a).broadcast(&batch_b.into(), op)?;
    let full = |own: &[usize]| -> Shape { batch.iter().chain(own).copied().collect() };
    let inputs = [left.broadcast_shape(&full(own_a)), right.broadcast_shape(&full(own_b))];
    let mut x = Array::apply_one(primitive, inputs)?;
    if vector {
        x = x.squeeze(-1)?;
    }
    x.astype(dtype)
}

/// The solution x of `a x = b` for square matrices `a`. A vector `b` counts as a column; leading axes
/// broadcast. Real or complex.
///
/// Evaluation fails if a matrix is singular.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, linalg};
/// let x = linalg::solve(&array!([[2.0, 0.0], [0.0, 4.0]]), &array!([1.0, 1.0]))?;
/// assert_eq!(x.to_vec::<f32>()?, [0.5, 0.25]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn solve(a: &Array, b: &Array) -> Result<Array> {
    system("linalg.solve", a, b, Solve)
}

/// The solution x of `a x = b` for lower triangles `a`, or upper ones. The other triangle is not read.
/// A vector `b` counts as a column; leading axes broadcast. Real or complex.
///
/// Evaluation fails if a diagonal has a zero.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, linalg};
/// let x = linalg::solve_triangular(&array!([[2.0, 9.0], [2.0, 4.0]]), &array!([1.0, 3.0]), false)?;
/// assert_eq!(x.to_vec::<f32>()?, [0.5, 0.5]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn solve_triangular(a: &Array, b: &Array, upper: bool) -> Result<Array> {
    system("linalg.solve_triangular", a, b, SolveTriangular { upper })
}

/// The inverse of square matrices, real or complex.
///
/// Evaluation fails if a matrix is singular.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, linalg};
/// let inverse = linalg::inv(&array!([[2.0, 0.0], [0.0, 4.0]]))?;
/// assert_eq!(inverse.to_vec::<f32>()?, [0.5, 0.0, 0.0, 0.25]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn inv(a: &Array) -> Result<Array> {
    let matrix = inexact("linalg.inv", a)?;
    Array::apply_one(Inverse, [matrix])?.astype(a.dtype())
}

/// The inverse of lower triangles, or upper ones, real or complex. The other triangle is not read.
///
/// Evaluation fails if a diagonal has a zero.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, linalg};
/// let inverse = linalg::tri_inv(&array!([[2.0, 9.0], [2.0, 4.0]]), false)?;
/// assert_eq!(inverse.to_vec::<f32>()?, [0.5, 0.0, -0.25, 0.25]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn tri_inv(a: &Array, upper: bool) -> Result<Array> {
    const OP: &str = "linalg.tri_inv";
    let rows = square(OP, a)?;
    let wide = inexact(OP, a)?;
    let identity = identity_like(&wide, rows)?;
    system(OP, &wide, &identity, SolveTriangular { upper })?.astype(a.dtype())
}

pub(super) fn ops() -> Vec<OpInfo> {
    fn systems(solve: fn(&Array, &Array) -> Result<Array>, label: &'static str) -> Vec<Sample> {
        let case = move |a: &[usize], b: &[usize]| {
            Sample::new(label, [Input::any(a), Input::any(b)], move |x| solve(&graded(&x[0])?, &x[1]))
        };
        vec![
            case(&[3, 3], &[3, 2]),
            case(&[3, 3], &[3]),
            case(&[2, 1, 3, 3], &[4, 3, 1]),
            case(&[5, 5], &[5, 5]),
            case(&[1, 1], &[1, 1]),
            case(&[0, 0], &[0, 2]),
            case(&[3, 3], &[3, 0]),
            case(&[0, 2, 2], &[2, 1]),
        ]
    }
    fn inverses(inverse: fn(&Array) -> Result<Array>, label: &'static str) -> Vec<Sample> {
        let case = |shape: &[usize]| samples::on(shape, label, move |a| Ok(vec![inverse(a)?]));
        vec![case(&[3, 3]), case(&[2, 2, 2]), case(&[1, 1]), case(&[0, 0]), case(&[0, 2, 2])]
    }
    vec![
        samples::op(
            "linalg.solve",
            "The solution of systems of linear equations.",
            "linalg.solve(a, b)",
            kinds::INEXACT,
            || systems(solve, ""),
        ),
        samples::op(
            "linalg.solve_triangular",
            "The solution of systems of linear equations with triangular matrices.",
            "linalg.solve_triangular(a, b, *, upper=False)",
            kinds::INEXACT,
            || {
                let mut samples = systems(|a, b| solve_triangular(a, b, false), "");
                samples.extend(systems(|a, b| solve_triangular(a, b, true), "upper"));
                samples
            },
        ),
        samples::op(
            "linalg.inv",
            "The inverse of square matrices.",
            "linalg.inv(a)",
            kinds::INEXACT,
            || inverses(inv, ""),
        ),
        samples::op(
            "linalg.tri_inv",
            "The inverse of triangular matrices.",
            "linalg.tri_inv(a, upper=False)",
            kinds::INEXACT,
            || {
                let mut samples = inverses(|a| tri_inv(a, false), "");
                samples.extend(inverses(|a| tri_inv(a, true), "upper"));
                samples
            },
        ),
    ]
}
