//! Owns what models remember of the tokens before: keys and values, or the state of a recurrence.

use olivine_core::{
    Array, Result, concatenate,
    quantized::{Quantization, Quantized},
};

/// What one layer remembers of one sequence.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_lm::{Cache, KvCache};
/// let cache = Cache::from(KvCache::new());
/// assert_eq!(cache.len(), 0);
/// ```
#[derive(Clone)]
pub enum Cache {
    /// Keys and values of attention.
    Kv(KvCache),
    /// The state of a recurrence or a convolution.
    State(StateCache),
    /// Several, for layers that have several kinds.
    List(Vec<Cache>),
}

impl From<KvCache> for Cache {
    fn from(cache: KvCache) -> Self {
        Cache::Kv(cache)
    }
}

impl From<StateCache> for Cache {
    fn from(cache: StateCache) -> Self {
        Cache::State(cache)
    }
}

impl Cache {
    /// The number of tokens seen.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::{Cache, StateCache};
    /// assert_eq!(Cache::from(StateCache::new(2)).len(), 0);
    /// ```
    pub fn len(&self) -> usize {
        match self {
            Cache::Kv(cache) => cache.len(),
            Cache::State(cache) => cache.len,
            Cache::List(caches) => caches.iter().map(Cache::len).max().unwrap_or(0),
        }
    }

    /// True before the first token.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::{Cache, KvCache};
    /// assert!(Cache::from(KvCache::new()).is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The keys and values, if it holds some, also as the one of a list that does.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::{Cache, KvCache, StateCache};
    /// let mut both = Cache::List(vec![StateCache::new(1).into(), KvCache::new().into()]);
    /// assert!(both.kv().is_some());
    /// ```
    pub fn kv(&mut self) -> Option<&mut KvCache> {
        match self {
            Cache::Kv(cache) => Some(cache),
            Cache::State(_) => None,
            Cache::List(caches) => caches.iter_mut().find_map(Cache::kv),
        }
    }

    /// Announces so many tokens, those seen included: keys and values then need not be moved to larger
    /// arrays while they come.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, Dtype};
    /// use olivine_lm::{Cache, KvCache};
    /// let mut cache = Cache::from(KvCache::new());
    /// cache.reserve(1000);
    /// let Cache::Kv(kv) = &mut cache else { unreachable!() };
    /// let new = Array::ones([1, 1, 3, 8], Dtype::Float32)?;
    /// kv.update(&new, &new)?;
    /// // Keys and values of 1024 tokens.
    /// assert_eq!(cache.bytes(), 2 * 1024 * 8 * 4);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn reserve(&mut self, tokens: usize) {
        match self {
            Cache::Kv(cache) => cache.room = cache.room.max(tokens),
            Cache::State(_) => {}
            Cache::List(parts) => parts.iter_mut().for_each(|part| part.reserve(tokens)),
        }
    }

    /// Whether it holds keys and values only.
    pub(crate) fn is_kv(&self) -> bool {
        match self {
            Cache::Kv(_) => true,
            Cache::State(_) => false,
            Cache::List(caches) => caches.iter().all(Cache::is_kv),
        }
    }

    /// The state, if it holds one, also as the one of a list that does.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::{Cache, KvCache};
    /// assert!(Cache::from(KvCache::new()).state().is_none());
    /// ```
    pub fn state(&mut self) -> Option<&mut StateCache> {
        match self {
            Cache::State(cache) => Some(cache),
            Cache::Kv(_) => None,
            Cache::List(caches) => caches.iter_mut().find_map(Cache::state),
        }
    }

    /// Whether all but the first `len` tokens can be forgotten.
    ///
    /// Keys and values that have left a window do not come back, and states cannot go back at all.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::{Cache, StateCache};
    /// assert!(Cache::from(StateCache::new(1)).can_truncate(0));
    /// ```
    pub fn can_truncate(&self, len: usize) -> bool {
        match self {
            Cache::Kv(cache) => cache.can_truncate(len),
            Cache::State(cache) => len == cache.len || len == 0,
            Cache::List(caches) => caches.iter().all(|cache| cache.can_truncate(len)),
        }
    }

    /// Forgets all but the first `len` tokens, or returns false and changes nothing.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, Dtype};
    /// use olivine_lm::{Cache, KvCache};
    /// let new = Array::ones([1, 2, 3, 8], Dtype::Float32)?;
    /// let mut cache = KvCache::new();
    /// cache.update(&new, &new)?;
    /// let mut cache = Cache::from(cache);
    /// assert!(cache.truncate(1));
    /// assert_eq!(cache.len(), 1);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn truncate(&mut self, len: usize) -> bool {
        if !self.can_truncate(len) {
            return false;
        }
        match self {
            Cache::Kv(cache) => cache.truncate(len),
            Cache::State(cache) => {
                if len == 0 {
                    *cache = StateCache::new(cache.slots.len());
                }
            }
            Cache::List(caches) => {
                for cache in caches {
                    cache.truncate(len);
                }
            }
        }
        true
    }

    /// The arrays it holds, to be evaluated together with a model's output.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::{Cache, KvCache};
    /// assert!(Cache::from(KvCache::new()).arrays().is_empty());
    /// ```
    pub fn arrays(&self) -> Vec<&Array> {
        match self {
            Cache::Kv(cache) => cache.arrays().collect(),
            Cache::State(cache) => cache.slots.iter().flatten().collect(),
            Cache::List(caches) => caches.iter().flat_map(Cache::arrays).collect(),
        }
    }

    /// The bytes of memory it takes.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::{Cache, KvCache};
    /// assert_eq!(Cache::from(KvCache::new()).bytes(), 0);
    /// ```
    pub fn bytes(&self) -> usize {
        let sizes = self
            .arrays()
            .into_iter()
            .map(|a| a.size() * a.dtype().size());
        sizes.sum()
    }
}

