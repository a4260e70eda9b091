//! Owns the formats that numbers are packed in, and what belongs to a packed array.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::shape_error;
use crate::{Array, Dtype, Error, Result, Shape};

/// How the numbers of a group become codes of few bits.
///
/// ```
/// use olivine_core::quantized::{Quantization, QuantizationMode};
/// assert_eq!(Quantization::default().mode(), QuantizationMode::Affine);
/// assert_eq!(QuantizationMode::Nvfp4.to_string(), "nvfp4");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum QuantizationMode {
    /// Whole numbers, times a scale, plus a bias; both of the array's dtype.
    Affine,
    /// E2M1 floats in groups of 32, times a power of two.
    Mxfp4,
    /// E4M3 floats in groups of 32, times a power of two.
    Mxfp8,
    /// E2M1 floats in groups of 16, times an E4M3 float, and perhaps one more scale for all.
    Nvfp4,
}

impl QuantizationMode {
    /// The name used in files and Python: `affine`, `mxfp4`, ….
    ///
    /// ```
    /// use olivine_core::quantized::QuantizationMode;
    /// assert_eq!(QuantizationMode::Mxfp8.name(), "mxfp8");
    /// ```
    pub const fn name(self) -> &'static str {
        match self {
            QuantizationMode::Affine => "affine",
            QuantizationMode::Mxfp4 => "mxfp4",
            QuantizationMode::Mxfp8 => "mxfp8",
            QuantizationMode::Nvfp4 => "nvfp4",
        }
    }
}

impl fmt::Display for QuantizationMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for QuantizationMode {
    type Err = Error;
    fn from_str(name: &str) -> Result<Self> {
        use QuantizationMode::{Affine, Mxfp4, Mxfp8, Nvfp4};
        let all = [Affine, Mxfp4, Mxfp8, Nvfp4];
        all.into_iter().find(|mode| mode.name() == name).ok_or_else(|| {
            let reason = format!("`{name}` is not one of affine, mxfp4, mxfp8 and nvfp4");
            Error::Argument { op: "quantize", reason }
        })
    }
}

/// What becomes of numbers that are multiplied with a packed matrix.
///
/// ```
/// use olivine_core::quantized::Activations;
/// assert_eq!("int8".parse::<Activations>()?, Activations::Int8);
/// assert_eq!(Activations::default().to_string(), "exact");
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Activations {
    /// They are multiplied as they are, as MLX does.
    #[default]
    Exact,
    /// Where it is faster, each group of them, as long as a group of the matrix, is rounded to whole
    /// numbers from -127 to 127 times a scale, and products are sums of whole numbers.
    Int8,
}

impl Activations {
    /// The name on command lines: `exact` or `int8`.
    ///
    /// ```
    /// use olivine_core::quantized::Activations;
    /// assert_eq!(Activations::Int8.name(), "int8");
    /// ```
    pub const fn name(self) -> &'static str {
        match self {
            Activations::Exact => "exact",
            Activations::Int8 => "int8",
        }
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    fn is_exact(&self) -> bool {
        *self == Activations::Exact
    }
}

impl fmt::Display for Activations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Activations {
    type Err = Error;
    fn from_str(name: &str) -> Result<Self> {
        let all = [Activations::Exact, Activations::Int8];
        all.into_iter().find(|activations| activations.name() == name).ok_or_else(|| {
            let reason = format!("`{name}` is neither exact nor int8");
            Error::Argument { op: "quantized_matmul", reason }
        })
    }
}

/// Eight codes of so many bits, 1 to 8, a byte each, as the `bits` bytes of packed arrays: one stream of bits,
/// lowest first. The bytes that follow are zero.
///
/// ```
/// use olivine_core::quantized::join_codes;
/// assert_eq!(join_codes([1, 2, 3, 4, 5, 6, 7, 8], 4), 0x8765_4321);
/// assert_eq!(join_codes([1, 0, 0, 0, 0, 0, 1, 1], 1), 0b1100_0001);
/// ```
#[inline(always)]
pub const fn join_codes(codes: [u8; 8], bits: usize) -> u64 {
    // The second of two, the second half of four, and that of eight move to where the first ends.
    let (x, free) = (u64::from_le_bytes(codes), 8 - bits);
    let x = x & 0x00ff_00ff_00ff_00ff | (x & 0xff00_ff00_ff00_ff00) >> free;
    let x = x & 0x0000_ffff_0000_ffff | (x & 0xffff_0000_ffff_0000) >> (2 * free);
    x & 0x0000_0000_ffff_ffff | (x & 0xffff_ffff_0000_0000) >> (4 * free)
}

