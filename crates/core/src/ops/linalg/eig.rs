//! Owns eigenvalues and eigenvectors of square matrices in general.

use serde::{Deserialize, Serialize};

use super::{OpInfo, conjugate, inexact, inverse_gaps, kinds, samples, solve, square, transposed, when};
use crate::{
    Array, Complex64, Dtype, Result,
    graph::{
        Batched, Gradients, Jvp, Primitive, Spec, Specs, Tangents, Vjp, Vmap, no_decomposition,
    },
    keep, stop_gradient,
};

const OP: &str = "linalg.eig";

/// The eigenvalues of square matrices, and with vectors the right ones as columns, in `complex64`.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, Array, Dtype};
/// use olivine_core::linalg::Eig;
/// let a = array!([[2.0, 1.0], [0.0, 3.0]]);
/// assert_eq!(Array::apply(Eig { vectors: false }, [a.clone()])?.len(), 1);
/// assert_eq!(Array::apply(Eig { vectors: true }, [a])?[0].dtype(), Dtype::Complex64);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Eig {
    /// Whether vectors are wanted.
    pub vectors: bool,
}

impl Eig {
    fn forward(
        self,
        input: &Array,
        outputs: &[Array],
        tangents: &[Option<Array>],
        needed: &[bool],
    ) -> Result<Tangents> {
        let Some(tangent) = &tangents[0] else {
            return Ok(outputs.iter().map(|_| None).collect());
        };
        if input.size() == 0 {
            return Ok(outputs.iter().map(|_| None).collect());
        }
        if !self.vectors {
            let all = Eig { vectors: true };
            let found = Array::apply(all, [input.clone()])?;
            let tangents = all.forward(input, &found, tangents, &[true, false])?;
            return Ok([tangents[0].clone()].into());
        }
        let (values, vectors) = (&outputs[0], &outputs[1]);
        let inner = solve(vectors, &tangent.astype(Dtype::Complex64)?.matmul(vectors)?)?;
        let of_values = when(needed[0], || inner.diagonal(0, -2, -1))?;
        let of_vectors = when(needed[1], || {
            let free = vectors.matmul(inner.multiply(inverse_gaps(values)?)?)?;
            // Vectors keep the length one, and their greatest element stays real.
            let longer = conjugate(vectors)?.multiply(&free)?.sum(keep(-2))?.real()?;
            let level = free.subtract(vectors.multiply(longer)?)?;
            let peak = stop_gradient(&vectors.abs()?.argmax(keep(-2))?)?;
            let greatest = vectors.take_along_axis(&peak, -2)?.real()?;
            let turning = level.take_along_axis(&peak, -2)?;
            let turning = turning.multiply(Array::scalar(Complex64::new(0.0, -1.0)))?.real()?;
            let phase = turning.divide(greatest)?;
            let phase = phase.multiply(Array::scalar(Complex64::new(0.0, 1.0)))?;
            level.subtract(vectors.multiply(phase)?)
        })?;
        Ok([of_values, of_vectors].into_iter().collect())
    }
}

crate::stored!(Eig);

impl Primitive for Eig {
    fn name(&self) -> &'static str {
        OP
    }

    fn infer(&self, inputs: &[Array]) -> Result<Specs> {
        crate::graph::exactly(self.name(), 1, inputs)?;
        let a = &inputs[0];
        square(OP, a)?;
        let values = Spec::new(a.shape().without_axis(a.ndim() - 1), Dtype::Complex64);
        let vectors = self.vectors.then(|| Spec::new(a.shape().clone(), Dtype::Complex64));
        Ok([values].into_iter().chain(vectors).collect())
    }

    fn vjp(&self, vjp: &Vjp) -> Result<Gradients> {
        transposed(vjp, |tangents, needed| {
            self.forward(&vjp.inputs[0], vjp.outputs, tangents, needed)
        })
    }

    fn jvp(&self, jvp: &Jvp) -> Result<Tangents> {
        self.forward(&jvp.inputs[0], jvp.outputs, jvp.tangents, &[true, true])
    }

    fn vmap(&self, vmap: &Vmap) -> Result<Batched> {
        vmap.lifted(*self)
    }

    fn decompose(&self, _inputs: &[Array]) -> Result<Vec<Array>> {
        no_decomposition(self.name())
    }
}

