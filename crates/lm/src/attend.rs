//! Owns attention over what a cache holds: which keys are seen, and packed keys and values.

use olivine_core::{
    Array, Dtype, Result, concatenate,
    fast::{AttentionMask, AttentionOptions, scaled_dot_product_attention},
    quantized::{Quantized, quantized_scaled_dot_product_attention},
};

use crate::cache::{KvCache, Reach, packed_of};

/// What an attention layer does with queries, keys and values.
///
/// ```
/// use olivine_lm::AttentionRule;
/// let rule = AttentionRule { scale: 0.125, ..AttentionRule::default() };
/// assert!(rule.softcap.is_none());
/// ```
#[derive(Clone, Debug, Default)]
pub struct AttentionRule {
    /// Multiplies the scores.
    pub scale: f32,
    /// Which keys a query can see.
    pub reach: Reach,
    /// Scores are squeezed to within this of zero, by a hyperbolic tangent (Gemma 2).
    pub softcap: Option<f32>,
    /// Scores of keys that have no values, one for each head (gpt-oss).
    pub sinks: Option<Array>,
}

/// Attention of queries (batch, heads, tokens, size) to the keys and values of the same tokens,
/// and to those in the cache, which remembers the new ones.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{Array, Dtype};
/// use olivine_lm::{AttentionRule, KvCache, attend};
/// let x = Array::ones([1, 2, 3, 8], Dtype::Float32)?;
/// let mut cache = KvCache::new();
/// let rule = AttentionRule { scale: 1.0, ..AttentionRule::default() };
/// let y = attend([&x, &x, &x], Some(&mut cache), &rule)?;
/// assert_eq!(y.shape(), x.shape());
/// assert_eq!(cache.len(), 3);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn attend(
    [queries, keys, values]: [&Array; 3],
    cache: Option<&mut KvCache>,
    rule: &AttentionRule,
) -> Result<Array> {
    let new = queries.dim(2)?;
    let Some(cache) = cache else {
        return whole(queries, keys, values, Span::fresh(new, rule), rule);
    };
    cache.append(keys, values)?;
    attend_held(queries, cache, rule)
}

/// Attention of queries to what a cache holds already, the keys of the same tokens included.
pub(crate) fn attend_held(queries: &Array, cache: &KvCache, rule: &AttentionRule) -> Result<Array> {
    let new = queries.dim(2)?;
    let (span, [mut keys, mut values]) = visible(new, cache, rule)?;
    match cache.scheme {
        None => whole(queries, &keys.remove(0), &values.remove(0), span, rule),
        Some(scheme) => {
            let (keys, values) = (packed_of(keys, scheme), packed_of(values, scheme));
            if rule.softcap.is_some() {
                let sides = [Side::Packed(keys), Side::Packed(values)];
                return in_steps(queries, &sides, span, rule);
            }
            span.options(rule, |options| {
                quantized_scaled_dot_product_attention(queries, &keys, &values, options)
            })
        }
    }
}

/// As [`attend`], to keys and values that are made of the two arrays which the cache remembers.
pub(crate) fn attend_made(
    queries: &Array,
    [first, second]: [&Array; 2],
    cache: Option<&mut KvCache>,
    rule: &AttentionRule,
    make: impl FnOnce([Array; 2]) -> Result<[Array; 2]>,
) -> Result<Array> {
    let new = queries.dim(2)?;
    let Some(cache) = cache else {
        let [keys, values] = make([first.clone(), second.clone()])?;
        return whole(queries, &keys, &values, Span::fresh(new, rule), rule);
    };
    cache.append(first, second)?;
    let (span, [first, second]) = visible(new, cache, rule)?;
    let plain = |mut part: Vec<Array>| match cache.scheme {
        None => Ok(part.remove(0)),
        Some(scheme) => packed_of(part, scheme).dequantize(None),
    };
    let [keys, values] = make([plain(first)?, plain(second)?])?;
    whole(queries, &keys, &values, span, rule)
}

/// What the last `new` tokens can see of a cache's arrays, and where that lies.
fn visible(new: usize, cache: &KvCache, rule: &AttentionRule) -> Result<(Span, [Vec<Array>; 2])> {
    let keep = cache.keep;
    let seen = cache.len.saturating_sub(new);
    let limits = [(rule.reach, 0), (cache.reach, keep)];
    // What the first query does not see nobody sees, unless it is kept.
    let oldest = limits
        .map(|(reach, _)| reach.start(seen))
        .into_iter()
        .max()
        .unwrap_or(0);
    let skip = if keep == 0 {
        oldest.saturating_sub(cache.dropped)
    } else {
        0
    };
    let span = Span {
        seen,
        new,
        first: cache.dropped + skip,
        keep,
        limits,
    };
    let held = cache.held();
    let part = |part: &[Array]| -> Result<Vec<Array>> {
        part.iter()
            .map(|array| array.index((.., .., skip..held)))
            .collect()
    };
    Ok((span, [part(&cache.keys)?, part(&cache.values)?]))
}

/// Which positions queries and keys have.
#[derive(Clone, Copy)]
struct Span {
    /// The position of the first query.
    seen: usize,
    /// The number of queries.
    new: usize,
    /// How many positions are missing before the keys, after the kept ones.
    first: usize,
    /// The number of keys at the start that are kept.
    keep: usize,
    /// What hides keys, and how many at the start it spares.
    limits: [(Reach, usize); 2],
}