/// The state of a recurrence: some arrays that each step replaces.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::array;
/// use olivine_lm::StateCache;
/// let mut cache = StateCache::new(2);
/// cache.set(1, array!([1.0]));
/// assert!(cache.get(0).is_none() && cache.get(1).is_some());
/// ```
#[derive(Clone)]
pub struct StateCache {
    pub(crate) slots: Vec<Option<Array>>,
    pub(crate) len: usize,
}

impl StateCache {
    /// A state of so many arrays, none of which is there yet.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// assert!(olivine_lm::StateCache::new(1).get(0).is_none());
    /// ```
    pub fn new(slots: usize) -> Self {
        StateCache {
            slots: vec![None; slots],
            len: 0,
        }
    }

    /// One of the arrays; none before it is set, or if there are not so many.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// assert!(olivine_lm::StateCache::new(1).get(7).is_none());
    /// ```
    pub fn get(&self, slot: usize) -> Option<&Array> {
        self.slots.get(slot)?.as_ref()
    }

    /// Replaces one of the arrays.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// let mut cache = olivine_lm::StateCache::new(1);
    /// cache.set(0, array!([1.0]));
    /// assert!(cache.get(0).is_some());
    /// ```
    pub fn set(&mut self, slot: usize, value: Array) {
        if slot >= self.slots.len() {
            self.slots.resize(slot + 1, None);
        }
        self.slots[slot] = Some(value);
    }

    /// Notes that so many more tokens have been seen.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::{Cache, StateCache};
    /// let mut cache = StateCache::new(1);
    /// cache.advance(3);
    /// assert_eq!(Cache::from(cache).len(), 3);
    /// ```
    pub fn advance(&mut self, tokens: usize) {
        self.len += tokens;
    }
}

/// Which keys a query can see, of those that are not after it.
///
/// ```
/// use olivine_lm::Reach;
/// assert_eq!(Reach::default(), Reach::All);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Reach {
    /// All of them.
    #[default]
    All,
    /// The latest so many, its own included.
    Window(usize),
    /// Those in the same chunk of so many tokens.
    Chunk(usize),
}

impl Reach {
    /// A window where there is one.
    ///
    /// ```
    /// use olivine_lm::Reach;
    /// assert_eq!(Reach::window(None), Reach::All);
    /// assert_eq!(Reach::window(Some(8)), Reach::Window(8));
    /// ```
    pub fn window(tokens: Option<usize>) -> Self {
        tokens.map_or(Reach::All, Reach::Window)
    }

    /// The first position that the query at `position` can see.
    pub(crate) fn start(self, position: usize) -> usize {
        match self {
            Reach::All => 0,
            Reach::Window(size) => (position + 1).saturating_sub(size),
            Reach::Chunk(size) => position / size.max(1) * size.max(1),
        }
    }
}

