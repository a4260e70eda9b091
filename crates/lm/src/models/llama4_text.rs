//! Owns Llama 4: attention within chunks but for some layers that see all and know no positions,
//! and experts that take turns with dense layers.

use olivine_core::{Array, fast::rms_norm};
use olivine_nn::{Activation, Layer, Module};
use serde::Deserialize;

use crate::{
    Cache, Family, KvCache, LanguageModel, ModelConfig, Reach, Result, Sequences, Weights,
    layers::{
        AttentionShape, Block, CausalLm, GatedMlp, Heads, Linear, Names, Norm, SwitchGlu,
        split_heads, top_experts,
    },
};

crate::family! {
    Family::new(&["llama4", "llama4_text"], model)
}

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    attention_bias: bool,
    attention_chunk_size: Option<usize>,
    head_dim: Option<usize>,
    hidden_size: usize,
    #[serde(default = "one")]
    interleave_moe_layer_step: usize,
    intermediate_size: usize,
    intermediate_size_mlp: usize,
    num_attention_heads: usize,
    #[serde(default = "one")]
    num_experts_per_tok: usize,
    num_hidden_layers: usize,
    num_key_value_heads: usize,
    #[serde(default)]
    num_local_experts: usize,
    rms_norm_eps: f64,
    no_rope_layers: Option<Vec<u8>>,
    #[serde(default)]
    use_qk_norm: bool,
    vocab_size: usize,
    #[serde(default)]
    tie_word_embeddings: bool,
    attn_temperature_tuning: Option<Switch>,
    #[serde(default = "floor_scale")]
    floor_scale: f32,
    #[serde(default = "attn_scale")]
    attn_scale: f32,
}

/// Something that is on or off, whichever way it is written.
#[derive(Deserialize)]
#[serde(untagged)]
enum Switch {
    Flag(bool),
    Number(f64),
}

impl Switch {
    fn is_on(&self) -> bool {
        match *self {
            Switch::Flag(on) => on,
            Switch::Number(number) => number != 0.0,
        }
    }
}

fn one() -> usize {
    1
}

fn floor_scale() -> f32 {
    8192.0
}

fn attn_scale() -> f32 {
    0.1
}

/// How queries grow with their position, where no position turns them.
#[derive(Clone, Copy, Debug)]
struct Temperature {
    floor: f32,
    scale: f32,
}

/// Attention with normalised heads.
#[derive(Clone, Debug, Module)]
struct Attention {
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    o_proj: Linear,
    #[module(skip)]
    heads: Heads,
    head_dim: usize,
    #[module(skip)]
    norm_eps: Option<f32>,
    #[module(skip)]
    temperature: Option<Temperature>,
}

impl Attention {
    fn new(weights: &Weights, shape: AttentionShape, heads: Heads) -> Result<Self> {
        let AttentionShape {
            width,
            head_dim,
            bias,
            ..
        } = shape;
        shape.check(weights)?;
        let (all, kept) = (shape.heads * head_dim, shape.kv_heads * head_dim);
        Ok(Attention {
            q_proj: weights.linear("q_proj", width, all, bias)?,
            k_proj: weights.linear("k_proj", width, kept, bias)?,
            v_proj: weights.linear("v_proj", width, kept, bias)?,
            o_proj: weights.linear("o_proj", all, width, bias)?,
            heads,
            head_dim,
            norm_eps: None,
            temperature: None,
        })
    }
}

