//! Owns the forms in which convolutions are called.

use smallvec::SmallVec;

use super::{Conv, spread};
use crate::{Array, Error, IntoOperand, Result};

/// How [`Array::conv1d`], [`Array::conv2d`] and [`Array::conv3d`] slide weights over an input.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{Array, Dtype};
/// use olivine_core::ops::conv::ConvOptions;
/// let x = Array::ones([1, 5, 1], Dtype::Float32)?;
/// let weight = Array::ones([1, 3, 1], Dtype::Float32)?;
/// let same = ConvOptions { padding: [1], ..ConvOptions::default() };
/// assert_eq!(x.conv1d(&weight, same)?.to_vec::<f32>()?, [2.0, 3.0, 3.0, 3.0, 2.0]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvOptions<const D: usize> {
    /// How far the weights move, along each axis.
    pub stride: [usize; D],
    /// The zeros on both sides of each axis.
    pub padding: [usize; D],
    /// The distance between neighbouring weights.
    pub dilation: [usize; D],
    /// Into how many parts channels are divided that do not mix.
    pub groups: usize,
}

impl<const D: usize> Default for ConvOptions<D> {
    fn default() -> Self {
        ConvOptions { stride: [1; D], padding: [0; D], dilation: [1; D], groups: 1 }
    }
}

/// How [`Array::conv_transpose1d`] and its kin spread an input.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, Array, Dtype};
/// use olivine_core::ops::conv::ConvTransposeOptions;
/// let x = array!([[[1.0], [2.0]]]);
/// let weight = Array::ones([1, 2, 1], Dtype::Float32)?;
/// let apart = ConvTransposeOptions { stride: [2], ..ConvTransposeOptions::default() };
/// assert_eq!(x.conv_transpose1d(&weight, apart)?.to_vec::<f32>()?, [1.0, 1.0, 2.0, 2.0]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvTransposeOptions<const D: usize> {
    /// How far apart neighbours of the input come to lie, along each axis.
    pub stride: [usize; D],
    /// What is cut off on both sides of each axis.
    pub padding: [usize; D],
    /// The distance between neighbouring weights.
    pub dilation: [usize; D],
    /// What is added after each axis.
    pub output_padding: [usize; D],
    /// Into how many parts channels are divided that do not mix.
    pub groups: usize,
}

impl<const D: usize> Default for ConvTransposeOptions<D> {
    fn default() -> Self {
        ConvTransposeOptions {
            stride: [1; D],
            padding: [0; D],
            dilation: [1; D],
            output_padding: [0; D],
            groups: 1,
        }
    }
}

/// Everything a convolution may have. A list has an entry for each axis, or one for all; an empty
/// one is the usual: ones, and no padding.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::array;
/// use olivine_core::ops::conv::ConvGeneralOptions;
/// let x = array!([[[1.0], [2.0], [3.0]]]);
/// let weight = array!([[[1.0], [10.0]]]);
/// let flipped = ConvGeneralOptions { flip: true, ..ConvGeneralOptions::default() };
/// assert_eq!(x.conv_general(&weight, &flipped)?.to_vec::<f32>()?, [12.0, 23.0]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConvGeneralOptions {
    /// How far the weights move.
    pub stride: Vec<usize>,
    /// The zeros before and after; negative numbers cut.
    pub padding: Vec<(i64, i64)>,
    /// The distance between neighbouring weights.
    pub kernel_dilation: Vec<usize>,
    /// The distance between neighbours of the input.
    pub input_dilation: Vec<usize>,
    /// Into how many parts channels are divided that do not mix.
    pub groups: usize,
    /// Whether the weights are walked backwards: a convolution instead of a correlation.
    pub flip: bool,
}

impl Default for ConvGeneralOptions {
    fn default() -> Self {
        ConvGeneralOptions {
            stride: Vec::new(),
            padding: Vec::new(),
            kernel_dilation: Vec::new(),
            input_dilation: Vec::new(),
            groups: 1,
            flip: false,
        }
    }
}

