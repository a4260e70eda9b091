//! Owns products of vectors and of arrays over chosen axes.

use smallvec::SmallVec;

use super::{Family, Gradient, Input, OpInfo, Sample, info::kinds};
use crate::{Array, Error, Result, Shape};

impl Array {
    /// The product of each element of this array with each of `other`, both taken as vectors.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// let product = array!([1, 2]).outer(&array!([3, 4]))?;
    /// assert_eq!(product.to_vec::<i32>()?, [3, 4, 6, 8]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn outer(&self, other: &Array) -> Result<Array> {
        self.reshape([-1, 1])?.multiply(other.reshape([1, -1])?)
    }

    /// The sums of products over the last axes of both arrays; with a scalar, the product.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// assert_eq!(array!([1.0, 2.0]).inner(&array!([3.0, 4.0]))?.item::<f32>()?, 11.0);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn inner(&self, other: &Array) -> Result<Array> {
        if self.ndim() == 0 || other.ndim() == 0 {
            return self.multiply(other);
        }
        self.contract(other, "inner", &[self.ndim() - 1], &[other.ndim() - 1])
    }

    /// The sums of products along an axis of both arrays, which broadcast. Of complex numbers, those
    /// of this array are conjugated.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// let x = array!([[1.0, 2.0], [3.0, 4.0]]);
    /// assert_eq!(x.vecdot(&array!([1.0, 10.0]), -1)?.to_vec::<f32>()?, [21.0, 43.0]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn vecdot(&self, other: &Array, axis: i64) -> Result<Array> {
        let product = self.conjugate()?.multiply(other)?;
        let axis = product.shape().axis(axis, "vecdot")?;
        let size = |array: &Array| {
            let own = (axis + array.ndim()).checked_sub(product.ndim());
            own.map(|axis| array.shape()[axis])
        };
        if size(self) != size(other) {
            let (left, right) = (self.shape(), other.shape());
            let reason = format!("shapes {left} and {right} differ along axis {axis}");
            return Err(Error::Shape {
                op: "vecdot",
                reason,
            });
        }
        product.sum(axis as i64)
    }

    /// The sums of products over pairs of axes: `axes` of this array with those of `other`. What
    /// is left of this array's axes comes first, then what is left of the other's.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, Dtype};
    /// let (a, b) = (Array::ones([2, 3, 4], Dtype::Float32)?, Array::ones([4, 5, 3], Dtype::Float32)?);
    /// let sums = a.tensordot(&b, &[1, 2], &[2, 0])?;
    /// assert_eq!((sums.shape().dims(), sums.max(..)?.item::<f32>()?), (&[2, 5][..], 12.0));
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn tensordot(&self, other: &Array, axes: &[i64], other_axes: &[i64]) -> Result<Array> {
        const OP: &str = "tensordot";
        let resolve = |array: &Array, axes: &[i64]| -> Result<Vec<usize>> {
            let axes: Vec<usize> = axes
                .iter()
                .map(|&axis| array.shape().axis(axis, OP))
                .collect::<Result<_>>()?;
            let twice = axes.iter().enumerate().find(|(i, axis)| axes[..*i].contains(axis));
            if let Some((_, axis)) = twice {
                let reason = format!("axis {axis} is named twice");
                return Err(Error::Shape { op: OP, reason });
            }
            Ok(axes)
        };
        self.contract(other, OP, &resolve(self, axes)?, &resolve(other, other_axes)?)
    }

    /// Sums of products over pairs of axes, by one matrix product.
    fn contract(
        &self,
        other: &Array,
        op: &'static str,
        axes: &[usize],
        other_axes: &[usize],
    ) -> Result<Array> {
        let sizes = |array: &Array, axes: &[usize]| -> Vec<usize> {
            axes.iter().map(|&axis| array.shape()[axis]).collect()
        };
        let summed = sizes(self, axes);
        if summed != sizes(other, other_axes) {
            let (left, right) = (self.shape(), other.shape());
            let reason = format!(
                "axes {axes:?} of shape {left} and {other_axes:?} of shape {right} differ in size"
            );
            return Err(Error::Shape { op, reason });
        }
        let rest = |array: &Array, axes: &[usize]| -> Vec<usize> {
            (0..array.ndim()).filter(|axis| !axes.contains(axis)).collect()
        };
        let order = |first: &[usize], last: &[usize]| -> SmallVec<[u8; 8]> {
            first.iter().chain(last).map(|&axis| axis as u8).collect()
        };
        let (left, right) = (rest(self, axes), rest(other, other_axes));
        let (rows, columns) = (sizes(self, &left), sizes(other, &right));
        let matrix = |rows: &[usize], columns: &[usize]| {
            Shape::from([rows.iter().product(), columns.iter().product::<usize>()])
        };
        let a = self.permuted(order(&left, axes)).reshape_to(matrix(&rows, &summed));
        let b = other.permuted(order(other_axes, &right)).reshape_to(matrix(&summed, &columns));
        let shape: Shape = rows.into_iter().chain(columns).collect();
        Ok(a.matmul(&b)?.reshape_to(shape))
    }

    /// The Kronecker product: each element of this array times the whole of `other`.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// let product = array!([1, 10]).kron(&array!([1, 2, 3]))?;
    /// assert_eq!(product.to_vec::<i32>()?, [1, 2, 3, 10, 20, 30]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn kron(&self, other: &Array) -> Result<Array> {
        let rank = self.ndim().max(other.ndim());
        let size = |array: &Array, i: usize| {
            (i + array.ndim())
                .checked_sub(rank)
                .map_or(1, |axis| array.shape()[axis])
        };
        // Each axis becomes two: this array's outside, the other's inside.
        let outside: Shape = (0..rank).flat_map(|i| [size(self, i), 1]).collect();
        let inside: Shape = (0..rank).flat_map(|i| [1, size(other, i)]).collect();
        let merged: Shape = (0..rank)
            .map(|i| size(self, i).saturating_mul(size(other, i)))
            .collect();
        let product = self.reshape_to(outside).multiply(other.reshape_to(inside))?;
        Ok(product.reshape_to(merged))
    }
}