impl Block for Attention {
    fn forward(
        &self,
        x: &Array,
        cache: usize,
        sequences: &mut Sequences<'_>,
    ) -> olivine_core::Result<Array> {
        let split = |layer: &Linear| split_heads(&layer.forward(x)?, self.head_dim);
        // Turning keeps lengths, so it does not matter that it comes after the norm.
        let normed = |heads: Array| match self.norm_eps {
            Some(eps) => rms_norm(&heads, None, eps),
            None => Ok(heads),
        };
        let mut queries = normed(split(&self.q_proj)?)?;
        let keys = normed(split(&self.k_proj)?)?;
        let values = split(&self.v_proj)?;
        if let Some(Temperature { floor, scale }) = self.temperature {
            let place = sequences.positions(x.dim(1)?)?.add(1)?;
            let place = place.astype(olivine_core::Dtype::Float32)?;
            let growth = place.divide(floor)?.floor()?.add(1.0)?.log()?;
            let growth = growth.multiply(scale)?.add(1.0)?;
            let growth = growth.expand_dims(-1)?.expand_dims(-1)?;
            queries = queries.multiply(growth)?.astype(queries.dtype())?;
        }
        let mixed = self
            .heads
            .attend([&queries, &keys, &values], cache, sequences)?;
        self.o_proj.forward(&mixed)
    }

    fn cache(&self) -> Cache {
        KvCache::reaching(self.heads.rule.reach).into()
    }
}

/// Experts of which each token uses one, beside one for every token.
#[derive(Clone, Debug, Module)]
struct Experts {
    experts: SwitchGlu,
    router: Linear,
    shared_expert: GatedMlp,
}

impl Layer for Experts {
    fn forward(&self, x: &Array) -> olivine_core::Result<Array> {
        let logits = self.router.forward(x)?;
        let chosen = top_experts(&logits, 1)?;
        let score = logits.take_along_axis(&chosen, -1)?;
        let score = score.astype(olivine_core::Dtype::Float32)?.sigmoid()?;
        let x_scored = x.multiply(score.astype(x.dtype())?)?;
        let made = self.experts.forward(&x_scored, &chosen)?.squeeze(2)?;
        made.add(self.shared_expert.forward(x)?)
    }
}

/// A feed-forward layer with or without experts.
#[derive(Clone, Debug, Module)]
enum FeedForward {
    Dense(GatedMlp),
    Sparse(Box<Experts>),
}

/// A block of Llama 4's.
#[derive(Clone, Debug, Module)]
struct Llama4Block {
    self_attn: Attention,
    feed_forward: FeedForward,
    input_layernorm: Norm,
    post_attention_layernorm: Norm,
}

impl Block for Llama4Block {
    fn forward(
        &self,
        x: &Array,
        cache: usize,
        sequences: &mut Sequences<'_>,
    ) -> olivine_core::Result<Array> {
        let y = self.input_layernorm.forward(x)?;
        let x = x.add(self.self_attn.forward(&y, cache, sequences)?)?;
        let y = self.post_attention_layernorm.forward(&x)?;
        x.add(match &self.feed_forward {
            FeedForward::Dense(layer) => layer.forward(&y)?,
            FeedForward::Sparse(layer) => layer.forward(&y)?,
        })
    }

    fn cache(&self) -> Cache {
        self.self_attn.cache()
    }
}

/// The parts by the names in weight files, beside what sees pictures.
const BESIDE_VISION: Names = Names {
    embeddings: "language_model.model.embed_tokens",
    layers: "language_model.model.layers",
    norm: "language_model.model.norm",
    head: "language_model.lm_head",
};

/// The matrices of experts as MLX has them, of the published ones, which are transposed and of
/// which two are in one.
fn apart(weights: &Weights) -> Result<Weights> {
    let mut made = Vec::new();
    for name in weights.names() {
        let Some((layer, part)) = name.split_once(".feed_forward.experts.") else {
            continue;
        };
        let mut add = |part: &str, value: Array| {
            made.push((format!("{layer}.feed_forward.experts.{part}.weight"), value));
        };
        let turned = |x: &Array| x.swapaxes(1, 2)?.contiguous();
        match (part, weights.any(&name)) {
            ("gate_up_proj", Some(both)) => {
                let halves = both.split(2, -1)?;
                add("gate_proj", turned(&halves[0])?);
                add("up_proj", turned(&halves[1])?);
            }
            ("down_proj", Some(value)) => add("down_proj", turned(&value)?),
            _ => {}
        }
    }
    Ok(weights.and(made))
}