/// A format: the mode, how many neighbours share a scale, and the bits of a code.
///
/// ```
/// use olivine_core::quantized::{Quantization, QuantizationMode};
/// let scheme = Quantization::affine(64, 4)?;
/// assert_eq!(scheme, Quantization::default());
/// assert_eq!(scheme.bits(), 4);
/// assert_eq!(Quantization::new("nvfp4".parse()?, None, None)?.group_size(), 16);
/// assert!(Quantization::affine(64, 7).is_err());
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct Quantization {
    mode: QuantizationMode,
    group_size: usize,
    bits: usize,
    #[serde(skip_serializing_if = "Activations::is_exact")]
    activations: Activations,
}

/// A format as it was stored, to be checked.
#[derive(Deserialize)]
struct Stored {
    mode: QuantizationMode,
    group_size: usize,
    bits: usize,
    #[serde(default)]
    activations: Activations,
}

impl TryFrom<Stored> for Quantization {
    type Error = Error;

    fn try_from(stored: Stored) -> Result<Self> {
        Quantization::new(stored.mode, Some(stored.group_size), Some(stored.bits))
            .map(|scheme| scheme.with_activations(stored.activations))
    }
}

impl Default for Quantization {
    /// Four bits in groups of 64 with a scale and a bias.
    fn default() -> Self {
        Self::usual(QuantizationMode::Affine, 64, 4)
    }
}

impl Quantization {
    /// E2M1 floats in groups of 32 that share a power of two.
    pub const MXFP4: Self = Self::usual(QuantizationMode::Mxfp4, 32, 4);
    /// E4M3 floats in groups of 32 that share a power of two.
    pub const MXFP8: Self = Self::usual(QuantizationMode::Mxfp8, 32, 8);
    /// E2M1 floats in groups of 16 that share an E4M3 float.
    pub const NVFP4: Self = Self::usual(QuantizationMode::Nvfp4, 16, 4);

    const fn usual(mode: QuantizationMode, group_size: usize, bits: usize) -> Self {
        Quantization { mode, group_size, bits, activations: Activations::Exact }
    }

    /// Whole numbers of 1, 2, 3, 4, 5, 6 or 8 bits in groups of 32, 64 or 128; or of 2, 4, 6 or 8 bits in
    /// groups of 16, which MLX does not have, but GGUF files do.
    ///
    /// ```
    /// use olivine_core::quantized::Quantization;
    /// assert_eq!(Quantization::affine(64, 4)?, Quantization::default());
    /// assert!(Quantization::affine(64, 7).is_err());
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn affine(group_size: usize, bits: usize) -> Result<Self> {
        Self::new(QuantizationMode::Affine, Some(group_size), Some(bits))
    }