pub(super) fn ops() -> Vec<OpInfo> {
    let op = |name, doc, signature, kinds, samples| OpInfo {
        name,
        doc,
        signature,
        family: Family::Linear,
        kinds,
        gradient: Gradient::Smooth,
        samples,
    };
    fn pair(first: &[usize], second: &[usize]) -> [Input; 2] {
        [Input::any(first), Input::any(second)]
    }
    vec![
        op(
            "outer",
            "Each element of one vector times each of another.",
            "outer(a, b)",
            kinds::ALL,
            || vec![Sample::new("", pair(&[3], &[2, 2]), |x| x[0].outer(&x[1]))],
        ),
        op(
            "inner",
            "Sums of products over the last axes.",
            "inner(a, b)",
            kinds::INEXACT,
            || {
                vec![
                    Sample::new("", pair(&[4], &[4]), |x| x[0].inner(&x[1])),
                    Sample::new("", pair(&[2, 4], &[3, 2, 4]), |x| x[0].inner(&x[1])),
                ]
            },
        ),
        op(
            "vecdot",
            "Sums of products along an axis.",
            "vecdot(a, b, axis=-1)",
            kinds::ALL,
            || {
                vec![
                    Sample::new("axis=-1", pair(&[2, 4], &[4]), |x| x[0].vecdot(&x[1], -1)),
                    Sample::new("axis=0", pair(&[3, 2], &[3, 2]), |x| x[0].vecdot(&x[1], 0)),
                ]
            },
        ),
        op(
            "tensordot",
            "Sums of products over pairs of axes.",
            "tensordot(a, b, axes=2)",
            kinds::INEXACT,
            || {
                vec![
                    Sample::new("[1, 2], [2, 0]", pair(&[2, 3, 4], &[4, 5, 3]), |x| {
                        x[0].tensordot(&x[1], &[1, 2], &[2, 0])
                    }),
                    Sample::new("[-1], [0]", pair(&[2, 3], &[3, 2]), |x| {
                        x[0].tensordot(&x[1], &[-1], &[0])
                    }),
                    Sample::new("[], []", pair(&[2], &[3]), |x| x[0].tensordot(&x[1], &[], &[])),
                ]
            },
        ),
        op(
            "kron",
            "The Kronecker product.",
            "kron(a, b)",
            kinds::ALL,
            || {
                vec![
                    Sample::new("", pair(&[2, 2], &[2, 3]), |x| x[0].kron(&x[1])),
                    Sample::new("", pair(&[3], &[2, 2]), |x| x[0].kron(&x[1])),
                ]
            },
        ),
    ]
}
