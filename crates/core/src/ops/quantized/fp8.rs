//! Owns conversion to and from floats of eight bits.

use serde::{Deserialize, Serialize};

use super::{Family, Gradient, Input, OpInfo, Sample, check_float, kinds};
use crate::{
    Array, Dtype, Error, Result,
    graph::{Batched, Gradients, Jvp, Primitive, Spec, Specs, Tangents, Vjp, Vmap, no_decomposition},
};

/// The nearest E4M3 float of each element, as a byte.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, Array};
/// use olivine_core::quantized::ToFp8;
/// let bytes = Array::apply_one(ToFp8, [array!([1.0, -1.0])])?;
/// assert_eq!(bytes.to_vec::<u8>()?, [0x38, 0xb8]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct ToFp8;

/// The numbers that bytes stand for as E4M3 floats.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, Array, Dtype};
/// use olivine_core::quantized::FromFp8;
/// let x = Array::apply_one(FromFp8 { dtype: Dtype::Float32 }, [array!([0x38u8, 0x40])])?;
/// assert_eq!(x.to_vec::<f32>()?, [1.0, 2.0]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct FromFp8 {
    /// The dtype of the result.
    pub dtype: Dtype,
}

crate::stored!(ToFp8);

impl Primitive for ToFp8 {
    fn name(&self) -> &'static str {
        "to_fp8"
    }

    fn infer(&self, inputs: &[Array]) -> Result<Specs> {
        crate::graph::exactly(self.name(), 1, inputs)?;
        check_float(self.name(), inputs[0].dtype())?;
        Ok([Spec::new(inputs[0].shape(), Dtype::Uint8)].into())
    }

    fn vjp(&self, vjp: &Vjp) -> Result<Gradients> {
        vjp.each(|_| Ok(None))
    }

    fn jvp(&self, jvp: &Jvp) -> Result<Tangents> {
        jvp.zero()
    }

    fn vmap(&self, vmap: &Vmap) -> Result<Batched> {
        vmap.lifted(*self)
    }

    fn decompose(&self, _inputs: &[Array]) -> Result<Vec<Array>> {
        no_decomposition(self.name())
    }
}

crate::stored!(FromFp8);

impl Primitive for FromFp8 {
    fn name(&self) -> &'static str {
        "from_fp8"
    }

    fn infer(&self, inputs: &[Array]) -> Result<Specs> {
        crate::graph::exactly(self.name(), 1, inputs)?;
        let dtype = inputs[0].dtype();
        if dtype != Dtype::Uint8 {
            let reason = "floats of eight bits are uint8";
            return Err(Error::Dtype { op: self.name(), dtype, reason });
        }
        check_float(self.name(), self.dtype)?;
        Ok([Spec::new(inputs[0].shape(), self.dtype)].into())
    }

    fn vjp(&self, vjp: &Vjp) -> Result<Gradients> {
        vjp.each(|_| Ok(None))
    }

    fn jvp(&self, jvp: &Jvp) -> Result<Tangents> {
        jvp.zero()
    }

    fn vmap(&self, vmap: &Vmap) -> Result<Batched> {
        vmap.lifted(*self)
    }

    fn decompose(&self, _inputs: &[Array]) -> Result<Vec<Array>> {
        no_decomposition(self.name())
    }
}

impl Array {
    /// The nearest floats with four bits of exponent and three of mantissa (E4M3), as `uint8`.
    ///
    /// Ties go to even. What is too large becomes the largest, 448; NaN stays NaN.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::Array;
    /// let x = Array::from_slice(&[1.0f32, -448.0, 1e9], [3])?;
    /// assert_eq!(x.to_fp8()?.to_vec::<u8>()?, [0x38, 0xfe, 0x7e]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn to_fp8(&self) -> Result<Array> {
        Array::apply_one(ToFp8, [self.clone()])
    }

    /// The numbers that the elements, of dtype `uint8`, stand for as E4M3 floats.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, Dtype};
    /// let x = Array::from_slice(&[0x38u8, 0x01], [2])?;
    /// assert_eq!(x.from_fp8(Dtype::Float32)?.to_vec::<f32>()?, [1.0, 1.0 / 512.0]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn from_fp8(&self, dtype: Dtype) -> Result<Array> {
        Array::apply_one(FromFp8 { dtype }, [self.clone()])
    }
}

pub(super) fn ops() -> Vec<OpInfo> {
    vec![
        OpInfo {
            name: "to_fp8",
            doc: "The nearest E4M3 floats, as bytes.",
            signature: "to_fp8(x)",
            family: Family::Elementwise,
            kinds: kinds::FLOAT,
            gradient: Gradient::Zero,
            samples: || {
                let case = |shape: &[usize]| Sample::new("", [Input::any(shape)], |x| x[0].to_fp8());
                vec![case(&[5, 7]), case(&[]), case(&[0, 2]), case(&[300])]
            },
        },
        OpInfo {
            name: "from_fp8",
            doc: "The numbers that bytes stand for as E4M3 floats.",
            signature: "from_fp8(x, dtype=bfloat16)",
            family: Family::Elementwise,
            kinds: kinds::ALL,
            gradient: Gradient::Zero,
            samples: || {
                let case = |dtype: Dtype, shape: &[usize]| {
                    let label = format!("dtype={dtype}");
                    Sample::new(label, [Input::index(shape, 256)], move |x| {
                        x[0].astype(Dtype::Uint8)?.from_fp8(dtype)
                    })
                };
                vec![
                    case(Dtype::Float32, &[600]),
                    case(Dtype::BFloat16, &[4, 9]),
                    case(Dtype::Float16, &[]),
                    case(Dtype::Float64, &[0]),
                ]
            },
        },
    ]
}