    /// A format of a mode; what is `None` has the mode's usual value.
    ///
    /// Fails for combinations that the mode does not have.
    ///
    /// ```
    /// use olivine_core::quantized::{Quantization, QuantizationMode};
    /// let scheme = Quantization::new(QuantizationMode::Nvfp4, None, None)?;
    /// assert_eq!((scheme.group_size(), scheme.bits()), (16, 4));
    /// assert!(Quantization::new(QuantizationMode::Nvfp4, Some(32), None).is_err());
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn new(
        mode: QuantizationMode,
        group_size: Option<usize>,
        bits: Option<usize>,
    ) -> Result<Self> {
        let usual = match mode {
            QuantizationMode::Affine => Self::default(),
            QuantizationMode::Mxfp4 => Self::MXFP4,
            QuantizationMode::Mxfp8 => Self::MXFP8,
            QuantizationMode::Nvfp4 => Self::NVFP4,
        };
        let group_size = group_size.unwrap_or(usual.group_size);
        let scheme = Self::usual(mode, group_size, bits.unwrap_or(usual.bits));
        let (bits, group_size) = (scheme.bits, scheme.group_size);
        let fits = match mode {
            QuantizationMode::Affine => {
                matches!(group_size, 32 | 64 | 128) && matches!(bits, 1..=6 | 8)
                    || group_size == 16 && matches!(bits, 2 | 4 | 6 | 8)
            }
            _ => scheme == usual,
        };
        if fits {
            return Ok(scheme);
        }
        let allowed = match mode {
            QuantizationMode::Affine => {
                "groups of 32, 64 or 128 and 1, 2, 3, 4, 5, 6 or 8 bits, or groups of 16 and 2, 4, 6 or 8 bits"
            }
            QuantizationMode::Mxfp4 => "groups of 32 and 4 bits",
            QuantizationMode::Mxfp8 => "groups of 32 and 8 bits",
            QuantizationMode::Nvfp4 => "groups of 16 and 4 bits",
        };
        let reason = format!("{mode} has {allowed}, not groups of {group_size} and {bits} bits");
        Err(Error::Argument { op: "quantize", reason })
    }

    /// How groups become codes.
    ///
    /// ```
    /// use olivine_core::quantized::{Quantization, QuantizationMode};
    /// assert_eq!(Quantization::MXFP4.mode(), QuantizationMode::Mxfp4);
    /// ```
    pub const fn mode(self) -> QuantizationMode {
        self.mode
    }

    /// How many neighbours in the last axis share a scale.
    ///
    /// ```
    /// use olivine_core::quantized::Quantization;
    /// assert_eq!(Quantization::NVFP4.group_size(), 16);
    /// ```
    pub const fn group_size(self) -> usize {
        self.group_size
    }

    /// The bits of one code.
    ///
    /// ```
    /// use olivine_core::quantized::Quantization;
    /// assert_eq!(Quantization::MXFP8.bits(), 8);
    /// ```
    pub const fn bits(self) -> usize {
        self.bits
    }

    /// False for what MLX cannot read: whole numbers in groups of 16.
    ///
    /// ```
    /// use olivine_core::quantized::Quantization;
    /// assert!(Quantization::affine(32, 6)?.is_in_mlx() && !Quantization::affine(16, 6)?.is_in_mlx());
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub const fn is_in_mlx(self) -> bool {
        !matches!((self.mode, self.group_size), (QuantizationMode::Affine, 16))
    }

    /// What becomes of numbers that are multiplied with such a matrix.
    ///
    /// ```
    /// use olivine_core::quantized::{Activations, Quantization};
    /// assert_eq!(Quantization::default().activations(), Activations::Exact);
    /// ```
    pub const fn activations(self) -> Activations {
        self.activations
    }

