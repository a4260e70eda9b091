//! Owns the frame of a decoder: embeddings, a stack of blocks, a norm and the output table.

use olivine_core::{Array, Result};
use olivine_nn::{Layer, Module, Param, module::join};

use super::{Attention, Embedding, Linear, Norm};
use crate::{Cache, KvCache, LanguageModel, Sequences, Weights};

/// One block of a decoder.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{Array, Result};
/// use olivine_lm::{Cache, Sequences, StateCache, layers::Block};
/// use olivine_nn::Module;
/// /// Adds up all tokens before.
/// #[derive(Module)]
/// struct Sum;
/// impl Block for Sum {
///     fn forward(&self, x: &Array, cache: usize, sequences: &mut Sequences<'_>) -> Result<Array> {
///         sequences.each(cache, &[x], |parts, _| parts[0].cumsum(1))
///     }
///     fn cache(&self) -> Cache {
///         StateCache::new(1).into()
///     }
/// }
/// assert!(Sum.cache().is_empty());
/// ```
pub trait Block: Module + Send + Sync {
    /// Applies the block to (batch, tokens, width), with the cache of the given number.
    fn forward(&self, x: &Array, cache: usize, sequences: &mut Sequences<'_>) -> Result<Array>;

    /// As [`forward`](Self::forward), of whose results only the last `wanted` tokens' are needed: a block that
    /// mixes tokens first can leave out the others from there on.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, Dtype};
    /// use olivine_lm::{Sequences, Weights, layers::{Attention, AttentionShape, Block, Heads}};
    /// let shape = AttentionShape { width: 8, heads: 2, kv_heads: 2, head_dim: 4, ..Default::default() };
    /// let heads = Heads { rope: None, rule: Default::default() };
    /// let block = Attention::new(&Weights::random(), shape, heads)?;
    /// let x = Array::ones([1, 5, 8], Dtype::Float32)?;
    /// let y = block.forward_last(&x, 2, 0, &mut Sequences::forgotten())?;
    /// assert_eq!(y.shape().dims(), &[1, 2, 8]);
    /// # Ok::<(), olivine_lm::Error>(())
    /// ```
    fn forward_last(
        &self,
        x: &Array,
        wanted: usize,
        cache: usize,
        sequences: &mut Sequences<'_>,
    ) -> Result<Array> {
        last(&self.forward(x, cache, sequences)?, wanted)
    }

    /// A fresh cache for the block.
    fn cache(&self) -> Cache {
        KvCache::new().into()
    }
}

/// The last tokens of (batch, tokens, width).
pub(crate) fn last(x: &Array, tokens: usize) -> Result<Array> {
    let all = x.shape()[1];
    if tokens < all {
        x.index((.., all - tokens..))
    } else {
        Ok(x.clone())
    }
}

/// Embeddings, blocks and a final norm.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_lm::layers::Decoder;
/// fn depth<B>(decoder: &Decoder<B>) -> usize {
///     decoder.layers.len()
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Decoder<B> {
    /// The vectors of the tokens.
    pub embed_tokens: Embedding,
    /// The blocks.
    pub layers: Vec<B>,
    /// The norm after the last block.
    pub norm: Norm,
}

/// A decoder with an output table: the usual frame of a language model.
///
/// Parameters are named `model.embed_tokens`, `model.layers.0`, …, `model.norm` and `lm_head`.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_lm::layers::CausalLm;
/// fn shares_its_table<B>(model: &CausalLm<B>) -> bool {
///     model.lm_head.is_none()
/// }
/// ```
#[derive(Clone, Debug)]
pub struct CausalLm<B> {
    /// All but the output table.
    pub model: Decoder<B>,
    /// The output table; without it that of the embeddings serves.
    pub lm_head: Option<Linear>,
    /// Multiplies the embeddings.
    pub embedding_scale: Option<f32>,
    /// Multiplies the logits.
    pub logit_scale: Option<f32>,
    /// Squeezes logits to within this of zero, by a hyperbolic tangent.
    pub logit_softcap: Option<f32>,
    names: Names,
}

/// What the parts of a decoder are called in weight files.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Names {
    pub(crate) embeddings: &'static str,
    pub(crate) layers: &'static str,
    pub(crate) norm: &'static str,
    pub(crate) head: &'static str,
}

