//! Owns attention with rotary positions, as most families have it.

use olivine_core::{Array, Result};
use olivine_nn::{Layer, Module, Param};

use super::{Block, Linear, Norm, Rope, decoder::last};
use crate::{AttentionRule, Cache, KvCache, Reach, Sequences, Weights, attend};

/// How many heads there are, and what is done with them.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{Array, Dtype};
/// use olivine_lm::{AttentionRule, Sequences, layers::Heads};
/// let heads = Heads { rope: None, rule: AttentionRule { scale: 1.0, ..Default::default() } };
/// let x = Array::ones([1, 3, 2, 8], Dtype::Float32)?; // batch, tokens, heads, size
/// let y = heads.attend([&x, &x, &x], 0, &mut Sequences::forgotten())?;
/// assert_eq!(y.shape().dims(), &[1, 3, 16]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Heads {
    /// How positions turn queries and keys, if they do.
    pub rope: Option<Rope>,
    /// What is done with scores.
    pub rule: AttentionRule,
}

impl Heads {
    /// Attention of queries, keys and values (batch, tokens, heads, size) within each sequence:
    /// (batch, tokens, heads * size), with the cache of the given number.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, Dtype};
    /// use olivine_lm::{AttentionRule, Sequences, layers::Heads};
    /// let heads = Heads { rope: None, rule: AttentionRule { scale: 1.0, ..Default::default() } };
    /// // Four heads of queries share two of keys and values.
    /// let queries = Array::ones([1, 3, 4, 8], Dtype::Float32)?;
    /// let keys = Array::ones([1, 3, 2, 8], Dtype::Float32)?;
    /// let y = heads.attend([&queries, &keys, &keys], 0, &mut Sequences::forgotten())?;
    /// assert_eq!(y.shape().dims(), &[1, 3, 32]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn attend(
        &self,
        [queries, keys, values]: [&Array; 3],
        cache: usize,
        sequences: &mut Sequences<'_>,
    ) -> Result<Array> {
        sequences.each(cache, &[queries, keys, values], |parts, cache| {
            let cache = cache.and_then(crate::Cache::kv);
            let offset = cache.as_ref().map_or(0, |cache| cache.len());
            let [queries, keys, values] = [0, 1, 2].map(|i| parts[i].swapaxes(1, 2));
            let (mut queries, mut keys, values) = (queries?, keys?, values?);
            if let Some(rope) = &self.rope {
                queries = rope.apply(&queries, offset)?;
                keys = rope.apply(&keys, offset)?;
            }
            let mixed = attend([&queries, &keys, &values], cache, &self.rule)?.swapaxes(1, 2)?;
            let (batch, tokens) = (mixed.dim(0)?, mixed.dim(1)?);
            let width = mixed.dim(2)? * mixed.dim(3)?;
            mixed.reshape([batch, tokens, width])
        })
    }
}

impl Heads {
    fn with_sinks(&self, sinks: &Array) -> Heads {
        let rule = AttentionRule {
            sinks: Some(sinks.clone()),
            ..self.rule.clone()
        };
        let rope = self.rope.clone();
        Heads { rope, rule }
    }
}

/// The sizes of an attention layer.
///
/// ```
/// use olivine_lm::layers::AttentionShape;
/// let shape = AttentionShape { width: 64, heads: 4, kv_heads: 2, head_dim: 16, ..Default::default() };
/// assert!(!shape.bias);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct AttentionShape {
    /// Width of the residual stream.
    pub width: usize,
    /// Number of heads of queries.
    pub heads: usize,
    /// Number of heads of keys and values; divides `heads`.
    pub kv_heads: usize,
    /// Width of one head.
    pub head_dim: usize,
    /// The projections of queries, keys and values have biases.
    pub bias: bool,
    /// The output projection has a bias.
    pub output_bias: bool,
}

impl AttentionShape {
    /// Refuses heads of queries that cannot share those of keys evenly.
    pub(crate) fn check(self, weights: &Weights) -> crate::Result<()> {
        let (count, kv_heads) = (self.heads, self.kv_heads);
        if kv_heads > 0 && count.is_multiple_of(kv_heads) {
            return Ok(());
        }
        Err(weights.bad(format!(
            "num_key_value_heads is {kv_heads}, which does not divide num_attention_heads = {count}"
        )))
    }

    /// Heads whose scores are divided by the root of their size.
    pub(crate) fn heads(self, rope: Option<Rope>, reach: Reach) -> Heads {
        let scale = (self.head_dim as f32).powf(-0.5);
        let rule = AttentionRule {
            scale,
            reach,
            ..AttentionRule::default()
        };
        Heads { rope, rule }
    }
}

/// Cuts rows (batch, tokens, heads * size) into heads (batch, tokens, heads, size).
pub(crate) fn split_heads(rows: &Array, size: usize) -> Result<Array> {
    let (batch, tokens, width) = (rows.dim(0)?, rows.dim(1)?, rows.dim(2)?);
    rows.reshape([batch, tokens, width / size.max(1), size])
}