/// Which part of a discrete convolution is kept.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::array;
/// use olivine_core::ops::conv::ConvolveMode;
/// let (x, y) = (array!([1.0, 2.0, 3.0]), array!([1.0, 1.0]));
/// assert_eq!(x.convolve(&y, ConvolveMode::Full)?.to_vec::<f32>()?, [1.0, 3.0, 5.0, 3.0]);
/// assert_eq!(x.convolve(&y, ConvolveMode::Valid)?.to_vec::<f32>()?, [3.0, 5.0]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ConvolveMode {
    /// All of it.
    #[default]
    Full,
    /// The middle, of the size of the longer input.
    Same,
    /// Where both inputs overlap completely.
    Valid,
}

/// An entry for each axis.
fn each<T: Copy>(
    op: &'static str,
    name: &str,
    list: &[T],
    usual: T,
    dims: usize,
) -> Result<SmallVec<[T; 3]>> {
    match list {
        [] => Ok(SmallVec::from_elem(usual, dims)),
        [one] => Ok(SmallVec::from_elem(*one, dims)),
        list if list.len() == dims => Ok(list.iter().copied().collect()),
        list => {
            let reason = format!("{} entries of {name} for {dims} axes", list.len());
            Err(Error::Argument { op, reason })
        }
    }
}

/// Checks a convolution and records it.
fn convolved(
    op: &'static str,
    input: &Array,
    weight: &Array,
    options: &ConvGeneralOptions,
) -> Result<Array> {
    let dtype = input.dtype().promote(weight.dtype());
    if !dtype.is_float() {
        let reason = "it takes real floating-point arrays; convert with astype first";
        return Err(Error::Dtype { op, dtype, reason });
    }
    let fail = |reason| Err(Error::Shape { op, reason });
    let (x, w) = (input.shape(), weight.shape());
    let dims = x.rank().saturating_sub(2);
    if !(1..=3).contains(&dims) || w.rank() != x.rank() {
        return fail(format!(
            "an input of shape {x} and weights {w}: both have one to three axes between batch or \
             channels out and channels in"
        ));
    }
    let groups = options.groups;
    if groups == 0 || w[0] % groups != 0 || x[dims + 1] != groups * w[dims + 1] {
        return fail(format!("the channels of input {x} and weights {w} do not form {groups} groups"));
    }
    let conv = Conv {
        stride: each(op, "stride", &options.stride, 1, dims)?,
        padding: each(op, "padding", &options.padding, (0, 0), dims)?,
        kernel_dilation: each(op, "kernel dilation", &options.kernel_dilation, 1, dims)?,
        input_dilation: each(op, "input dilation", &options.input_dilation, 1, dims)?,
        groups,
        flip: options.flip,
    };
    let steps = [&conv.stride, &conv.kernel_dilation, &conv.input_dilation];
    if steps.iter().any(|steps| steps.contains(&0)) {
        let reason = "strides and dilations are at least one".to_owned();
        return Err(Error::Argument { op, reason });
    }
    // Far beyond any memory, but within what sums of sizes can hold.
    let most = 1usize << 40;
    let large = |&(before, after): &(i64, i64)| before.unsigned_abs().max(after.unsigned_abs()) > most as u64;
    if steps.iter().any(|steps| steps.iter().any(|&step| step > most))
        || conv.padding.iter().any(large)
    {
        let reason = "a stride, dilation or padding is too large".to_owned();
        return Err(Error::Argument { op, reason });
    }
    if w[1..=dims].contains(&0) {
        return fail(format!("weights {w} have an empty axis to slide along"));
    }
    Array::apply_one(conv, [input.astype(dtype)?, weight.astype(dtype)?])
}

/// Checks that an input has `dims` axes to slide along.
fn check_dims(op: &'static str, input: &Array, dims: usize) -> Result<()> {
    if input.ndim() == dims + 2 {
        return Ok(());
    }
    let reason = format!("an input of {} axes, not of shape {}", dims + 2, input.shape());
    Err(Error::Shape { op, reason })
}

