//! Owns key-value caches: what attention remembers of the tokens before.

use olivine_core::{Array, Result, concatenate};

/// The keys and values of one attention layer, for all tokens seen so far.
///
/// Both have the shape (batch, heads, tokens, head size). Room grows in steps, and writing the
/// next tokens happens in place when nobody else holds the arrays.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{Array, Dtype};
/// use olivine_lm::KvCache;
/// let mut cache = KvCache::new();
/// let new = Array::ones([1, 2, 3, 8], Dtype::Float32)?;
/// let (keys, _values) = cache.update(&new, &new)?;
/// assert_eq!(keys.shape().dims(), &[1, 2, 3, 8]);
/// assert_eq!(cache.len(), 3);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct KvCache {
    keys: Option<Array>,
    values: Option<Array>,
    len: usize,
}

impl KvCache {
    /// Room is added for this many tokens at a time.
    const STEP: usize = 256;

    /// An empty cache.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// assert!(olivine_lm::KvCache::new().is_empty());
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// The number of tokens remembered.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, Dtype};
    /// let new = Array::ones([1, 2, 3, 8], Dtype::Float32)?;
    /// let mut cache = olivine_lm::KvCache::new();
    /// cache.update(&new, &new)?;
    /// cache.update(&new, &new)?;
    /// assert_eq!(cache.len(), 6);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn len(&self) -> usize {
        self.len
    }

    /// True before the first token.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, Dtype};
    /// let mut cache = olivine_lm::KvCache::new();
    /// let new = Array::ones([1, 2, 3, 8], Dtype::Float32)?;
    /// cache.update(&new, &new)?;
    /// assert!(!cache.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds the keys and values of new tokens and returns those of all tokens.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// let mut cache = olivine_lm::KvCache::new();
    /// let (first, second) = (array!([[[[1.0]]]]), array!([[[[2.0]]]]));
    /// cache.update(&first, &first)?;
    /// let (keys, _) = cache.update(&second, &second)?;
    /// assert_eq!(keys.to_vec::<f32>()?, [1.0, 2.0]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn update(&mut self, keys: &Array, values: &Array) -> Result<(Array, Array)> {
        let total = self.len + keys.dim(2)?;
        let all_keys = extend(&mut self.keys, self.len, total, keys)?;
        let all_values = extend(&mut self.values, self.len, total, values)?;
        self.len = total;
        Ok((all_keys, all_values))
    }

    /// Forgets all but the first `len` tokens; their memory is kept for what follows.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, Dtype};
    /// let new = Array::ones([1, 2, 3, 8], Dtype::Float32)?;
    /// let mut cache = olivine_lm::KvCache::new();
    /// cache.update(&new, &new)?;
    /// cache.truncate(1);
    /// assert_eq!(cache.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// The arrays it holds, to be evaluated together with a model's output.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, Dtype};
    /// let new = Array::ones([1, 2, 3, 8], Dtype::Float32)?;
    /// let mut cache = olivine_lm::KvCache::new();
    /// assert_eq!(cache.arrays().count(), 0);
    /// cache.update(&new, &new)?;
    /// assert_eq!(cache.arrays().count(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn arrays(&self) -> impl Iterator<Item = &Array> {
        self.keys.iter().chain(&self.values)
    }
}

/// Writes `new` at positions `len..total` of `held`, growing it first if it is too short.
fn extend(held: &mut Option<Array>, len: usize, total: usize, new: &Array) -> Result<Array> {
    let room = match held.take() {
        Some(room) if room.dim(2)? >= total => room,
        previous => {
            let size = total.next_multiple_of(KvCache::STEP);
            let kept = previous
                .map(|room| room.index((.., .., ..len)))
                .transpose()?;
            let shape = new.shape().with_axis(2, size - len);
            let empty = Array::zeros(shape, new.dtype())?;
            match kept {
                Some(kept) if len > 0 => concatenate(&[kept, empty], 2)?,
                _ => empty,
            }
        }
    };
    let room = room.index_update((.., .., len..total), new)?;
    let all = room.index((.., .., ..total))?;
    *held = Some(room);
    Ok(all)
}