/// The eigenvalues, in no particular order, and right eigenvectors, as columns, of square matrices.
///
/// Both are `complex64`, also for real matrices. Vectors have length one, and their greatest element
/// is real, as in LAPACK. There is a gradient where the eigenvalues are distinct; where a matrix has
/// too few vectors to form a basis, evaluating the gradient fails.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, linalg, Complex64};
/// let (values, _) = linalg::eig(&array!([[0.0, -1.0], [1.0, 0.0]]))?;
/// let product = values.prod(..)?.item::<Complex64>()?;
/// assert!((product - Complex64::new(1.0, 0.0)).norm() < 1e-6);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn eig(a: &Array) -> Result<(Array, Array)> {
    let found = Array::apply(Eig { vectors: true }, [inexact(OP, a)?])?;
    Ok((found[0].clone(), found[1].clone()))
}

/// The eigenvalues of square matrices, in no particular order, as `complex64`.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, linalg};
/// let values = linalg::eigvals(&array!([[2.0, 1.0], [0.0, 3.0]]))?;
/// assert!((values.real()?.sum(..)?.item::<f32>()? - 5.0).abs() < 1e-5);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn eigvals(a: &Array) -> Result<Array> {
    Array::apply_one(Eig { vectors: false }, [inexact("linalg.eigvals", a)?])
}

/// What turns by a right angle in each plane of two axes, times six.
fn turning(x: &Array) -> Result<Array> {
    let turn = Array::from_slice(&[0.0f32, -6.0, 6.0, 0.0], [2, 2])?.astype(x.dtype())?;
    x.add(turn)
}

pub(super) fn ops() -> Vec<OpInfo> {
    /// The real and the imaginary part.
    fn parts(z: &Array) -> Result<[Array; 2]> {
        let turned = z.multiply(Array::scalar(Complex64::new(0.0, -1.0)))?;
        Ok([z.real()?, turned.real()?])
    }
    /// Eigenvalues in ascending order, and for the vectors in the same order what does not depend
    /// on their phases: products with the conjugate of the first element; all in parts.
    fn sorted(values: &Array, vectors: Option<&Array>) -> Result<Vec<Array>> {
        let order = stop_gradient(&values.argsort(-1)?)?;
        let mut results = parts(&values.take_along_axis(&order, -1)?)?.to_vec();
        if let Some(vectors) = vectors {
            let order = order.expand_dims(-2)?.broadcast_shape(vectors.shape());
            let [re, im] = parts(&vectors.take_along_axis(&order, -1)?)?;
            let first = |x: &Array| x.narrow(x.ndim() - 2, 0, x.shape()[x.ndim() - 2].min(1));
            let (re0, im0) = (first(&re), first(&im));
            results.push(re.multiply(&re0)?.add(im.multiply(&im0)?)?);
            results.push(im.multiply(&re0)?.subtract(re.multiply(&im0)?)?);
        }
        Ok(results)
    }
    const SHAPES: [&[usize]; 5] = [&[3, 3], &[2, 3, 3], &[1, 1], &[0, 0], &[0, 2, 2]];
    fn both(a: &Array) -> Result<Vec<Array>> {
        let (values, vectors) = eig(a)?;
        sorted(&values, Some(&vectors))
    }
    fn values(a: &Array) -> Result<Vec<Array>> {
        sorted(&eigvals(a)?, None)
    }
    fn cases(call: fn(&Array) -> Result<Vec<Array>>) -> Vec<crate::ops::Sample> {
        let mut samples: Vec<_> = SHAPES.iter().map(|shape| samples::on(shape, "", call)).collect();
        let inputs = [crate::ops::Input::new([2, 2], crate::ops::Domain::Unit)];
        samples.push(crate::ops::Sample::many("turning", inputs, move |x| call(&turning(&x[0])?)));
        samples
    }
    vec![
        samples::op(
            OP,
            "Eigenvalues and right eigenvectors of square matrices.",
            "linalg.eig(a)",
            kinds::INEXACT,
            || cases(both),
        ),
        samples::op(
            "linalg.eigvals",
            "Eigenvalues of square matrices.",
            "linalg.eigvals(a)",
            kinds::INEXACT,
            || cases(values),
        ),
    ]
}
