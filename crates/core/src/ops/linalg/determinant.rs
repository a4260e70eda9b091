//! Owns determinants.

use serde::{Deserialize, Serialize};

use super::{OpInfo, Sample, inv, kinds, real, samples, square, transpose, transposed, when};
use crate::{
    Array, Dtype, Error, Result,
    graph::{
        Batched, Gradients, Jvp, Primitive, Spec, Specs, Tangents, Vjp, Vmap, no_decomposition,
    },
    ops::Input,
};

/// The determinants of square matrices.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, Array};
/// use olivine_core::linalg::Determinant;
/// let determinants = Array::apply_one(Determinant, [array!([[[2.0]], [[3.0]]])])?;
/// assert_eq!(determinants.to_vec::<f32>()?, [2.0, 3.0]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Determinant;

/// The matrices of cofactors of square matrices: the derivative of the determinant.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, Array, Tolerance};
/// use olivine_core::linalg::Cofactors;
/// let y = Array::apply_one(Cofactors, [array!([[1.0, 2.0], [3.0, 4.0]])])?;
/// assert!(y.allclose(array!([[4.0, -3.0], [-2.0, 1.0]]), Tolerance::default())?.item::<bool>()?);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Cofactors;

/// The signs of determinants and the logarithms of their magnitudes.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, Array};
/// use olivine_core::linalg::SignedLogDeterminant;
/// let outputs = Array::apply(SignedLogDeterminant, [array!([[0.0, 1.0], [1.0, 0.0]])])?;
/// assert_eq!((outputs[0].item::<f32>()?, outputs[1].item::<f32>()?), (-1.0, 0.0));
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct SignedLogDeterminant;

/// One number for each matrix.
fn scalars(op: &'static str, a: &Array) -> Result<Spec> {
    square(op, a)?;
    Ok(Spec::new(&a.shape()[..a.ndim() - 2], a.dtype()))
}

/// The sums of products of the elements of two matrices.
fn inner(a: &Array, b: &Array) -> Result<Array> {
    a.multiply(b)?.sum([-2, -1])
}

crate::stored!(Determinant);

impl Primitive for Determinant {
    fn name(&self) -> &'static str {
        "linalg.det"
    }

    fn infer(&self, inputs: &[Array]) -> Result<Specs> {
        crate::graph::exactly(self.name(), 1, inputs)?;
        Ok([scalars(self.name(), &inputs[0])?].into())
    }

    fn vjp(&self, vjp: &Vjp) -> Result<Gradients> {
        let cotangent = vjp.cotangent().expand_dims(-1)?.expand_dims(-1)?;
        vjp.each(|_| {
            let cofactors = Array::apply_one(Cofactors, [vjp.inputs[0].clone()])?;
            cofactors.multiply(&cotangent).map(Some)
        })
    }

    fn jvp(&self, jvp: &Jvp) -> Result<Tangents> {
        let Some(tangent) = &jvp.tangents[0] else { return jvp.zero() };
        let cofactors = Array::apply_one(Cofactors, [jvp.inputs[0].clone()])?;
        Ok([Some(inner(&cofactors, tangent)?)].into())
    }

    fn vmap(&self, vmap: &Vmap) -> Result<Batched> {
        vmap.lifted(*self)
    }

    fn decompose(&self, _inputs: &[Array]) -> Result<Vec<Array>> {
        no_decomposition(self.name())
    }
}

impl Cofactors {
    fn forward(input: &Array, output: &Array, tangents: &[Option<Array>]) -> Result<Tangents> {
        let Some(tangent) = &tangents[0] else { return Ok([None].into()) };
        let inverse = transpose(&inv(input)?)?;
        let growth = inner(&inverse, tangent)?.expand_dims(-1)?.expand_dims(-1)?;
        let turned = inverse.matmul(transpose(tangent)?)?.matmul(output)?;
        Ok([Some(output.multiply(growth)?.subtract(turned)?)].into())
    }
}

crate::stored!(Cofactors);

impl Primitive for Cofactors {
    fn name(&self) -> &'static str {
        "linalg.det"
    }

    fn infer(&self, inputs: &[Array]) -> Result<Specs> {
        crate::graph::exactly(self.name(), 1, inputs)?;
        square(self.name(), &inputs[0])?;
        Ok([inputs[0].spec().clone()].into())
    }

    fn vjp(&self, vjp: &Vjp) -> Result<Gradients> {
        transposed(vjp, |tangents, _| Self::forward(&vjp.inputs[0], &vjp.outputs[0], tangents))
    }

    fn jvp(&self, jvp: &Jvp) -> Result<Tangents> {
        Self::forward(&jvp.inputs[0], &jvp.outputs[0], jvp.tangents)
    }

    fn vmap(&self, vmap: &Vmap) -> Result<Batched> {
        vmap.lifted(*self)
    }

    fn decompose(&self, inputs: &[Array]) -> Result<Vec<Array>> {
        let determinant = det(&inputs[0])?.expand_dims(-1)?.expand_dims(-1)?;
        Ok(vec![transpose(&inv(&inputs[0])?)?.multiply(determinant)?])
    }
}

