//! Owns random bits: the primitive that every distribution draws from.

use serde::{Deserialize, Serialize};

use crate::{
    Array, Dtype, Error, Result, Shape,
    graph::{Batched, Gradients, Jvp, Primitive, Spec, Specs, Tangents, Vjp, Vmap, no_decomposition},
};

/// Random unsigned integers for each key in an array whose last axis, of size two, holds keys.
///
/// The result has the keys' leading axes, then `shape`.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{Array, Dtype, stack};
/// use olivine_core::random::{RandomBits, key};
/// let keys = stack(&[key(0), key(1)], 0)?;
/// let bits = RandomBits { shape: [3].into(), dtype: Dtype::Uint16 };
/// // Three numbers for each of the keys.
/// assert_eq!(Array::apply_one(bits, [keys])?.shape().dims(), &[2, 3]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RandomBits {
    /// The shape that each key fills.
    pub shape: Shape,
    /// An unsigned dtype of 8, 16 or 32 bits.
    pub dtype: Dtype,
}

crate::stored!(RandomBits);

impl Primitive for RandomBits {
    fn name(&self) -> &'static str {
        "random.bits"
    }

    fn infer(&self, inputs: &[Array]) -> Result<Specs> {
        crate::graph::exactly(self.name(), 1, inputs)?;
        let (op, key) = (self.name(), &inputs[0]);
        if !matches!(self.dtype, Dtype::Uint8 | Dtype::Uint16 | Dtype::Uint32) {
            let reason = "bits come as uint8, uint16 or uint32";
            return Err(Error::Dtype { op, dtype: self.dtype, reason });
        }
        check_key(key)?;
        let batch = &key.shape()[..key.ndim() - 1];
        let shape = batch.iter().chain(self.shape.iter()).copied().collect();
        Ok([Spec { shape, dtype: self.dtype }].into())
    }

    fn vjp(&self, vjp: &Vjp) -> Result<Gradients> {
        // Keys are integers.
        vjp.each(|_| Ok(None))
    }

    fn jvp(&self, jvp: &Jvp) -> Result<Tangents> {
        jvp.zero()
    }

    fn vmap(&self, vmap: &Vmap) -> Result<Batched> {
        vmap.lifted(self.clone())
    }

    fn decompose(&self, _inputs: &[Array]) -> Result<Vec<Array>> {
        no_decomposition(self.name())
    }
}

fn check_key(key: &Array) -> Result<()> {
    if key.dtype() != Dtype::Uint32 || key.shape().last() != Some(&2) {
        let reason = format!(
            "a key is two uint32, as random::key makes it, not {} of shape {}",
            key.dtype(),
            key.shape()
        );
        return Err(Error::Argument { op: "random.bits", reason });
    }
    Ok(())
}

/// A draw of random unsigned integers, all values equally likely.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{random, Dtype};
/// let key = random::key(0);
/// let bytes = random::Bits::new([2]).dtype(Dtype::Uint8).key(&key).sample()?;
/// let words = random::Bits::new([2]).key(&key).sample()?.to_vec::<u32>()?;
/// assert_eq!(words, [928981903, 3453687069]);
/// assert_eq!(bytes.to_vec::<u8>()?.len(), 2);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone)]
#[must_use = "a draw does nothing until it is sampled"]
pub struct Bits {
    shape: Shape,
    dtype: Dtype,
    key: Option<Array>,
}

impl Bits {
    /// Bits of `shape`, as `uint32`.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Dtype, random};
    /// let x = random::Bits::new([2, 2]).key(&random::key(0)).sample()?;
    /// assert_eq!((x.dtype(), x.size()), (Dtype::Uint32, 4));
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn new(shape: impl Into<Shape>) -> Self {
        Bits { shape: shape.into(), dtype: Dtype::Uint32, key: None }
    }

    /// Sets the dtype: `uint8`, `uint16` or `uint32`.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Dtype, random};
    /// let key = random::key(0);
    /// let bytes = random::Bits::new([4]).dtype(Dtype::Uint8).key(&key).sample()?;
    /// assert_eq!(bytes.dtype(), Dtype::Uint8);
    /// assert!(random::Bits::new([4]).dtype(Dtype::Int8).key(&key).sample().is_err());
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn dtype(mut self, dtype: Dtype) -> Self {
        self.dtype = dtype;
        self
    }

    /// Draws from `key` instead of this thread's state.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::random;
    /// let draw = |seed| random::Bits::new([2]).key(&random::key(seed)).sample()?.to_vec::<u32>();
    /// assert_eq!(draw(3)?, draw(3)?);
    /// assert_ne!(draw(3)?, draw(4)?);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn key(mut self, key: &Array) -> Self {
        self.key = Some(key.clone());
        self
    }

    /// The random integers. Fails for other dtypes and for arrays that are not a key.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{array, random};
    /// assert!(random::Bits::new([2]).key(&array!([1, 2])).sample().is_err());
    /// let x = random::Bits::new([2]).key(&random::key(0)).sample()?;
    /// assert_eq!(x.to_vec::<u32>()?, [928981903, 3453687069]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn sample(self) -> Result<Array> {
        let key = match self.key {
            Some(key) if key.ndim() != 1 => {
                let reason = format!("one key has shape (2,), not {}", key.shape());
                return Err(Error::Argument { op: "random.bits", reason });
            }
            Some(key) => key,
            None => super::state::next_key()?,
        };
        let Bits { shape, dtype, .. } = self;
        Array::apply_one(RandomBits { shape, dtype }, [key])
    }
}
