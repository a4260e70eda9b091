//! Owns arrays made from nothing: filled, diagonal and triangular.

use super::{Family, Gradient, Input, OpInfo, Sample, info::kinds, like::FilledLike};
use crate::{
    Array, Dtype, Element, Error, IntoOperand, Result, Shape,
    transforms::compile::sizes_may_change,
};

impl Array {
    /// An array of `shape` whose every element is `value`. Takes no memory until written to.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::Array;
    /// assert_eq!(Array::full([2], 7i32)?.to_vec::<i32>()?, [7, 7]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn full<T: Element>(shape: impl Into<Shape>, value: T) -> Result<Array> {
        Array::scalar(value).broadcast_to(shape)
    }

    /// Zeros.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, Dtype};
    /// assert_eq!(Array::zeros([2, 2], Dtype::Int8)?.to_vec::<i8>()?, [0; 4]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn zeros(shape: impl Into<Shape>, dtype: Dtype) -> Result<Array> {
        Array::scalar(false).astype(dtype)?.broadcast_to(shape)
    }

    /// Ones.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, Dtype};
    /// assert_eq!(Array::ones([3], Dtype::Float32)?.to_vec::<f32>()?, [1.0; 3]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn ones(shape: impl Into<Shape>, dtype: Dtype) -> Result<Array> {
        Array::scalar(true).astype(dtype)?.broadcast_to(shape)
    }

    /// An array of this shape and dtype whose every element is `value`.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::Array;
    /// let x = Array::full([2], 7i32)?;
    /// assert_eq!(x.full_like(1)?.to_vec::<i32>()?, [1, 1]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn full_like(&self, value: impl IntoOperand) -> Result<Array> {
        let value = value.to_operand(self).astype(self.dtype())?;
        self.filled_like(&value)
    }

    /// `value` in this array's shape, to which it must broadcast.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, array};
    /// let x = array!([1, 2]).filled_like(&Array::scalar(0.5f32))?;
    /// assert_eq!(x.to_vec::<f32>()?, [0.5, 0.5]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn filled_like(&self, value: &Array) -> Result<Array> {
        if sizes_may_change() && self.is_traced() {
            return Array::apply_one(FilledLike, [self.clone(), value.clone()]);
        }
        value.broadcast_to(self.shape())
    }

    /// Zeros of this shape and dtype.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// let x = array!([[1.5, 2.5]]).zeros_like()?;
    /// assert_eq!((x.shape().dims(), x.to_vec::<f32>()?), (&[1, 2][..], vec![0.0, 0.0]));
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn zeros_like(&self) -> Result<Array> {
        self.full_like(false)
    }

    /// Ones of this shape and dtype.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// let x = array!([3u8, 4]).ones_like()?;
    /// assert_eq!(x.to_vec::<u8>()?, [1, 1]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn ones_like(&self) -> Result<Array> {
        self.full_like(true)
    }

    /// For each element of an `n` by `m` matrix, its column less its row.
    fn diagonals(n: usize, m: usize) -> Result<Array> {
        let rows = Array::arange(0, n as i64, 1i64)?.reshape_to(Shape::from([n, 1]));
        Array::arange(0, m as i64, 1i64)?.subtract(rows)
    }

    /// An `n` by `m` matrix with ones on its `k`-th diagonal (0 the main one, positive above it).
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, Dtype};
    /// let x = Array::eye(2, 3, 1, Dtype::Int32)?;
    /// assert_eq!(x.to_vec::<i32>()?, [0, 1, 0, 0, 0, 1]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn eye(n: usize, m: usize, k: i64, dtype: Dtype) -> Result<Array> {
        Array::diagonals(n, m)?.equal(k)?.astype(dtype)
    }

    /// The `n` by `n` matrix with ones on its diagonal.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, Dtype};
    /// assert_eq!(Array::identity(2, Dtype::Int32)?.to_vec::<i32>()?, [1, 0, 0, 1]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn identity(n: usize, dtype: Dtype) -> Result<Array> {
        Array::eye(n, n, 0, dtype)
    }

    /// An `n` by `m` matrix with ones on and below its `k`-th diagonal.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, Dtype};
    /// assert_eq!(Array::tri(2, 2, 0, Dtype::Int32)?.to_vec::<i32>()?, [1, 0, 1, 1]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn tri(n: usize, m: usize, k: i64, dtype: Dtype) -> Result<Array> {
        Array::diagonals(n, m)?.less_equal(k)?.astype(dtype)
    }

    /// The matrices of the last two axes with zeros above the `k`-th diagonal.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::Array;
    /// let x = Array::from_slice(&[1, 2, 3, 4], [2, 2])?;
    /// assert_eq!(x.tril(0)?.to_vec::<i32>()?, [1, 0, 3, 4]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn tril(&self, k: i64) -> Result<Array> {
        let (n, m) = self.matrix("tril")?;
        let zero = Array::zeros(Shape::scalar(), self.dtype())?;
        Array::diagonals(n, m)?.less_equal(k)?.select(self, zero)
    }

    /// The matrices of the last two axes with zeros below the `k`-th diagonal.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::Array;
    /// let x = Array::from_slice(&[1, 2, 3, 4], [2, 2])?;
    /// assert_eq!(x.triu(0)?.to_vec::<i32>()?, [1, 2, 0, 4]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn triu(&self, k: i64) -> Result<Array> {
        let (n, m) = self.matrix("triu")?;
        let zero = Array::zeros(Shape::scalar(), self.dtype())?;
        Array::diagonals(n, m)?.greater_equal(k)?.select(self, zero)
    }

    /// The sizes of the last two axes.
    fn matrix(&self, op: &'static str) -> Result<(usize, usize)> {
        if let [.., n, m] = self.shape()[..] {
            return Ok((n, m));
        }
        let reason = format!("shape {} has fewer than two axes", self.shape());
        Err(Error::Shape { op, reason })
    }
}