impl Names {
    pub(crate) const USUAL: Names = Names {
        embeddings: "model.embed_tokens",
        layers: "model.layers",
        norm: "model.norm",
        head: "lm_head",
    };
}

impl<B: Module> Module for CausalLm<B> {
    fn visit(&self, prefix: &str, visitor: &mut dyn FnMut(&str, &Param)) {
        let Names {
            embeddings,
            layers,
            norm,
            head,
        } = self.names;
        self.model
            .embed_tokens
            .visit(&join(prefix, embeddings), visitor);
        let layers = join(prefix, layers);
        for (number, layer) in self.model.layers.iter().enumerate() {
            layer.visit(&join(&layers, &number.to_string()), visitor);
        }
        self.model.norm.visit(&join(prefix, norm), visitor);
        if let Some(table) = &self.lm_head {
            table.visit(&join(prefix, head), visitor);
        }
    }

    fn visit_mut(&mut self, prefix: &str, visitor: &mut dyn FnMut(&str, &mut Param)) {
        let Names {
            embeddings,
            layers,
            norm,
            head,
        } = self.names;
        self.model
            .embed_tokens
            .visit_mut(&join(prefix, embeddings), visitor);
        let layers = join(prefix, layers);
        for (number, layer) in self.model.layers.iter_mut().enumerate() {
            layer.visit_mut(&join(&layers, &number.to_string()), visitor);
        }
        self.model.norm.visit_mut(&join(prefix, norm), visitor);
        if let Some(table) = &mut self.lm_head {
            table.visit_mut(&join(prefix, head), visitor);
        }
    }

    fn set_training(&mut self, training: bool) {
        for layer in &mut self.model.layers {
            layer.set_training(training);
        }
    }
}

impl<B> CausalLm<B> {
    /// A frame of the given sizes around `layers` blocks, each made from its weights and number.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::{Weights, layers::{CausalLm, GatedMlp, Norm}};
    /// use olivine_nn::Activation;
    /// let weights = Weights::random();
    /// let norm = weights.rms_norm("model.norm", 8, 1e-6)?;
    /// let model = CausalLm::new(&weights, [100, 8], true, norm, 2, |weights, _number| {
    ///     GatedMlp::new(&weights.at("mlp"), 8, 16, false, Activation::Silu)
    /// })?;
    /// assert_eq!(model.model.layers.len(), 2);
    /// # Ok::<(), olivine_lm::Error>(())
    /// ```
    pub fn new(
        weights: &Weights,
        [vocabulary, width]: [usize; 2],
        tied: bool,
        norm: Norm,
        layers: usize,
        block: impl Fn(&Weights, usize) -> crate::Result<B>,
    ) -> crate::Result<Self> {
        Self::named(
            weights,
            Names::USUAL,
            [vocabulary, width],
            tied,
            norm,
            (layers, block),
        )
    }

    /// As [`CausalLm::new`], with other names in weight files.
    pub(crate) fn named(
        weights: &Weights,
        names: Names,
        [vocabulary, width]: [usize; 2],
        tied: bool,
        norm: Norm,
        (layers, block): (usize, impl Fn(&Weights, usize) -> crate::Result<B>),
    ) -> crate::Result<Self> {
        let blocks = weights.at(names.layers);
        let model = Decoder {
            embed_tokens: weights.embedding(names.embeddings, vocabulary, width)?,
            layers: (0..layers)
                .map(|number| block(&blocks.at(number), number))
                .collect::<crate::Result<_>>()?,
            norm,
        };
        let lm_head = if tied {
            weights.ignore(names.head);
            None
        } else {
            let bias = weights.at(names.head).has("bias");
            Some(weights.linear(names.head, width, vocabulary, bias)?)
        };
        Ok(CausalLm {
            model,
            lm_head,
            embedding_scale: None,
            logit_scale: None,
            names,
            logit_softcap: None,
        })
    }
}

impl<B: Block> CausalLm<B> {
    pub(crate) fn run(&self, tokens: &Array, sequences: &mut Sequences<'_>) -> Result<Array> {
        let mut x = self.model.embed_tokens.forward(tokens)?;
        if let Some(scale) = self.embedding_scale {
            // Rounded as the weights are, before it multiplies.
            x = x.multiply(Array::scalar(scale).astype(x.dtype())?)?;
        }
        self.run_embedded(x, sequences)
    }