fn plain<const D: usize>(
    op: &'static str,
    input: &Array,
    weight: &Array,
    options: ConvOptions<D>,
) -> Result<Array> {
    check_dims(op, input, D)?;
    let general = ConvGeneralOptions {
        stride: options.stride.to_vec(),
        padding: options.padding.iter().map(|&p| (p as i64, p as i64)).collect(),
        kernel_dilation: options.dilation.to_vec(),
        groups: options.groups,
        ..Default::default()
    };
    convolved(op, input, weight, &general)
}

fn transposed<const D: usize>(
    op: &'static str,
    input: &Array,
    weight: &Array,
    options: ConvTransposeOptions<D>,
) -> Result<Array> {
    check_dims(op, input, D)?;
    check_dims(op, weight, D)?;
    let padding = (0..D).map(|axis| {
        let size = spread(weight.shape()[axis + 1], options.dilation[axis]);
        let cut = size - 1 - options.padding[axis] as i64;
        (cut, cut + options.output_padding[axis] as i64)
    });
    let general = ConvGeneralOptions {
        padding: padding.collect(),
        kernel_dilation: options.dilation.to_vec(),
        input_dilation: options.stride.to_vec(),
        groups: options.groups,
        flip: true,
        ..Default::default()
    };
    convolved(op, input, weight, &general)
}

