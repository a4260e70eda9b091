//! Owns updates of the elements that indices select: `x.at(indices).add(value)`.

use smallvec::SmallVec;

use super::{Domain, Family, Gradient, Input, OpInfo, Sample, info::kinds, scatter::Combine};
use crate::{Array, Dtype, Error, Index, IntoIndices, IntoOperand, Kind, Result};

/// The elements of an array that indices select, to be updated; made by [`Array::at`].
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, At};
/// let x = array!([1, 2, 3, 4]);
/// let tail: At = x.at(2..);
/// assert_eq!(tail.set(0)?.to_vec::<i32>()?, [1, 2, 0, 0]);
/// assert_eq!(tail.add(1)?.to_vec::<i32>()?, [1, 2, 4, 5]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone)]
pub struct At<'a> {
    array: &'a Array,
    indices: SmallVec<[Index; 6]>,
}

impl Array {
    /// The elements that indices select, to be updated. Each update returns a copy.
    ///
    /// Whatever [`Array::index`] takes selects here too, negative steps included, and among it one
    /// mask, which selects where it is true; see [`Array::index_update`]. An element that is selected
    /// several times is updated several times.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// let x = array!([1, 2, 3]);
    /// assert_eq!(x.at(&array!([0, 0, 2])).add(10)?.to_vec::<i32>()?, [21, 2, 13]);
    /// assert_eq!(x.at(1..).multiply(&array!([5, 6]))?.to_vec::<i32>()?, [1, 10, 18]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn at(&self, indices: impl IntoIndices) -> At<'_> {
        At { array: self, indices: indices.to_indices() }
    }
}

impl At<'_> {
    /// The selected elements.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{array, step};
    /// let x = array!([1, 2, 3, 4]);
    /// assert_eq!(x.at(step(.., -2)).get()?.to_vec::<i32>()?, [4, 2]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn get(&self) -> Result<Array> {
        self.array.index(&self.indices[..])
    }

    fn combine(&self, combine: Combine, value: impl IntoOperand) -> Result<Array> {
        self.array.index_combine(combine, &self.indices[..], value)
    }

    /// Replaces them; of several values for one element, the last stays.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// let x = array!([1, 2, 3]);
    /// assert_eq!(x.at(1..).set(array!([8, 9]))?.to_vec::<i32>()?, [1, 8, 9]);
    /// assert_eq!(x.at(&array!([0, 0])).set(array!([8, 9]))?.to_vec::<i32>()?, [9, 2, 3]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn set(&self, value: impl IntoOperand) -> Result<Array> {
        self.combine(Combine::Assign, value)
    }

    /// Adds to them.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{array, Array, Dtype};
    /// let counts = Array::zeros([3], Dtype::Int32)?;
    /// // An element that is named twice is added to twice.
    /// assert_eq!(counts.at(&array!([0, 2, 0])).add(1)?.to_vec::<i32>()?, [2, 0, 1]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn add(&self, value: impl IntoOperand) -> Result<Array> {
        self.combine(Combine::Add, value)
    }

    /// Subtracts from them.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{array, step};
    /// let x = array!([5, 5, 5]).at(step(.., -2)).subtract(&array!([1, 2]))?;
    /// assert_eq!(x.to_vec::<i32>()?, [3, 5, 4]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn subtract(&self, value: impl IntoOperand) -> Result<Array> {
        let value = value.to_operand(self.array).astype(self.array.dtype())?;
        self.combine(Combine::Add, value.negative()?)
    }

    /// Multiplies them.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// let x = array!([1, 2, 3]);
    /// assert_eq!(x.at(&array!([1, 1])).multiply(10)?.to_vec::<i32>()?, [1, 200, 3]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn multiply(&self, value: impl IntoOperand) -> Result<Array> {
        self.combine(Combine::Multiply, value)
    }

    /// Divides them. Integers are divided towards zero; an element that is selected several times
    /// is divided by the product of its values.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// assert_eq!(array!([7, -7, 7]).at(..2).divide(2)?.to_vec::<i32>()?, [3, -3, 7]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn divide(&self, value: impl IntoOperand) -> Result<Array> {
        let dtype = self.array.dtype();
        if dtype == Dtype::Bool {
            let reason = "truth values have no quotient";
            return Err(Error::Dtype { op: "at.divide", dtype, reason });
        }
        let value = value.to_operand(self.array).astype(dtype)?;
        // The product of several divisors of a narrow integer does not fit its dtype.
        let wide = match dtype.kind() {
            Kind::Bool | Kind::Unsigned => Dtype::Uint64,
            Kind::Signed => Dtype::Int64,
            Kind::Float | Kind::Complex => dtype,
        };
        let x = self.array.astype(wide)?;
        let ones = x.ones_like()?;
        let divisors = ones.index_combine(Combine::Multiply, &self.indices[..], &value)?;
        if wide.is_inexact() {
            return x.divide(divisors);
        }
        let (down, rest) = x.divmod(&divisors)?;
        // The quotient that was rounded down is one too low where it is negative and not whole.
        let low = rest.not_equal(0)?.logical_and(x.less(0)?.not_equal(divisors.less(0)?)?)?;
        down.add(low.astype(wide)?)?.astype(dtype)
    }

    /// Keeps the greater of each and a value; NaN if either is.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// let x = array!([1, 5, 9]);
    /// assert_eq!(x.at(..2).maximum(3)?.to_vec::<i32>()?, [3, 5, 9]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn maximum(&self, value: impl IntoOperand) -> Result<Array> {
        self.combine(Combine::Maximum, value)
    }

    /// Keeps the lesser of each and a value; NaN if either is.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// let x = array!([1, 5, 9]);
    /// assert_eq!(x.at(1..).minimum(array!([7, 7]))?.to_vec::<i32>()?, [1, 5, 7]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn minimum(&self, value: impl IntoOperand) -> Result<Array> {
        self.combine(Combine::Minimum, value)
    }
}

