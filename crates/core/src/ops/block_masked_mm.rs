//! Owns matrix products of which blocks are masked out.

use super::{Family, Gradient, Input, OpInfo, Sample, info::kinds};
use crate::{Array, Error, IntoOperand, Result};

const OP: &str = "block_masked_mm";

/// The masks of a product: one element for each block of a matrix. What is false or zero counts as
/// zeros; other numbers are factors.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, Array, Dtype, keep};
/// use olivine_core::ops::block_masked_mm::BlockMasks;
/// let (a, keep) = (Array::ones([32, 32], Dtype::Float32)?, array!([[false]]));
/// let masks = BlockMasks { lhs: Some(&keep), ..BlockMasks::default() };
/// assert_eq!(a.block_masked_mm(&a, 32, masks)?.sum(..)?.item::<f32>()?, 0.0);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct BlockMasks<'a> {
    /// The mask of the result.
    pub out: Option<&'a Array>,
    /// The mask of the left side.
    pub lhs: Option<&'a Array>,
    /// The mask of the right side.
    pub rhs: Option<&'a Array>,
}

/// The matrices with each block times its element of the mask.
fn masked(x: &Array, mask: Option<&Array>, block: usize) -> Result<Array> {
    let Some(mask) = mask else { return Ok(x.clone()) };
    let rank = x.ndim();
    let sizes = &x.shape()[rank - 2..];
    let blocks = [sizes[0].div_ceil(block), sizes[1].div_ceil(block)];
    if mask.ndim() < 2 || mask.shape()[mask.ndim() - 2..] != blocks {
        let reason = format!(
            "a mask of shape {} does not have one element for each of {} by {} blocks",
            mask.shape(),
            blocks[0],
            blocks[1]
        );
        return Err(Error::Shape { op: OP, reason });
    }
    // Each element is repeated for its block without a copy; the last blocks are cut.
    let mut each = mask.clone();
    for (axis, size) in [(-2i64, sizes[0]), (-1, sizes[1])] {
        let at = (each.ndim() as i64 + axis) as usize;
        let wide = each.shape()[at] * block;
        let tall = each.shape().insert_axis(at + 1, block);
        each = each.expand_dims(axis)?.broadcast_to(tall)?;
        each = each.flatten(at as i64, at as i64 + 1)?;
        if wide != size {
            each = each.moveaxis(at as i64, 0)?.index(0..size)?.moveaxis(0, at as i64)?;
        }
    }
    if mask.dtype() == crate::Dtype::Bool {
        return each.select(x, 0.0f32);
    }
    x.multiply(each.astype(x.dtype())?)
}

impl Array {
    /// The matrix product with square blocks of either side or of the result masked.
    ///
    /// A mask has one element for each block of `block_size` rows and columns, of which the last
    /// may be smaller; its leading axes broadcast. Without masks it is [`Array::matmul`].
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, Dtype, ops::block_masked_mm::BlockMasks};
    /// let x = Array::ones([40, 40], Dtype::Float32)?;
    /// let mask = Array::from_slice(&[true, false], [1, 2])?.broadcast_to([2, 2])?;
    /// let y = x.block_masked_mm(&x, 32, BlockMasks { lhs: Some(&mask), ..Default::default() })?;
    /// assert_eq!(y.to_vec::<f32>()?, [32.0; 1600]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn block_masked_mm(
        &self,
        other: impl IntoOperand,
        block_size: usize,
        masks: BlockMasks,
    ) -> Result<Array> {
        let other = other.to_operand(self);
        let dtype = self.dtype().promote(other.dtype());
        if !dtype.is_float() {
            let reason = "it takes real floating-point arrays; convert with astype first";
            return Err(Error::Dtype { op: OP, dtype, reason });
        }
        if block_size != 32 && block_size != 64 {
            let reason = format!("blocks have 32 or 64 rows and columns, not {block_size}");
            return Err(Error::Argument { op: OP, reason });
        }
        if self.ndim() == 0 || other.ndim() == 0 {
            let reason = format!("scalars have no rows: {} @ {}", self.shape(), other.shape());
            return Err(Error::Shape { op: OP, reason });
        }
        let (row, column) = (self.ndim() == 1, other.ndim() == 1);
        let grown = |x: &Array, first: bool, last: bool| -> Result<Array> {
            let x = if first { x.expand_dims(-2)? } else { x.clone() };
            if last { x.expand_dims(-1) } else { Ok(x) }
        };
        let mask = |mask: Option<&Array>, first, last| {
            mask.map(|mask| grown(mask, first, last)).transpose()
        };
        let (left, right) = (mask(masks.lhs, row, false)?, mask(masks.rhs, false, column)?);
        // The mask of the result lacks the axes that the result lacks.
        let out = match masks.out {
            Some(out) if row && column => Some(out.expand_dims(-1)?.expand_dims(-1)?),
            out => mask(out, row, column)?,
        };
        let a = masked(&grown(&self.astype(dtype)?, row, false)?, left.as_ref(), block_size)?;
        let b = masked(&grown(&other.astype(dtype)?, false, column)?, right.as_ref(), block_size)?;
        let mut product = masked(&a.matmul(b)?, out.as_ref(), block_size)?;
        if row {
            product = product.squeeze(-2)?;
        }
        if column {
            product = product.squeeze(-1)?;
        }
        Ok(product)
    }
}

pub(super) fn ops() -> Vec<OpInfo> {
    let samples = || {
        let inputs = |m: usize, n: usize| vec![Input::any([m, 40]), Input::any([40, n])];
        let blocks = |m: usize, n: usize| vec![m.div_ceil(32), n.div_ceil(32)];
        let truth = |shape: Vec<usize>| Input::new(shape, super::Domain::Truth);
        vec![
            Sample::new(
                "out",
                [inputs(33, 2), vec![truth(blocks(33, 2))]].concat(),
                |x| {
                    let masks = BlockMasks { out: Some(&x[2]), ..Default::default() };
                    x[0].block_masked_mm(&x[1], 32, masks)
                },
            ),
            Sample::new(
                "lhs, rhs",
                [
                    inputs(33, 2),
                    vec![Input::any(blocks(33, 40)), Input::any(blocks(40, 2))],
                ]
                .concat(),
                |x| {
                    let masks = BlockMasks { lhs: Some(&x[2]), rhs: Some(&x[3]), out: None };
                    x[0].block_masked_mm(&x[1], 32, masks)
                },
            ),
            Sample::new("none", inputs(3, 2), |x| {
                x[0].block_masked_mm(&x[1], 64, BlockMasks::default())
            }),
            Sample::new(
                "lhs",
                vec![Input::any([2, 3, 40]), Input::any([40, 5]), truth(vec![1, 2])],
                |x| {
                    let masks = BlockMasks { lhs: Some(&x[2]), ..Default::default() };
                    x[0].block_masked_mm(&x[1], 32, masks)
                },
            ),
        ]
    };
    vec![OpInfo {
        name: OP,
        doc: "The matrix product with blocks masked out.",
        signature: "block_masked_mm(a, b, block_size=64, mask_out=None, mask_lhs=None, mask_rhs=None)",
        family: Family::Linear,
        kinds: kinds::FLOAT,
        gradient: Gradient::Smooth,
        samples,
    }]
}