    /// The same format with another choice for what it is multiplied with. It is no part of files:
    /// codes are the same.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, Dtype, quantized::{Activations, Quantization}};
    /// let mut w = Array::ones([8, 64], Dtype::Float32)?.quantize(Quantization::default(), None)?;
    /// w.scheme = w.scheme.with_activations(Activations::Int8);
    /// let y = Array::full([32, 64], 0.5f32)?.quantized_matmul(&w, true)?;
    /// assert!((y.mean(..)?.item::<f32>()? - 32.0).abs() < 1e-3);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub const fn with_activations(self, activations: Activations) -> Self {
        Quantization { activations, ..self }
    }

    pub(super) fn is_affine(self) -> bool {
        self.mode == QuantizationMode::Affine
    }

    /// The words that `columns` codes fill.
    pub(super) fn words(self, columns: usize) -> usize {
        (columns as u128 * self.bits as u128 / 32) as usize
    }

    /// The codes that `words` words hold.
    pub(super) fn columns(self, words: usize) -> usize {
        usize::try_from(words as u128 * 32 / self.bits as u128).unwrap_or(usize::MAX)
    }

    /// The groups in a row of an array, which they must fill.
    pub(super) fn groups(self, op: &'static str, x: &Array) -> Result<usize> {
        let group = self.group_size;
        match x.shape().last() {
            Some(columns) if columns.is_multiple_of(group) => Ok(columns / group),
            _ => {
                let reason = format!("groups of {group} do not fill the rows of {}", x.shape());
                shape_error(op, reason)
            }
        }
    }

    /// The number of arrays that hold a packed array.
    pub(super) fn parts(self) -> usize {
        if self.is_affine() { 3 } else { 2 }
    }

    /// The shape of the array that codes, scales and biases stand for, which kernels rely on: where
    /// a dtype is given, scales and biases have it.
    pub(super) fn unpacked(
        self,
        op: &'static str,
        packed: &[Array],
        dtype: Option<Dtype>,
    ) -> Result<Shape> {
        crate::graph::exactly(op, self.parts(), packed)?;
        let given = |i: usize| packed.get(i).cloned();
        let [Some(codes), Some(scales)] = [given(0), given(1)] else {
            return shape_error(op, "codes have scales".to_owned());
        };
        let wrong = packed[1..].iter().map(Array::dtype).find(|&own| {
            self.is_affine() && (own != scales.dtype() || dtype.is_some_and(|dtype| own != dtype))
        });
        if let Some(dtype) = wrong {
            let reason = "scales, biases and the result have one dtype";
            return Err(Error::Dtype { op, dtype, reason });
        }
        let (scheme, global_scale) = (self, None);
        Quantized { codes, scales, biases: given(2), global_scale, scheme }.check(op)
    }

    /// The shape of packed matrices as the right side of a product of `dtype`.
    pub(super) fn factor(
        self,
        op: &'static str,
        packed: &[Array],
        dtype: Dtype,
        transpose: bool,
    ) -> Result<Shape> {
        super::check_float(op, dtype)?;
        let shape = self.unpacked(op, packed, Some(dtype))?;
        let (batch, own) = shape.split_at(shape.rank() - 2);
        let own = if transpose { [own[1], own[0]] } else { [own[0], own[1]] };
        Ok(batch.iter().copied().chain(own).collect())
    }

    /// Checks a scale for the whole array, which only one mode has.
    pub(super) fn check_global(self, op: &'static str, scale: Option<&Array>) -> Result<()> {
        let Some(scale) = scale else { return Ok(()) };
        let fail = |reason| Err(Error::Argument { op, reason });
        if self.mode != QuantizationMode::Nvfp4 {
            return fail(format!("{} has no global scale; nvfp4 has", self.mode));
        }
        if scale.size() != 1 {
            return fail(format!("a global scale is one number, not shape {}", scale.shape()));
        }
        if scale.dtype() != Dtype::Float32 {
            let reason = "a global scale is a float32";
            return Err(Error::Dtype { op, dtype: scale.dtype(), reason });
        }
        Ok(())
    }
}

/// An array in few bits: the codes and what it takes to read them.
///
/// The fields are public, so that parts loaded from a file can be put together; whoever uses them
/// checks that they fit.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{Array, Dtype, quantized::Quantization};
/// let w = Array::ones([8, 64], Dtype::Float32)?;
/// let packed = w.quantize(Quantization::default(), None)?;
/// assert_eq!(packed.codes.shape().dims(), [8, 8]);
/// assert_eq!(packed.shape()?.dims(), [8, 64]);
/// assert!(packed.dequantize(None)?.array_equal(&w, false)?.item::<bool>()?);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Quantized {
    /// The codes: a little-endian stream of bits along the last axis, in `uint32` words.
    pub codes: Array,
    /// The scale of each group: floats for [`QuantizationMode::Affine`], else bytes.
    pub scales: Array,
    /// The number that code zero stands for, for [`QuantizationMode::Affine`] only.
    pub biases: Option<Array>,
    /// A `float32` for the whole array that [`QuantizationMode::Nvfp4`] may have: the largest
    /// magnitude that its codes can reach.
    pub global_scale: Option<Array>,
    /// The format.
    pub scheme: Quantization,
}

