//! Owns the Llama family: Llama 2 and 3, Mistral, and models of the same shape.

use olivine_core::{
    Array, Result,
    fast::{
        AttentionMask, AttentionOptions, RopeFrequencies, RopeOffset, RopeOptions, rope,
        scaled_dot_product_attention,
    },
};
use olivine_nn::{Embedding, Layer, Linear, Module, RMSNorm, silu};

use super::LanguageModel;
use crate::{KvCache, ModelConfig, RopeScaling};

/// A Llama: embeddings, blocks of attention and feed-forward, and an output table.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::array;
/// use olivine_lm::ModelFolder;
/// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
/// let folder = ModelFolder::open(path)?;
/// use olivine_lm::models::llama::Llama;
/// let model = Llama::new(&folder.config()?)?;
/// assert_eq!(model.forward(&array!([[1, 2, 3]]))?.shape().dims(), &[1, 3, 2048]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Module)]
pub struct Llama {
    model: Decoder,
    lm_head: Option<Linear>,
}

#[derive(Clone, Module)]
struct Decoder {
    embed_tokens: Embedding,
    layers: Vec<Block>,
    norm: RMSNorm,
}

#[derive(Clone, Module)]
struct Block {
    self_attn: Attention,
    mlp: Mlp,
    input_layernorm: RMSNorm,
    post_attention_layernorm: RMSNorm,
}

#[derive(Clone, Module)]
struct Attention {
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    o_proj: Linear,
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
    window: Option<usize>,
    #[module(skip)]
    rope: RopeOptions,
}

#[expect(clippy::struct_field_names, reason = "they are the names in weight files")]
#[derive(Clone, Module)]
struct Mlp {
    gate_proj: Linear,
    up_proj: Linear,
    down_proj: Linear,
}

impl Llama {
    /// A model of the configured shape with random weights.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::ModelFolder;
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
    /// let folder = ModelFolder::open(path)?;
    /// use olivine_lm::models::{LanguageModel, llama::Llama};
    /// let model = Llama::new(&folder.config()?)?;
    /// assert_eq!((model.num_layers(), model.vocab_size()), (4, 2048));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(config: &ModelConfig) -> Result<Self> {
        let layers = (0..config.num_hidden_layers).map(|_| Block::new(config));
        let lm_head = if config.tie_word_embeddings {
            None
        } else {
            Some(Linear::without_bias(config.hidden_size, config.vocab_size)?)
        };
        let model = Decoder {
            embed_tokens: Embedding::new(config.vocab_size, config.hidden_size)?,
            layers: layers.collect::<Result<_>>()?,
            norm: RMSNorm::new(config.hidden_size, config.rms_norm_eps as f32)?,
        };
        Ok(Llama { model, lm_head })
    }

    /// Logits (batch, tokens, vocabulary) of whole sequences, for training.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// use olivine_lm::ModelFolder;
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
    /// let folder = ModelFolder::open(path)?;
    /// use olivine_lm::models::llama::Llama;
    /// let model = Llama::new(&folder.config()?)?;
    /// let logits = model.forward(&array!([[1, 2], [3, 4]]))?;
    /// assert_eq!(logits.shape().dims(), &[2, 2, 2048]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn forward(&self, tokens: &Array) -> Result<Array> {
        self.output(&self.run(tokens, None)?)
    }

    fn run(&self, tokens: &Array, cache: Option<&mut [KvCache]>) -> Result<Array> {
        let mut x = self.model.embed_tokens.forward(tokens)?;
        match cache {
            Some(caches) => {
                for (layer, cache) in self.model.layers.iter().zip(caches) {
                    x = layer.forward(&x, Some(cache))?;
                }
            }
            None => {
                for layer in &self.model.layers {
                    x = layer.forward(&x, None)?;
                }
            }
        }
        self.model.norm.forward(&x)
    }

    fn output(&self, hidden: &Array) -> Result<Array> {
        match &self.lm_head {
            Some(head) => head.forward(hidden),
            None => self.model.embed_tokens.as_linear(hidden),
        }
    }
}

impl LanguageModel for Llama {
    fn hidden(&self, tokens: &Array, cache: Option<&mut [KvCache]>) -> crate::Result<Array> {
        Ok(self.run(tokens, cache)?)
    }

    fn logits(&self, hidden: &Array) -> crate::Result<Array> {
        Ok(self.output(hidden)?)
    }

    fn num_layers(&self) -> usize {
        self.model.layers.len()
    }

    fn vocab_size(&self) -> usize {
        self.model.embed_tokens.weight.shape()[0]
    }
}

impl Block {
    fn new(config: &ModelConfig) -> Result<Self> {
        let norm = || RMSNorm::new(config.hidden_size, config.rms_norm_eps as f32);
        Ok(Block {
            self_attn: Attention::new(config)?,
            mlp: Mlp::new(config)?,
            input_layernorm: norm()?,
            post_attention_layernorm: norm()?,
        })
    }

    fn forward(&self, x: &Array, cache: Option<&mut KvCache>) -> Result<Array> {
        let x = x.add(self.self_attn.forward(&self.input_layernorm.forward(x)?, cache)?)?;
        x.add(self.mlp.forward(&self.post_attention_layernorm.forward(&x)?)?)
    }
}