/// The keys and values of one attention layer, for all tokens seen so far or the latest of them.
///
/// Both have the shape (batch, heads, tokens, head size). Room grows in steps, and writing the
/// next tokens happens in place when nobody else holds the arrays. What no later query can see is
/// dropped from time to time, except the first `keep` tokens. The numbers may be packed.
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
    pub(crate) keys: Vec<Array>,
    pub(crate) values: Vec<Array>,
    /// Tokens seen.
    pub(crate) len: usize,
    /// Tokens dropped, all of them after the first `keep`.
    pub(crate) dropped: usize,
    pub(crate) keep: usize,
    pub(crate) reach: Reach,
    pub(crate) scheme: Option<Quantization>,
    /// How many tokens room is made for at least.
    pub(crate) room: usize,
}

impl KvCache {
    /// Room is added for this many tokens at a time, and as many stay beyond a window, so that a
    /// few can be taken back.
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

    /// A cache that drops what no later query can see.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, Dtype};
    /// use olivine_lm::{Cache, KvCache, Reach};
    /// let mut cache = KvCache::reaching(Reach::Window(16));
    /// let new = Array::ones([1, 1, 10, 8], Dtype::Float32)?;
    /// for _ in 0..200 {
    ///     cache.update(&new, &new)?;
    /// }
    /// // 2000 tokens have been seen, far fewer are held.
    /// assert!(Cache::from(cache).bytes() < 2 * 8 * 4 * 600);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn reaching(reach: Reach) -> Self {
        KvCache {
            reach,
            ..Self::default()
        }
    }

    /// The same cache, still empty, that never drops the first `tokens` tokens.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::{KvCache, Reach};
    /// assert!(KvCache::reaching(Reach::Window(512)).keeping(4).is_empty());
    /// ```
    pub fn keeping(mut self, tokens: usize) -> Self {
        self.keep = tokens;
        self
    }

    /// The same cache with its numbers packed: those it holds and those to come.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, Dtype, quantized::Quantization};
    /// use olivine_lm::KvCache;
    /// let mut cache = KvCache::new().quantized(Quantization::affine(64, 8)?)?;
    /// let new = Array::ones([1, 1, 3, 64], Dtype::Float32)?;
    /// let (keys, _) = cache.update(&new, &new)?;
    /// assert_eq!(keys.shape().dims(), &[1, 1, 3, 64]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn quantized(mut self, scheme: Quantization) -> Result<Self> {
        if self.scheme != Some(scheme) {
            let (len, room) = (self.held(), self.announced());
            for part in [&mut self.keys, &mut self.values] {
                if !part.is_empty() {
                    let plain = unpack(part, self.scheme, len)?;
                    part.clear();
                    extend(part, 0, pack(&plain, Some(scheme))?, room)?;
                }
            }
            self.scheme = Some(scheme);
        }
        Ok(self)
    }

    /// The number of tokens seen.
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

    /// Which tokens it does not drop.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::{KvCache, Reach};
    /// assert_eq!(KvCache::new().reach(), Reach::All);
    /// ```
    pub fn reach(&self) -> Reach {
        self.reach
    }

    /// Tokens held.
    pub(crate) fn held(&self) -> usize {
        self.len - self.dropped
    }

    /// Adds the keys and values of new tokens and returns all that are held.
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
        self.append(keys, values)?;
        let len = self.held();
        Ok((
            unpack(&self.keys, self.scheme, len)?,
            unpack(&self.values, self.scheme, len)?,
        ))
    }

    pub(crate) fn append(&mut self, keys: &Array, values: &Array) -> Result<()> {
        let new = keys.dim(2)?;
        self.drop_unreachable(new)?;
        let (len, room) = (self.held(), self.announced());
        extend(&mut self.keys, len, pack(keys, self.scheme)?, room)?;
        extend(&mut self.values, len, pack(values, self.scheme)?, room)?;
        self.len += new;
        Ok(())
    }

    /// How many tokens room is made for at least, of those announced: not for what will have been dropped.
    fn announced(&self) -> usize {
        let most = match self.reach {
            Reach::All => usize::MAX,
            Reach::Window(size) | Reach::Chunk(size) => {
                size.saturating_add(self.keep).saturating_add(Self::STEP)
            }
        };
        self.room.min(most)
    }

    /// Drops what the next queries cannot see, once that is more than it costs to move the rest.
    fn drop_unreachable(&mut self, new: usize) -> Result<()> {
        let start = self.reach.start(self.len).max(self.keep);
        let first = self.keep + self.dropped;
        let len = self.held();
        // Some are left for `truncate`; moving happens when room would have to grow.
        let useless = start.saturating_sub(first).saturating_sub(Self::STEP / 4);
        let room = match self.keys.first() {
            Some(keys) => keys.dim(2)?,
            None => return Ok(()),
        };
        if useless == 0 || len + new <= room {
            return Ok(());
        }
        for part in [&mut self.keys, &mut self.values] {
            for array in part {
                let rest = array.index((.., .., self.keep + useless..len))?;
                *array = match self.keep {
                    0 => rest.contiguous()?,
                    keep => concatenate(&[array.index((.., .., ..keep))?, rest], 2)?,
                };
            }
        }
        self.dropped += useless;
        Ok(())
    }

    /// Whether all but the first `len` tokens can be forgotten.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// assert!(olivine_lm::KvCache::new().can_truncate(0));
    /// ```
    pub fn can_truncate(&self, len: usize) -> bool {
        let needed = self.reach.start(len.min(self.len)).max(self.keep);
        len == 0 || self.dropped == 0 || needed >= self.keep + self.dropped
    }

    /// Forgets all but the first `len` tokens; their memory is kept for what follows.
    ///
    /// Where that is not possible, since they have been dropped, everything is forgotten.
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
        if len == 0 || !self.can_truncate(len) {
            (self.len, self.dropped) = (0, 0);
            self.keys.clear();
            self.values.clear();
        } else {
            self.len = self.len.min(len);
        }
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