impl Quantized {
    /// The shape of the array that is packed. Fails if the parts do not fit each other.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, Dtype};
    /// use olivine_core::quantized::Quantization;
    /// let scheme = Quantization::affine(32, 3)?;
    /// let packed = Array::ones([3, 64], Dtype::Float32)?.quantize(scheme, None)?;
    /// assert_eq!(packed.shape()?.dims(), &[3, 64]);
    /// assert_eq!(packed.codes.shape().dims(), &[3, 6]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn shape(&self) -> Result<Shape> {
        self.check("dequantize")
    }

    /// Checks that the parts fit, and returns the shape of what is packed.
    pub(super) fn check(&self, op: &'static str) -> Result<Shape> {
        let (codes, scales, scheme) = (&self.codes, &self.scales, self.scheme);
        if codes.dtype() != Dtype::Uint32 {
            let reason = "codes are packed in uint32 words";
            return Err(Error::Dtype { op, dtype: codes.dtype(), reason });
        }
        if codes.ndim() < 2 {
            let reason = format!("codes have at least two axes, not shape {}", codes.shape());
            return shape_error(op, reason);
        }
        match (&self.biases, scheme.is_affine()) {
            (Some(biases), true) => {
                super::check_float(op, scales.dtype().promote(biases.dtype()))?;
                if biases.shape() != scales.shape() {
                    let (scales, biases) = (scales.shape(), biases.shape());
                    let reason = format!("scales {scales} and biases {biases} differ in shape");
                    return shape_error(op, reason);
                }
            }
            (None, true) => {
                let reason = "affine codes have biases".to_owned();
                return Err(Error::Argument { op, reason });
            }
            (Some(_), false) => {
                let reason = format!("{} codes have no biases", scheme.mode());
                return Err(Error::Argument { op, reason });
            }
            (None, false) if scales.dtype() != Dtype::Uint8 => {
                let reason = "the scales of this mode are bytes";
                return Err(Error::Dtype { op, dtype: scales.dtype(), reason });
            }
            (None, false) => {}
        }
        scheme.check_global(op, self.global_scale.as_ref())?;
        let last = codes.ndim() - 1;
        let columns = scheme.columns(codes.shape()[last]);
        let groups = codes.shape().with_axis(last, columns / scheme.group_size());
        if !columns.is_multiple_of(scheme.group_size()) || *scales.shape() != groups {
            let (codes, scales) = (codes.shape(), scales.shape());
            let (bits, group) = (scheme.bits(), scheme.group_size());
            let reason = format!(
                "codes {codes} of {bits} bits in groups of {group} do not fit scales {scales}"
            );
            return shape_error(op, reason);
        }
        Ok(codes.shape().with_axis(last, columns))
    }

    /// The dtype that products with an array of `dtype` have.
    pub(super) fn product_dtype(&self, dtype: Dtype) -> Dtype {
        match &self.biases {
            Some(biases) => dtype.promote(self.scales.dtype()).promote(biases.dtype()),
            None => dtype,
        }
    }

    /// The arrays a kernel reads: codes, scales, and biases if there are; floats as `dtype`.
    pub(super) fn arrays(&self, dtype: Dtype) -> Result<Vec<Array>> {
        let mut arrays = vec![self.codes.clone()];
        match &self.biases {
            Some(biases) => arrays.extend([self.scales.astype(dtype)?, biases.astype(dtype)?]),
            None => arrays.push(self.scales.clone()),
        }
        Ok(arrays)
    }

    /// The product of `x` and what all codes are multiplied by.
    pub(super) fn times_global(&self, x: Array) -> Result<Array> {
        let Some(scale) = &self.global_scale else { return Ok(x) };
        let wide = x.dtype().promote(Dtype::Float32);
        let factor = scale.reshape_to(Shape::scalar()).divide(GLOBAL)?;
        x.astype(wide)?.multiply(factor)?.astype(x.dtype())
    }
}

/// The largest magnitude of an E2M1 float times that of an E4M3 float.
pub(super) const GLOBAL: f32 = 6.0 * 448.0;