impl SignedLogDeterminant {
    fn forward(input: &Array, tangents: &[Option<Array>], needed: &[bool]) -> Result<Tangents> {
        let Some(tangent) = &tangents[0] else { return Ok([None, None].into_iter().collect()) };
        let along = when(needed[1], || inner(&transpose(&inv(input)?)?, tangent))?;
        Ok([None, along].into_iter().collect())
    }
}

crate::stored!(SignedLogDeterminant);

impl Primitive for SignedLogDeterminant {
    fn name(&self) -> &'static str {
        "linalg.slogdet"
    }

    fn infer(&self, inputs: &[Array]) -> Result<Specs> {
        crate::graph::exactly(self.name(), 1, inputs)?;
        let spec = scalars(self.name(), &inputs[0])?;
        Ok([spec.clone(), spec].into_iter().collect())
    }

    fn vjp(&self, vjp: &Vjp) -> Result<Gradients> {
        transposed(vjp, |tangents, needed| Self::forward(&vjp.inputs[0], tangents, needed))
    }

    fn jvp(&self, jvp: &Jvp) -> Result<Tangents> {
        Self::forward(&jvp.inputs[0], jvp.tangents, &[true, true])
    }

    fn vmap(&self, vmap: &Vmap) -> Result<Batched> {
        vmap.lifted(*self)
    }

    fn decompose(&self, inputs: &[Array]) -> Result<Vec<Array>> {
        let determinant = det(&inputs[0])?;
        Ok(vec![determinant.sign()?, determinant.abs()?.log()?])
    }
}

/// The matrices as real floating-point numbers; integers become `float32`.
fn numbers(op: &'static str, a: &Array) -> Result<(Array, Dtype)> {
    let dtype = a.dtype().to_inexact();
    if dtype == Dtype::Complex64 {
        let reason = "determinants are those of real matrices";
        return Err(Error::Dtype { op, dtype, reason });
    }
    square(op, a)?;
    Ok((real(op, &a.astype(dtype)?)?, dtype))
}

/// The determinants of square matrices; integers are taken as `float32`. That of an empty matrix is
/// one. The gradient is right for singular matrices, too.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, linalg};
/// assert_eq!(linalg::det(&array!([[1.0, 2.0], [3.0, 4.0]]))?.item::<f32>()?, -2.0);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn det(a: &Array) -> Result<Array> {
    let (matrix, dtype) = numbers("linalg.det", a)?;
    Array::apply_one(Determinant, [matrix])?.astype(dtype)
}

/// The signs of the determinants of square matrices and the logarithms of their magnitudes, which
/// do not overflow. Those of a singular matrix are 0 and −∞, and it has no gradient: evaluating
/// that fails.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, linalg};
/// let (sign, logarithm) = linalg::slogdet(&array!([[1.0, 2.0], [3.0, 4.0]]))?;
/// assert_eq!(sign.item::<f32>()?, -1.0);
/// assert!((logarithm.item::<f32>()? - 2f32.ln()).abs() < 1e-6);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn slogdet(a: &Array) -> Result<(Array, Array)> {
    let (matrix, dtype) = numbers("linalg.slogdet", a)?;
    let found = Array::apply(SignedLogDeterminant, [matrix])?;
    Ok((found[0].astype(dtype)?, found[1].astype(dtype)?))
}

pub(super) fn ops() -> Vec<OpInfo> {
    const SHAPES: [&[usize]; 6] = [&[3, 3], &[2, 4, 4], &[1, 1], &[0, 0], &[0, 2, 2], &[3, 0, 0]];
    fn cases(call: fn(&Array) -> Result<Vec<Array>>) -> Vec<Sample> {
        // Truth values have no diagonal to raise.
        let case = |shape: &&[usize]| {
            Sample::many("", [Input::any(*shape)], move |x| {
                let bool = x[0].dtype() == Dtype::Bool;
                let x = if bool { x[0].clone() } else { samples::graded(&x[0])? };
                call(&x)
            })
        };
        SHAPES.iter().map(case).collect()
    }
    vec![
        samples::op(
            "linalg.det",
            "The determinants of square matrices.",
            "linalg.det(a)",
            kinds::REAL,
            || cases(|a| Ok(vec![det(a)?])),
        ),
        samples::op(
            "linalg.slogdet",
            "The signs of determinants and the logarithms of their magnitudes.",
            "linalg.slogdet(a)",
            kinds::REAL,
            || {
                cases(|a| {
                    let (sign, logarithm) = slogdet(a)?;
                    Ok(vec![sign, logarithm])
                })
            },
        ),
    ]
}