pub(super) fn ops() -> Vec<OpInfo> {
    let made = |name, doc, signature, samples| OpInfo {
        name,
        doc,
        signature,
        family: Family::Creation,
        kinds: kinds::ALL,
        gradient: Gradient::Zero,
        samples,
    };
    let shaped = |name, doc, signature, samples| OpInfo {
        gradient: Gradient::Smooth,
        family: Family::Shape,
        ..made(name, doc, signature, samples)
    };
    vec![
        made("full", "A number repeated.", "full(shape, vals, dtype=None)", || {
            vec![Sample::new("(2, 3), 2.5", [], |_| Array::full([2, 3], 2.5f32))]
        }),
        made("zeros", "Zeros.", "zeros(shape, dtype=float32)", || {
            let call = |_: &[Array]| Array::zeros([2, 0, 3], Dtype::Int8);
            vec![
                Sample::new("(4,)", [], |_| Array::zeros([4], Dtype::Float32)),
                Sample::new("(2, 0, 3)", [], call),
            ]
        }),
        made("ones", "Ones.", "ones(shape, dtype=float32)", || {
            vec![Sample::new("(4,)", [], |_| Array::ones([4], Dtype::BFloat16))]
        }),
        made("full_like", "A number in another array's shape and dtype.", "full_like(x, vals)", || {
            vec![Sample::new("3", [Input::any([2, 3])], |x| x[0].full_like(3))]
        }),
        made("zeros_like", "Zeros in another array's shape and dtype.", "zeros_like(x)", || {
            vec![Sample::new("", [Input::any([2, 3])], |x| x[0].zeros_like())]
        }),
        made("ones_like", "Ones in another array's shape and dtype.", "ones_like(x)", || {
            vec![Sample::new("", [Input::any([2, 3])], |x| x[0].ones_like())]
        }),
        made("eye", "Ones on a diagonal.", "eye(n, m=None, k=0, dtype=float32)", || {
            [(3, 3, 0), (2, 4, 1), (4, 2, -1), (0, 3, 0)]
                .map(|(n, m, k)| {
                    let label = format!("{n}, {m}, {k}");
                    Sample::new(label, [], move |_| Array::eye(n, m, k, Dtype::Float32))
                })
                .to_vec()
        }),
        made("identity", "Ones on the main diagonal.", "identity(n, dtype=float32)", || {
            vec![Sample::new("3", [], |_| Array::identity(3, Dtype::Float32))]
        }),
        made("tri", "Ones on and below a diagonal.", "tri(n, m=None, k=0, dtype=float32)", || {
            [(3, 3, 0), (2, 4, 1), (4, 2, -1)]
                .map(|(n, m, k)| {
                    let label = format!("{n}, {m}, {k}");
                    Sample::new(label, [], move |_| Array::tri(n, m, k, Dtype::Float32))
                })
                .to_vec()
        }),
        shaped("tril", "Zeros above a diagonal.", "tril(x, k=0)", || {
            [-1, 0, 2]
                .map(|k| Sample::new(format!("{k}"), [Input::any([2, 3, 4])], move |x| x[0].tril(k)))
                .to_vec()
        }),
        shaped("triu", "Zeros below a diagonal.", "triu(x, k=0)", || {
            [-1, 0, 2]
                .map(|k| Sample::new(format!("{k}"), [Input::any([2, 3, 4])], move |x| x[0].triu(k)))
                .to_vec()
        }),
    ]
}
