//! Owns the Llama family: Llama 2 and 3, Mistral, Yi, and models of the same shape.

use olivine_core::Array;
use olivine_nn::Module;
use serde::Deserialize;

use super::eps;
use crate::{
    AttentionRule, Cache, Family, LanguageModel, ModelConfig, Reach, Sequences, Weights,
    layers::{Attention, AttentionShape, CausalLm, GatedMlp, Heads, PreNorm, Rope},
};

crate::family! {
    Family::new(&["llama", "mistral"], |config, weights| Ok(Box::new(Llama::new(config, weights)?)))
}

#[derive(Deserialize)]
struct Config {
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: Option<usize>,
    head_dim: Option<usize>,
    intermediate_size: usize,
    vocab_size: usize,
    #[serde(default = "eps")]
    rms_norm_eps: f64,
    #[serde(default)]
    rope_traditional: bool,
    #[serde(default)]
    tie_word_embeddings: bool,
    #[serde(default)]
    attention_bias: bool,
    #[serde(default)]
    mlp_bias: bool,
    sliding_window: Option<usize>,
    layer_types: Option<Vec<LayerType>>,
    #[serde(default = "silu")]
    hidden_act: String,
}

fn silu() -> String {
    "silu".to_owned()
}

#[derive(Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum LayerType {
    FullAttention,
    SlidingAttention,
}

/// A Llama: embeddings, blocks of attention and feed-forward, and an output table.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::array;
/// use olivine_lm::{ModelFolder, Weights, models::llama::Llama};
/// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
/// let folder = ModelFolder::open(path)?;
/// let model = Llama::new(&folder.config()?, &Weights::random())?;
/// assert_eq!(model.forward(&array!([[1, 2, 3]]))?.shape().dims(), &[1, 3, 2048]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Module)]
pub struct Llama {
    #[module(flatten)]
    inner: CausalLm<PreNorm<GatedMlp>>,
}

impl Llama {
    /// The model of a configuration.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::{LanguageModel, ModelFolder, Weights, models::llama::Llama};
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
    /// let folder = ModelFolder::open(path)?;
    /// let model = Llama::new(&folder.config()?, &Weights::random())?;
    /// assert_eq!(model.caches().len(), 4);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(config: &ModelConfig, weights: &Weights) -> crate::Result<Self> {
        let c: Config = config.read()?;
        let (width, heads, eps) = (c.hidden_size, c.num_attention_heads, c.rms_norm_eps);
        let shape = AttentionShape {
            width,
            heads,
            kv_heads: c.num_key_value_heads.unwrap_or(heads),
            head_dim: config.head_dim(c.head_dim, width, heads)?,
            bias: c.attention_bias,
            output_bias: c.attention_bias,
        };
        let rope = config.rope()?;
        let rope = Rope::new(
            shape.head_dim,
            rope.theta,
            c.rope_traditional,
            &rope.scaling,
        )?;
        let activation = config.activation(&c.hidden_act)?;
        let block = |weights: &Weights, number: usize| {
            let full = match &c.layer_types {
                Some(types) => types.get(number) != Some(&LayerType::SlidingAttention),
                None => false,
            };
            let reach = Reach::window(c.sliding_window.filter(|_| !full));
            let rule = AttentionRule {
                scale: (shape.head_dim as f32).powf(-0.5),
                reach,
                ..AttentionRule::default()
            };
            let heads = Heads {
                rope: Some(rope.clone()),
                rule,
            };
            Ok(PreNorm {
                self_attn: Attention::new(&weights.at("self_attn"), shape, heads)?,
                mlp: GatedMlp::new(
                    &weights.at("mlp"),
                    width,
                    c.intermediate_size,
                    c.mlp_bias,
                    activation,
                )?,
                input_layernorm: weights.rms_norm("input_layernorm", width, eps)?,
                post_attention_layernorm: weights.rms_norm(
                    "post_attention_layernorm",
                    width,
                    eps,
                )?,
                residual_scale: None,
                reach,
            })
        };
        let norm = weights.rms_norm("model.norm", width, eps)?;
        let sizes = [c.vocab_size, width];
        let inner = CausalLm::new(
            weights,
            sizes,
            c.tie_word_embeddings,
            norm,
            c.num_hidden_layers,
            block,
        )?;
        weights.finish()?;
        Ok(Llama { inner })
    }

    /// Logits (batch, tokens, vocabulary) of whole sequences, for training.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// use olivine_lm::{ModelFolder, Weights, models::llama::Llama};
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
    /// let folder = ModelFolder::open(path)?;
    /// let model = Llama::new(&folder.config()?, &Weights::random())?;
    /// let logits = model.forward(&array!([[1, 2], [3, 4]]))?;
    /// assert_eq!(logits.shape().dims(), &[2, 2, 2048]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn forward(&self, tokens: &Array) -> olivine_core::Result<Array> {
        self.inner
            .output(&self.inner.run(tokens, &mut Sequences::forgotten())?)
    }
}

impl LanguageModel for Llama {
    fn hidden(&self, tokens: &Array, sequences: &mut Sequences<'_>) -> crate::Result<Array> {
        self.inner.hidden(tokens, sequences)
    }

    fn logits(&self, hidden: &Array) -> crate::Result<Array> {
        self.inner.logits(hidden)
    }

    fn caches(&self) -> Vec<Cache> {
        self.inner.caches()
    }

    fn vocab_size(&self) -> usize {
        self.inner.vocab_size()
    }
}
