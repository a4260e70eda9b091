//! Owns looking at the bits of elements as elements of another dtype.

use serde::{Deserialize, Serialize};

use super::{Family, Gradient, Input, OpInfo, Sample, info::kinds};
use crate::{
    Array, Dtype, Error, Result,
    graph::{
        Batched, Gradients, Jvp, Primitive, Spec, Specs, Tangents, Vjp, Vmap, no_decomposition,
    },
};

const OP: &str = "view";

/// The same bytes as elements of another dtype. If that is narrower or wider, the last axis grows or
/// shrinks. As `bool`, each byte that is not zero is true, and the bytes are still there to be looked at.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, Array, Dtype};
/// use olivine_core::ops::reinterpret::Reinterpret;
/// let bits = Array::apply_one(Reinterpret { dtype: Dtype::Uint32 }, [array!([1.0])])?;
/// assert_eq!(bits.to_vec::<u32>()?, [1.0f32.to_bits()]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Reinterpret {
    /// The dtype of the result.
    pub dtype: Dtype,
}

crate::stored!(Reinterpret);

impl Primitive for Reinterpret {
    fn name(&self) -> &'static str {
        OP
    }

    fn infer(&self, inputs: &[Array]) -> Result<Specs> {
        crate::graph::exactly(self.name(), 1, inputs)?;
        let x = &inputs[0];
        let (from, to) = (x.dtype().size(), self.dtype.size());
        if from == to {
            return Ok([Spec { shape: x.shape().clone(), dtype: self.dtype }].into());
        }
        let fail = |why: &str| {
            let reason = format!("{} {} as {}: {why}", x.dtype(), x.shape(), self.dtype);
            Err(Error::Shape { op: OP, reason })
        };
        let Some(&last) = x.shape().last() else {
            return fail("a scalar is viewed as a dtype of the same size");
        };
        let bytes = last.saturating_mul(from);
        if !bytes.is_multiple_of(to) {
            return fail("the bytes of the last axis are no whole number of elements");
        }
        let shape = x.shape().with_axis(x.ndim() - 1, bytes / to);
        Ok([Spec { shape, dtype: self.dtype }].into())
    }

    fn vjp(&self, vjp: &Vjp) -> Result<Gradients> {
        if self.dtype == vjp.inputs[0].dtype() {
            return vjp.each(|_| Ok(Some(vjp.cotangent().clone())));
        }
        if !self.dtype.is_inexact() || !vjp.inputs[0].dtype().is_inexact() {
            return vjp.each(|_| Ok(None));
        }
        vjp.unsupported("numbers do not change smoothly with the bits of others")
    }

    fn jvp(&self, jvp: &Jvp) -> Result<Tangents> {
        if self.dtype == jvp.inputs[0].dtype() {
            return Ok([jvp.tangents[0].clone()].into());
        }
        if !self.dtype.is_inexact() {
            return jvp.zero();
        }
        jvp.unsupported("numbers do not change smoothly with the bits of others")
    }

    fn vmap(&self, vmap: &Vmap) -> Result<Batched> {
        vmap.lifted(*self)
    }

    fn decompose(&self, _inputs: &[Array]) -> Result<Vec<Array>> {
        no_decomposition(self.name())
    }
}

impl Array {
    /// The same bytes as elements of another dtype. If that is narrower or wider, the last axis
    /// grows or shrinks; as `bool`, each byte that is not zero is true, and viewing that as another
    /// dtype gives the bytes again.
    ///
    /// Fails if the last axis does not hold a whole number of elements, and for scalars if the
    /// sizes differ. Nothing is copied where the layout allows.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{array, Dtype};
    /// assert_eq!(array!([1.0, 2.0]).view(Dtype::Int32)?.to_vec::<i32>()?, [0x3f80_0000, 0x4000_0000]);
    /// assert_eq!(array!([1.0]).view(Dtype::Uint8)?.to_vec::<u8>()?, [0, 0, 0x80, 0x3f]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn view(&self, dtype: Dtype) -> Result<Array> {
        if dtype == self.dtype() {
            return Ok(self.clone());
        }
        Array::apply_one(Reinterpret { dtype }, [self.clone()])
    }
}

pub(super) fn ops() -> Vec<OpInfo> {
    /// The integer dtype of the same size.
    fn bits(dtype: Dtype) -> Dtype {
        match dtype.size() {
            1 => Dtype::Uint8,
            2 => Dtype::Uint16,
            4 => Dtype::Uint32,
            _ => Dtype::Uint64,
        }
    }
    vec![OpInfo {
        name: OP,
        doc: "The same bytes as elements of another dtype.",
        signature: "view(x, dtype)",
        family: Family::Shape,
        kinds: kinds::ALL,
        gradient: Gradient::Zero,
        samples: || {
            vec![
                Sample::new("uint8", [Input::any([2, 3])], |x| x[0].view(Dtype::Uint8)),
                Sample::new("bool", [Input::any([2, 3])], |x| x[0].view(Dtype::Bool)),
                Sample::new("int64", [Input::any([2, 16])], |x| x[0].view(Dtype::Int64)),
                Sample::new("bits", [Input::any([])], |x| x[0].view(bits(x[0].dtype()))),
                Sample::new("bits", [Input::any([3, 2])], |x| x[0].view(bits(x[0].dtype()))),
                Sample::new("uint8", [Input::any([0, 3])], |x| x[0].view(Dtype::Uint8)),
            ]
        },
    }]
}