    /// The final hidden states of tokens' vectors.
    pub(crate) fn run_embedded(
        &self,
        mut x: Array,
        sequences: &mut Sequences<'_>,
    ) -> Result<Array> {
        let mut layers = self.model.layers.iter().enumerate().peekable();
        while let Some((number, layer)) = layers.next() {
            x = match sequences.wanted() {
                Some(wanted) if layers.peek().is_none() => {
                    layer.forward_last(&x, wanted, number, sequences)?
                }
                _ => layer.forward(&x, number, sequences)?,
            };
        }
        self.model.norm.forward(&x)
    }

    pub(crate) fn output(&self, hidden: &Array) -> Result<Array> {
        let mut logits = match &self.lm_head {
            Some(head) => head.forward(hidden)?,
            None => self.model.embed_tokens.as_linear(hidden)?,
        };
        if let Some(scale) = self.logit_scale {
            logits = logits.multiply(scale)?;
        }
        if let Some(cap) = self.logit_softcap {
            logits = logits.divide(cap)?.tanh()?.multiply(cap)?;
        }
        Ok(logits)
    }
}

impl<B: Block> LanguageModel for CausalLm<B> {
    fn hidden(&self, tokens: &Array, sequences: &mut Sequences<'_>) -> crate::Result<Array> {
        Ok(self.run(tokens, sequences)?)
    }

    fn logits(&self, hidden: &Array) -> crate::Result<Array> {
        Ok(self.output(hidden)?)
    }

    fn caches(&self) -> Vec<Cache> {
        self.model.layers.iter().map(Block::cache).collect()
    }

    fn vocab_size(&self) -> usize {
        self.model.embed_tokens.count()
    }
}

/// A block that normalises before attention and before what follows it, and adds both to what
/// came in.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_lm::layers::{GatedMlp, PreNorm};
/// fn parts(block: &PreNorm<GatedMlp>) -> &GatedMlp {
///     &block.mlp
/// }
/// ```
#[derive(Clone, Debug, Module)]
pub struct PreNorm<M, A = Attention> {
    /// Mixes tokens.
    pub self_attn: A,
    /// Works on each token.
    pub mlp: M,
    /// Before attention.
    pub input_layernorm: Norm,
    /// Before the feed-forward layer.
    pub post_attention_layernorm: Norm,
    /// Multiplies what both add.
    #[module(skip)]
    pub residual_scale: Option<f32>,
    /// What the cache has to remember.
    #[module(skip)]
    pub reach: crate::Reach,
}

impl<M, A> PreNorm<M, A> {
    /// A block with norms of the usual names.
    pub(crate) fn new(
        self_attn: A,
        mlp: M,
        reach: crate::Reach,
        norm: impl Fn(&str) -> crate::Result<Norm>,
    ) -> crate::Result<Self> {
        Ok(PreNorm {
            self_attn,
            mlp,
            input_layernorm: norm("input_layernorm")?,
            post_attention_layernorm: norm("post_attention_layernorm")?,
            residual_scale: None,
            reach,
        })
    }
}

impl<M: Layer + Send + Sync, A: Block> PreNorm<M, A> {
    fn add(&self, x: &Array, y: Array) -> Result<Array> {
        match self.residual_scale {
            Some(scale) => x.add(y.multiply(scale)?),
            None => x.add(y),
        }
    }
}

impl<M: Layer + Send + Sync, A: Block> Block for PreNorm<M, A> {
    fn forward(&self, x: &Array, cache: usize, sequences: &mut Sequences<'_>) -> Result<Array> {
        self.forward_last(x, x.shape()[1], cache, sequences)
    }

    fn forward_last(
        &self,
        x: &Array,
        wanted: usize,
        cache: usize,
        sequences: &mut Sequences<'_>,
    ) -> Result<Array> {
        let normed = self.input_layernorm.forward(x)?;
        let mixed = self
            .self_attn
            .forward_last(&normed, wanted, cache, sequences)?;
        let x = self.add(&last(x, wanted)?, mixed)?;
        let y = self
            .mlp
            .forward(&self.post_attention_layernorm.forward(&x)?)?;
        self.add(&x, y)
    }

    fn cache(&self) -> Cache {
        KvCache::reaching(self.reach).into()
    }
}