impl Span {
    /// Of tokens before which there is nothing.
    fn fresh(new: usize, rule: &AttentionRule) -> Self {
        Span {
            seen: 0,
            new,
            first: 0,
            keep: 0,
            limits: [(rule.reach, 0), (Reach::All, 0)],
        }
    }

    /// Whether some query does not see a key that is not after it.
    fn hides(self) -> bool {
        let last = self.seen + self.new - 1;
        self.limits.into_iter().any(|(reach, spared)| {
            let start = reach.start(last);
            let oldest = if self.keep == 0 {
                self.first
            } else if spared > 0 {
                self.first + spared
            } else {
                0
            };
            start > oldest
        })
    }

    /// Which keys each query sees, as booleans (queries, keys).
    fn mask(self) -> Result<Array> {
        let Span {
            seen,
            new,
            first,
            keep,
            limits,
        } = self;
        let end = seen + new;
        let queries = Array::arange(seen as i32, end as i32, 1)?.expand_dims(1)?;
        let kept = keep.min(end - first);
        let later = Array::arange((first + kept) as i32, end as i32, 1)?;
        let keys = match kept {
            0 => later,
            kept => concatenate(&[Array::arange(0, kept as i32, 1)?, later], 0)?,
        };
        let mut visible = queries.greater_equal(&keys)?;
        for (reach, spared) in limits {
            let near = match reach {
                Reach::All => continue,
                Reach::Window(size) => queries.subtract(&keys)?.less(size as i32)?,
                Reach::Chunk(size) => {
                    let start = queries.floor_divide(size as i32)?.multiply(size as i32)?;
                    keys.greater_equal(start)?
                }
            };
            let near = match spared {
                0 => near,
                spared => near.logical_or(keys.less(spared as i32)?)?,
            };
            visible = visible.logical_and(near)?;
        }
        Ok(visible)
    }

    /// Calls `attend` with the rule's options and a mask of what is hidden.
    fn options(
        self,
        rule: &AttentionRule,
        attend: impl FnOnce(&AttentionOptions) -> Result<Array>,
    ) -> Result<Array> {
        let mask = if self.hides() {
            Some(self.mask()?)
        } else {
            None
        };
        attend(&AttentionOptions {
            scale: rule.scale,
            mask: match &mask {
                Some(visible) => AttentionMask::Array(visible),
                None if self.new > 1 => AttentionMask::Causal,
                None => AttentionMask::None,
            },
            sinks: rule.sinks.as_ref(),
        })
    }
}

/// Attention to plain keys and values.
fn whole(
    queries: &Array,
    keys: &Array,
    values: &Array,
    span: Span,
    rule: &AttentionRule,
) -> Result<Array> {
    if rule.softcap.is_some() {
        let sides = [keys, values].map(|side| Side::Plain(side.clone()));
        return in_steps(queries, &sides, span, rule);
    }
    span.options(rule, |options| {
        scaled_dot_product_attention(queries, keys, values, options)
    })
}

/// Keys or values, plain or packed.
enum Side {
    Plain(Array),
    Packed(Quantized),
}

impl Side {
    fn heads(&self) -> Result<usize> {
        match self {
            Side::Plain(array) => array.dim(1),
            Side::Packed(packed) => packed.codes.dim(1),
        }
    }

    /// The product of `x` (batch, heads, queries of each, rows, columns) with it.
    fn product(&self, x: &Array, transpose: bool) -> Result<Array> {
        match self {
            Side::Plain(array) => {
                let array = array.expand_dims(2)?;
                x.matmul(if transpose {
                    array.swapaxes(-1, -2)?
                } else {
                    array
                })
            }
            Side::Packed(packed) => {
                let group = |array: &Array| array.expand_dims(2);
                let packed = Quantized {
                    codes: group(&packed.codes)?,
                    scales: group(&packed.scales)?,
                    biases: packed.biases.as_ref().map(group).transpose()?,
                    global_scale: None,
                    scheme: packed.scheme,
                };
                x.quantized_matmul(&packed, transpose)
            }
        }
    }
}

/// Attention as its steps: scores, softmax, mixture.
fn in_steps(
    queries: &Array,
    [keys, values]: &[Side; 2],
    span: Span,
    rule: &AttentionRule,
) -> Result<Array> {
    let (batch, heads, tokens) = (queries.dim(0)?, queries.dim(1)?, queries.dim(2)?);
    let groups = keys.heads()?;
    let each = heads / groups.max(1);
    let grouped =
        queries
            .multiply(rule.scale)?
            .reshape([batch, groups, each, tokens, queries.dim(3)?])?;
    let mut scores = keys.product(&grouped, true)?.astype(Dtype::Float32)?;
    if let Some(cap) = rule.softcap {
        scores = scores.divide(cap)?.tanh()?.multiply(cap)?;
    }
    if span.new > 1 || span.hides() {
        scores = span.mask()?.select(scores, f32::MIN)?;
    }
    let weights = match &rule.sinks {
        None => scores.softmax(-1)?,
        Some(sinks) => {
            let shape = [batch, groups, each, tokens, 1];
            let sinks = sinks
                .astype(Dtype::Float32)?
                .reshape([1, groups, each, 1, 1])?;
            let all = concatenate(&[sinks.broadcast_to(shape)?, scores], -1)?;
            all.softmax(-1)?.index((.., .., .., .., 1..))?
        }
    };
    let mixed = values.product(&weights.astype(queries.dtype())?, false)?;
    let size = mixed.dim(-1)?;
    mixed.reshape([batch, heads, tokens, size])
}