fn model(config: &ModelConfig, weights: &Weights) -> Result<Box<dyn LanguageModel>> {
    const OLD_HEAD: &str = "output.";
    let c: Config = config.text()?.read()?;
    let whole = config.model_type == "llama4";
    let names = if whole { BESIDE_VISION } else { Names::USUAL };
    let weights = weights.renamed(|name| {
        if name.starts_with("vision_model") || name.starts_with("multi_modal_projector") {
            return None;
        }
        Some(match name.strip_prefix(OLD_HEAD) {
            Some(rest) => format!("{}.{rest}", names.head),
            None => name.to_owned(),
        })
    });
    let weights = apart(&weights)?;
    let sparse = c.num_local_experts > 0;
    if sparse && c.num_experts_per_tok != 1 {
        return Err(config.fields().unsupported("num_experts_per_tok", "1"));
    }
    if c.attention_chunk_size == Some(0) {
        return Err(config.bad("attention_chunk_size", "must not be zero"));
    }
    if c.floor_scale <= 0.0 {
        return Err(config.bad("floor_scale", "must be above zero"));
    }
    let (width, heads, eps) = (c.hidden_size, c.num_attention_heads, c.rms_norm_eps);
    let shape = AttentionShape {
        width,
        heads,
        kv_heads: c.num_key_value_heads,
        head_dim: config.head_dim(c.head_dim, width, heads)?,
        bias: c.attention_bias,
        output_bias: c.attention_bias,
    };
    let rope = config.text()?.turns(shape.head_dim, 500_000.0, true)?;
    let tuned = c.attn_temperature_tuning.as_ref();
    let tuned = tuned.map_or(whole, Switch::is_on);
    let block = |weights: &Weights, number: usize| {
        let turns = match &c.no_rope_layers {
            Some(listed) if !listed.is_empty() => listed.get(number).is_none_or(|&on| on != 0),
            _ => !(number + 1).is_multiple_of(4),
        };
        let reach = match c.attention_chunk_size {
            Some(size) if turns => Reach::Chunk(size),
            _ => Reach::All,
        };
        let heads = shape.heads(turns.then(|| rope.clone()), reach);
        let mut self_attn = Attention::new(&weights.at("self_attn"), shape, heads)?;
        if c.use_qk_norm && (turns || !sparse) {
            self_attn.norm_eps = Some(if sparse { 1e-6 } else { eps as f32 });
        }
        self_attn.temperature = (tuned && !turns).then_some(Temperature {
            floor: c.floor_scale,
            scale: c.attn_scale,
        });
        let own = weights.at("feed_forward");
        let dense = |weights: &Weights, inner: usize| {
            GatedMlp::new(weights, width, inner, false, Activation::Silu)
        };
        let feed_forward = if sparse && (number + 1).is_multiple_of(c.interleave_moe_layer_step) {
            let (experts, inner) = (c.num_local_experts, c.intermediate_size);
            let at = own.at("experts");
            let single = |expert: usize, name: &str| at.name(format!("{expert}.{name}"));
            let sizes = [experts, width, inner];
            FeedForward::Sparse(Box::new(Experts {
                experts: SwitchGlu::new(&at, sizes, false, Activation::Silu, &single)?,
                router: own.router("router", width, experts, false)?,
                shared_expert: dense(&own.at("shared_expert"), inner)?,
            }))
        } else {
            FeedForward::Dense(dense(&own, c.intermediate_size_mlp)?)
        };
        Ok(Llama4Block {
            self_attn,
            feed_forward,
            input_layernorm: weights.rms_norm("input_layernorm", width, eps)?,
            post_attention_layernorm: weights.rms_norm("post_attention_layernorm", width, eps)?,
        })
    };
    let norm = weights.rms_norm(names.norm, width, eps)?;
    let (sizes, layers) = ([c.vocab_size, width], c.num_hidden_layers);
    let tied = c.tie_word_embeddings;
    let model = CausalLm::named(&weights, names, sizes, tied, norm, (layers, block))?;
    weights.finish()?;
    Ok(Box::new(model))
}