impl Attention {
    fn new(config: &ModelConfig) -> Result<Self> {
        let (width, head_dim) = (config.hidden_size, config.head_dim);
        let (heads, kv_heads) = (config.num_attention_heads, config.num_key_value_heads);
        let linear = |from, to| linear(from, to, config.attention_bias);
        Ok(Attention {
            q_proj: linear(width, heads * head_dim)?,
            k_proj: linear(width, kv_heads * head_dim)?,
            v_proj: linear(width, kv_heads * head_dim)?,
            o_proj: linear(heads * head_dim, width)?,
            heads,
            kv_heads,
            head_dim,
            window: config.sliding_window,
            rope: rope_options(config)?,
        })
    }

    fn forward(&self, x: &Array, cache: Option<&mut KvCache>) -> Result<Array> {
        let (batch, tokens) = (x.dim(0)?, x.dim(1)?);
        let split = |y: Array, heads: usize| {
            y.reshape([batch, tokens, heads, self.head_dim])?.transpose([0, 2, 1, 3])
        };
        let offset = cache.as_ref().map_or(0, |cache| cache.len());
        let turned = RopeOptions { offset: RopeOffset::At(offset as i32), ..self.rope.clone() };
        let turn = |y: &Array| rope(y, &turned);
        let queries = turn(&split(self.q_proj.forward(x)?, self.heads)?)?;
        let mut keys = turn(&split(self.k_proj.forward(x)?, self.kv_heads)?)?;
        let mut values = split(self.v_proj.forward(x)?, self.kv_heads)?;
        if let Some(cache) = cache {
            (keys, values) = cache.update(&keys, &values)?;
        }
        let window = self.window_mask(tokens, offset)?;
        let options = AttentionOptions {
            scale: (self.head_dim as f32).powf(-0.5),
            mask: match &window {
                Some(seen) => AttentionMask::Array(seen),
                None if tokens > 1 => AttentionMask::Causal,
                None => AttentionMask::None,
            },
            sinks: None,
        };
        let mixed = scaled_dot_product_attention(&queries, &keys, &values, &options)?;
        let joined = mixed.transpose([0, 2, 1, 3])?.reshape([batch, tokens, self.heads * self.head_dim]);
        self.o_proj.forward(&joined?)
    }

    /// Which keys the queries of `tokens` tokens after `offset` others may see, if the window
    /// hides any.
    fn window_mask(&self, tokens: usize, offset: usize) -> Result<Option<Array>> {
        let total = offset + tokens;
        let Some(window) = self.window.filter(|&window| total > window) else { return Ok(None) };
        let keys = Array::arange(0, total as i32, 1)?;
        let queries = Array::arange(offset as i32, total as i32, 1)?;
        let distance = queries.expand_dims(1)?.subtract(keys)?;
        let seen = distance.greater_equal(0)?.logical_and(distance.less(window)?)?;
        Ok(Some(seen))
    }
}

impl Mlp {
    fn new(config: &ModelConfig) -> Result<Self> {
        let (width, inner) = (config.hidden_size, config.intermediate_size);
        let linear = |from, to| linear(from, to, config.mlp_bias);
        Ok(Mlp {
            gate_proj: linear(width, inner)?,
            up_proj: linear(width, inner)?,
            down_proj: linear(inner, width)?,
        })
    }

    fn forward(&self, x: &Array) -> Result<Array> {
        let gate = silu(&self.gate_proj.forward(x)?)?;
        self.down_proj.forward(&gate.multiply(self.up_proj.forward(x)?)?)
    }
}

fn linear(from: usize, to: usize, bias: bool) -> Result<Linear> {
    if bias { Linear::new(from, to) } else { Linear::without_bias(from, to) }
}

/// How positions turn the heads, with the configured scaling of long contexts.
fn rope_options(config: &ModelConfig) -> Result<RopeOptions> {
    let base = RopeOptions {
        traditional: config.rope_traditional,
        frequencies: RopeFrequencies::Base(config.rope_theta as f32),
        ..RopeOptions::new(config.head_dim)
    };
    Ok(match config.rope_scaling {
        RopeScaling::Default => base,
        RopeScaling::Linear { factor } => RopeOptions { scale: (1.0 / factor) as f32, ..base },
        RopeScaling::Llama3 {
            factor,
            low_freq_factor,
            high_freq_factor,
            original_max_position_embeddings,
        } => {
            let context = original_max_position_embeddings as f64;
            let half = config.head_dim / 2;
            let wavelengths: Vec<f32> = (0..half)
                .map(|i| {
                    let period = config.rope_theta.powf(i as f64 / half as f64);
                    let turns = context / (period * std::f64::consts::TAU);
                    // Fast rotations stay, slow ones stretch by `factor`, and those between blend.
                    let kept = ((turns - low_freq_factor) / (high_freq_factor - low_freq_factor))
                        .clamp(0.0, 1.0);
                    let frequency = (kept + (1.0 - kept) / factor) / period;
                    (1.0 / frequency) as f32
                })
                .collect();
            let wavelengths = Array::from_slice(&wavelengths, [half])?;
            RopeOptions { frequencies: RopeFrequencies::Wavelengths(wavelengths), ..base }
        }
    })
}