macro_rules! forms {
    ($($(#[$doc:meta])* $name:ident: $form:ident($options:ident<$dims:literal>);)*) => {
        impl Array {$(
            $(#[$doc])*
            pub fn $name(
                &self,
                weight: impl IntoOperand,
                options: $options<$dims>,
            ) -> Result<Array> {
                $form(stringify!($name), self, &weight.to_operand(self), options)
            }
        )*}
    };
}

forms! {
    /// The correlation of an input `(batch, length, channels)` with weights `(channels out, size,
    /// channels in)`.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, ops::conv::ConvOptions};
    /// let x = Array::from_slice(&[1.0f32, 2.0, 4.0, 8.0], [1, 4, 1])?;
    /// let w = Array::from_slice(&[1.0f32, -1.0], [1, 2, 1])?;
    /// let y = x.conv1d(w, ConvOptions::default())?;
    /// assert_eq!(y.to_vec::<f32>()?, [-1.0, -2.0, -4.0]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    conv1d: plain(ConvOptions<1>);
    /// The correlation of an input `(batch, height, width, channels)` with weights `(channels out,
    /// height, width, channels in)`.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, Dtype, ops::conv::ConvOptions};
    /// let x = Array::ones([1, 4, 4, 3], Dtype::Float32)?;
    /// let w = Array::ones([2, 3, 3, 3], Dtype::Float32)?;
    /// let y = x.conv2d(w, ConvOptions { stride: [2, 2], padding: [1, 1], ..Default::default() })?;
    /// assert_eq!(y.shape().dims(), [1, 2, 2, 2]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    conv2d: plain(ConvOptions<2>);
    /// The correlation of an input `(batch, depth, height, width, channels)` with weights
    /// `(channels out, depth, height, width, channels in)`.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, Dtype, ops::conv::ConvOptions};
    /// let x = Array::ones([1, 3, 3, 3, 2], Dtype::Float32)?;
    /// let w = Array::ones([1, 2, 2, 2, 2], Dtype::Float32)?;
    /// assert_eq!(x.conv3d(w, ConvOptions::default())?.to_vec::<f32>()?, [16.0; 8]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    conv3d: plain(ConvOptions<3>);
    /// The transpose of a convolution along one axis: the input is spread by the stride, and each
    /// element adds the weights, times itself, to the result.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, ops::conv::ConvTransposeOptions};
    /// let x = Array::from_slice(&[1.0f32, 2.0], [1, 2, 1])?;
    /// let w = Array::from_slice(&[1.0f32, 10.0], [1, 2, 1])?;
    /// let y = x.conv_transpose1d(w, ConvTransposeOptions { stride: [2], ..Default::default() })?;
    /// assert_eq!(y.to_vec::<f32>()?, [1.0, 10.0, 2.0, 20.0]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    conv_transpose1d: transposed(ConvTransposeOptions<1>);
    /// The transpose of a convolution along two axes.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, Dtype, ops::conv::ConvTransposeOptions};
    /// let x = Array::ones([1, 2, 2, 1], Dtype::Float32)?;
    /// let w = Array::ones([1, 2, 2, 1], Dtype::Float32)?;
    /// let y = x.conv_transpose2d(w, ConvTransposeOptions { stride: [2, 2], ..Default::default() })?;
    /// assert_eq!(y.to_vec::<f32>()?, [1.0; 16]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    conv_transpose2d: transposed(ConvTransposeOptions<2>);
    /// The transpose of a convolution along three axes.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, Dtype, ops::conv::ConvTransposeOptions};
    /// let x = Array::ones([1, 1, 1, 1, 1], Dtype::Float32)?;
    /// let w = Array::ones([1, 2, 2, 2, 1], Dtype::Float32)?;
    /// let y = x.conv_transpose3d(w, ConvTransposeOptions::default())?;
    /// assert_eq!(y.to_vec::<f32>()?, [1.0; 8]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    conv_transpose3d: transposed(ConvTransposeOptions<3>);
}

impl Array {
    /// The correlation of an input with weights along one to three axes, with everything that it
    /// may have.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, ops::conv::ConvGeneralOptions};
    /// let x = Array::from_slice(&[1.0f32, 2.0, 4.0], [1, 3, 1])?;
    /// let w = Array::from_slice(&[1.0f32, 10.0], [1, 2, 1])?;
    /// let options = ConvGeneralOptions { padding: vec![(1, 0)], flip: true, ..Default::default() };
    /// assert_eq!(x.conv_general(w, &options)?.to_vec::<f32>()?, [1.0, 12.0, 24.0]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn conv_general(
        &self,
        weight: impl IntoOperand,
        options: &ConvGeneralOptions,
    ) -> Result<Array> {
        convolved("conv_general", self, &weight.to_operand(self), options)
    }

    /// The discrete convolution of two vectors, as NumPy has it; their order does not matter.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, ops::conv::ConvolveMode};
    /// let x = Array::from_slice(&[1.0f32, 2.0, 3.0], [3])?;
    /// let v = Array::from_slice(&[0.0f32, 1.0, 0.5], [3])?;
    /// assert_eq!(x.convolve(&v, ConvolveMode::Same)?.to_vec::<f32>()?, [1.0, 2.5, 4.0]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn convolve(&self, other: impl IntoOperand, mode: ConvolveMode) -> Result<Array> {
        let op = "convolve";
        let other = other.to_operand(self);
        if self.ndim() != 1 || other.ndim() != 1 || self.size() == 0 || other.size() == 0 {
            let (a, b) = (self.shape(), other.shape());
            let reason = format!("it takes two vectors with elements, not {a} and {b}");
            return Err(Error::Shape { op, reason });
        }
        let (long, short) =
            if self.size() < other.size() { (&*other, self) } else { (self, &*other) };
        let size = short.size() as i64;
        let padding = match mode {
            ConvolveMode::Full => (size - 1, size - 1),
            ConvolveMode::Same => (size / 2, size - 1 - size / 2),
            ConvolveMode::Valid => (0, 0),
        };
        let options =
            ConvGeneralOptions { padding: vec![padding], flip: true, ..Default::default() };
        let row = |x: &Array| x.reshape_to(crate::Shape::from([1, x.size(), 1]));
        let out = convolved(op, &row(long), &row(short), &options)?;
        out.flatten(0, -1)
    }
}