/// Numbers packed for a cache: the arrays of a packed one, or the array itself.
fn pack(plain: &Array, scheme: Option<Quantization>) -> Result<Vec<Array>> {
    let Some(scheme) = scheme else {
        return Ok(vec![plain.clone()]);
    };
    let packed = plain.quantize(scheme, None)?;
    Ok([packed.codes, packed.scales]
        .into_iter()
        .chain(packed.biases)
        .collect())
}

/// The first `len` tokens of what a cache holds, as plain numbers.
fn unpack(held: &[Array], scheme: Option<Quantization>, len: usize) -> Result<Array> {
    let mut parts = Vec::new();
    for array in held {
        parts.push(array.index((.., .., ..len))?);
    }
    match scheme {
        None => Ok(parts.remove(0)),
        Some(scheme) => packed_of(parts, scheme).dequantize(None),
    }
}

/// The packed array that `pack` made the parts of.
pub(crate) fn packed_of(parts: Vec<Array>, scheme: Quantization) -> Quantized {
    let mut parts = parts.into_iter();
    let mut next = || parts.next();
    let (Some(codes), Some(scales), biases) = (next(), next(), next()) else {
        unreachable!("pack() makes at least two parts of a packed array");
    };
    Quantized {
        codes,
        scales,
        biases,
        global_scale: None,
        scheme,
    }
}

/// Writes `new` after the first `len` tokens of `held`, which grows if it is too short, and then has
/// room for at least `room` tokens.
fn extend(held: &mut Vec<Array>, len: usize, new: Vec<Array>, room: usize) -> Result<()> {
    let mut old: Vec<Option<Array>> = std::mem::take(held).into_iter().map(Some).collect();
    old.resize(new.len(), None);
    for (old, new) in old.into_iter().zip(new) {
        let total = len + new.dim(2)?;
        let whole = match old {
            Some(held) if held.dim(2)? >= total => held,
            previous => {
                let size = total.max(room).next_multiple_of(KvCache::STEP);
                let empty = |tokens| Array::zeros(new.shape().with_axis(2, tokens), new.dtype());
                match previous {
                    Some(held) if len > 0 => {
                        concatenate(&[held.index((.., .., ..len))?, empty(size - len)?], 2)?
                    }
                    _ => empty(size)?,
                }
            }
        };
        held.push(whole.index_update((.., .., len..total), new)?);
    }
    Ok(())
}