pub(super) fn ops() -> Vec<OpInfo> {
    /// What an update does with the selected elements and the values.
    type Update = fn(&At, &Array) -> Result<Array>;
    fn samples(update: Update, values: Domain) -> Vec<Sample> {
        let rows = [Input::any([4, 3]), Input::index([5], 4), Input::new([5, 3], values)];
        let slice = [Input::any([5, 4]), Input::new([3, 2], values)];
        let mask = [Input::any([3, 2]), Input::new([3, 2], Domain::Truth), Input::new([], values)];
        let inner = [Input::any([2, 3, 4]), Input::new([3], Domain::Truth), Input::new([2, 3, 1], values)];
        vec![
            Sample::new("[a]", rows, move |x| update(&x[0].at(&x[1]), &x[2])),
            Sample::new("[::2, 3:0:-2]", slice, move |x| {
                let down = Index::Slice { start: Some(3), stop: Some(0), step: -2 };
                update(&x[0].at((crate::step(.., 2), down)), &x[1])
            }),
            Sample::new("[mask]", mask, move |x| update(&x[0].at(&x[1]), &x[2])),
            Sample::new("[:, mask, ::2]", inner, move |x| {
                update(&x[0].at((.., &x[1], crate::step(.., 2))), &x[2])
            }),
        ]
    }
    let op = |name, doc, signature, samples| OpInfo {
        name,
        doc,
        signature,
        family: Family::Indexing,
        kinds: kinds::ALL,
        gradient: Gradient::Smooth,
        samples,
    };
    vec![
        op("at.add", "Adds to selected elements.", "x.at[...].add(value)", || {
            samples(|at, value| at.add(value), Domain::Any)
        }),
        OpInfo {
            kinds: kinds::NUMBER,
            ..op("at.subtract", "Subtracts from selected elements.", "x.at[...].subtract(value)", || {
                samples(|at, value| at.subtract(value), Domain::Any)
            })
        },
        op("at.multiply", "Multiplies selected elements.", "x.at[...].multiply(value)", || {
            samples(|at, value| at.multiply(value), Domain::Any)
        }),
        OpInfo {
            kinds: kinds::NUMBER,
            ..op("at.divide", "Divides selected elements.", "x.at[...].divide(value)", || {
                samples(|at, value| at.divide(value), Domain::NonZero)
            })
        },
        op("at.maximum", "Keeps the greater of elements and values.", "x.at[...].maximum(value)", || {
            samples(|at, value| at.maximum(value), Domain::Any)
        }),
        op("at.minimum", "Keeps the lesser of elements and values.", "x.at[...].minimum(value)", || {
            samples(|at, value| at.minimum(value), Domain::Any)
        }),
    ]
}