/// Attention with projections named `q_proj`, `k_proj`, `v_proj` and `o_proj`, and perhaps
/// normalised heads of queries and keys.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{Array, Dtype};
/// use olivine_lm::layers::{Attention, AttentionShape, Heads};
/// use olivine_lm::{AttentionRule, Sequences, Weights};
/// let shape = AttentionShape { width: 64, heads: 4, kv_heads: 2, head_dim: 16, ..Default::default() };
/// let heads = Heads { rope: None, rule: AttentionRule { scale: 0.25, ..Default::default() } };
/// let layer = Attention::new(&Weights::random(), shape, heads)?;
/// let x = Array::ones([1, 3, 64], Dtype::Float32)?;
/// assert_eq!(layer.forward(&x, 0, &mut Sequences::forgotten())?.shape(), x.shape());
/// # Ok::<(), olivine_lm::Error>(())
/// ```
#[derive(Clone, Debug, Module)]
pub struct Attention {
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    o_proj: Linear,
    /// Normalises each head of the queries.
    pub q_norm: Option<Norm>,
    /// Normalises each head of the keys.
    pub k_norm: Option<Norm>,
    /// For each head a score that no token has.
    pub(crate) sinks: Option<Param>,
    /// Both norms are over all heads together.
    #[module(skip)]
    pub(crate) joint_norms: bool,
    #[module(skip)]
    heads: Heads,
    head_dim: usize,
}

impl Attention {
    /// The layer's projections, without norms.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::{AttentionRule, Weights, layers::{Attention, AttentionShape, Heads}};
    /// let shape = AttentionShape { width: 8, heads: 3, kv_heads: 2, head_dim: 4, ..Default::default() };
    /// let heads = Heads { rope: None, rule: AttentionRule::default() };
    /// assert!(Attention::new(&Weights::random(), shape, heads).is_err()); // 2 does not divide 3
    /// ```
    pub fn new(weights: &Weights, shape: AttentionShape, heads: Heads) -> crate::Result<Self> {
        let AttentionShape {
            width,
            heads: count,
            kv_heads,
            head_dim,
            bias,
            output_bias,
        } = shape;
        shape.check(weights)?;
        Ok(Attention {
            q_proj: weights.linear("q_proj", width, count * head_dim, bias)?,
            k_proj: weights.linear("k_proj", width, kv_heads * head_dim, bias)?,
            v_proj: weights.linear("v_proj", width, kv_heads * head_dim, bias)?,
            o_proj: weights.linear("o_proj", count * head_dim, width, output_bias)?,
            q_norm: None,
            k_norm: None,
            sinks: None,
            joint_norms: false,
            heads,
            head_dim,
        })
    }

    /// Mixes the tokens of each sequence (batch, tokens, width).
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, Dtype};
    /// use olivine_lm::layers::{Attention, AttentionShape, Heads};
    /// use olivine_lm::{AttentionRule, KvCache, Sequences, Weights};
    /// let shape = AttentionShape { width: 8, heads: 2, kv_heads: 2, head_dim: 4, ..Default::default() };
    /// let heads = Heads { rope: None, rule: AttentionRule { scale: 0.5, ..Default::default() } };
    /// let layer = Attention::new(&Weights::random(), shape, heads)?;
    /// let mut caches = [KvCache::new().into()];
    /// let x = Array::ones([1, 3, 8], Dtype::Float32)?;
    /// layer.forward(&x, 0, &mut Sequences::one(&mut caches))?;
    /// assert_eq!(caches[0].len(), 3);
    /// # Ok::<(), olivine_lm::Error>(())
    /// ```
    pub fn forward(&self, x: &Array, cache: usize, sequences: &mut Sequences<'_>) -> Result<Array> {
        self.o_proj.forward(&self.mix(x, cache, sequences)?)
    }

    /// What heads gather from tokens.
    fn mix(&self, x: &Array, cache: usize, sequences: &mut Sequences<'_>) -> Result<Array> {
        let split = |y: Array| split_heads(&y, self.head_dim);
        let normed = |y: Array, norm: &Option<Norm>| match norm {
            Some(norm) if self.joint_norms => split(norm.forward(&y)?),
            Some(norm) => norm.forward(&split(y)?),
            None => split(y),
        };
        let queries = normed(self.q_proj.forward(x)?, &self.q_norm)?;
        let keys = normed(self.k_proj.forward(x)?, &self.k_norm)?;
        let values = split(self.v_proj.forward(x)?)?;
        let heads = match &self.sinks {
            Some(sinks) => &self.heads.with_sinks(sinks.value()),
            None => &self.heads,
        };
        heads.attend([&queries, &keys, &values], cache, sequences)
    }
}

impl Block for Attention {
    fn forward(&self, x: &Array, cache: usize, sequences: &mut Sequences<'_>) -> Result<Array> {
        Attention::forward(self, x, cache, sequences)
    }

    fn forward_last(
        &self,
        x: &Array,
        wanted: usize,
        cache: usize,
        sequences: &mut Sequences<'_>,
    ) -> Result<Array> {
        self.o_proj
            .forward(&last(&self.mix(x, cache, sequences)?, wanted)?)
    }

    fn cache(&self) -> Cache {
        KvCache::reaching(self.heads.rule.reach).into()
    }
}
