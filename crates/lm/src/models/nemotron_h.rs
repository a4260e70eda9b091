//! Owns Nemotron-H: each layer is a Mamba 2 mixer, attention, a feed-forward layer or experts.

use olivine_core::Array;
use olivine_nn::{Layer, Module, relu};
use serde::Deserialize;

use super::yes;
use crate::{
    Cache, Family, KvCache, ModelConfig, Reach, Result, Sequences, Weights,
    layers::{
        Attention, AttentionShape, Block, CausalLm, Gate, Groups, Linear, Mamba2, Mamba2Shape,
        Names, Norm, Router, Scores, StepLimits, SwitchLinear, weighted,
    },
};

crate::family! {
    Family::new(&["nemotron_h"], |config, weights| Ok(Box::new(model(config, weights)?)))
}

#[derive(Deserialize)]
struct Config {
    vocab_size: usize,
    hidden_size: usize,
    intermediate_size: usize,
    num_attention_heads: usize,
    num_key_value_heads: usize,
    head_dim: Option<usize>,
    #[serde(default)]
    attention_bias: bool,
    mamba_num_heads: usize,
    mamba_head_dim: usize,
    #[serde(default)]
    mamba_proj_bias: bool,
    ssm_state_size: usize,
    conv_kernel: usize,
    n_groups: usize,
    #[serde(default)]
    mlp_bias: bool,
    #[serde(alias = "rms_norm_eps", default = "eps")]
    layer_norm_epsilon: f64,
    #[serde(default = "yes")]
    use_conv_bias: bool,
    hybrid_override_pattern: Option<Pattern>,
    #[serde(alias = "layer_types")]
    layers_block_type: Option<Vec<Kind>>,
    moe_intermediate_size: Option<usize>,
    moe_shared_expert_intermediate_size: Option<usize>,
    moe_latent_size: Option<usize>,
    n_group: Option<usize>,
    n_routed_experts: Option<usize>,
    n_shared_experts: Option<usize>,
    topk_group: Option<usize>,
    num_experts_per_tok: Option<usize>,
    norm_topk_prob: Option<bool>,
    routed_scaling_factor: Option<f32>,
    #[serde(default)]
    time_step_limit: StepLimits,
    #[serde(default)]
    tie_word_embeddings: bool,
}

/// A letter for each layer.
#[derive(Deserialize)]
#[serde(untagged)]
enum Pattern {
    Text(String),
    List(Vec<char>),
}

/// What a layer is.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    #[serde(alias = "linear_attention", alias = "conv")]
    Mamba,
    #[serde(alias = "full_attention")]
    Attention,
    Mlp,
    Moe,
}

fn eps() -> f64 {
    1e-5
}

impl Config {
    fn kinds(&self, config: &ModelConfig) -> Result<Vec<Kind>> {
        let field = "hybrid_override_pattern";
        let letters: Vec<char> = match (&self.hybrid_override_pattern, &self.layers_block_type) {
            (Some(Pattern::Text(text)), _) => text.chars().collect(),
            (Some(Pattern::List(letters)), _) => letters.clone(),
            (None, Some(kinds)) => return Ok(kinds.clone()),
            (None, None) => return Err(config.bad(field, "is missing")),
        };
        let kind = |letter: char| match letter {
            'M' => Ok(Kind::Mamba),
            '*' => Ok(Kind::Attention),
            '-' => Ok(Kind::Mlp),
            'E' => Ok(Kind::Moe),
            other => Err(config.bad(field, format!("has a {other:?}; layers are M, *, - or E"))),
        };
        letters.into_iter().map(kind).collect()
    }
}

fn relu_squared(x: &Array) -> olivine_core::Result<Array> {
    relu(x)?.square()
}

/// A feed-forward layer with a squared rectifier.
#[derive(Clone, Debug, Module)]
struct Mlp {
    up_proj: Linear,
    down_proj: Linear,
}

impl Mlp {
    fn new(weights: &Weights, width: usize, inner: usize, bias: bool) -> Result<Self> {
        Ok(Mlp {
            up_proj: weights.linear("up_proj", width, inner, bias)?,
            down_proj: weights.linear("down_proj", inner, width, bias)?,
        })
    }
}

impl Layer for Mlp {
    fn forward(&self, x: &Array) -> olivine_core::Result<Array> {
        self.down_proj
            .forward(&relu_squared(&self.up_proj.forward(x)?)?)
    }
}

/// Experts' matrices.
#[derive(Clone, Debug, Module)]
struct SwitchMlp {
    fc1: SwitchLinear,
    fc2: SwitchLinear,
}

/// Experts, which may work on a narrower vector, and one for every token.
#[derive(Clone, Debug, Module)]
struct Moe {
    gate: Gate,
    switch_mlp: SwitchMlp,
    shared_experts: Option<Mlp>,
    fc1_latent_proj: Option<Linear>,
    fc2_latent_proj: Option<Linear>,
    #[module(skip)]
    router: Router,
}

impl Moe {
    fn new(weights: &Weights, c: &Config, config: &ModelConfig) -> Result<Self> {
        let required = |field: &str, value: Option<usize>| {
            value.ok_or_else(|| config.bad(field, "is missing"))
        };
        let (width, bias) = (c.hidden_size, c.mlp_bias);
        let experts = required("n_routed_experts", c.n_routed_experts)?;
        let inner = required("moe_intermediate_size", c.moe_intermediate_size)?;
        let count = required("num_experts_per_tok", c.num_experts_per_tok)?;
        let normalised = c.norm_topk_prob.unwrap_or(true) && count > 1;
        let router = Router {
            groups: c
                .n_group
                .filter(|&groups| groups != 1)
                .map(|groups| Groups {
                    count: groups,
                    kept: c.topk_group.unwrap_or(1),
                    judges: 2,
                }),
            scale: c.routed_scaling_factor.unwrap_or(1.0),
            ..Router::new(Scores::Sigmoid, count, normalised)
        };
        let latent = c.moe_latent_size;
        let narrow = latent.unwrap_or(width);
        let switch = weights.at("switch_mlp");
        let layer = |name: &str, single: &str, sizes: [usize; 3]| {
            let single = |e: usize| weights.name(format!("experts.{e}.{single}"));
            switch.experts(name, sizes, false, &single)
        };
        let shared = if c.n_shared_experts.is_none() {
            None
        } else {
            let field = "moe_shared_expert_intermediate_size";
            let inner = required(field, c.moe_shared_expert_intermediate_size)?;
            Some(Mlp::new(&weights.at("shared_experts"), width, inner, bias)?)
        };
        let between = |name: &str, from: usize, to: usize| match latent {
            Some(_) => weights.linear(name, from, to, bias).map(Some),
            None => Ok(None),
        };
        Ok(Moe {
            gate: Gate::plain(weights, width, experts, true)?,
            switch_mlp: SwitchMlp {
                fc1: layer("fc1", "up_proj", [experts, narrow, inner])?,
                fc2: layer("fc2", "down_proj", [experts, inner, narrow])?,
            },
            shared_experts: shared,
            fc1_latent_proj: between("fc1_latent_proj", width, narrow)?,
            fc2_latent_proj: between("fc2_latent_proj", narrow, width)?,
            router: router.checked(weights, experts)?,
        })
    }
}

impl Layer for Moe {
    fn forward(&self, x: &Array) -> olivine_core::Result<Array> {
        let (chosen, weights) = self.gate.choose(x, &self.router)?;
        let narrow = match &self.fc1_latent_proj {
            Some(layer) => &layer.forward(x)?,
            None => x,
        };
        let rows = narrow.expand_dims(-2)?.expand_dims(-2)?;
        let inner = relu_squared(&self.switch_mlp.fc1.forward(&rows, &chosen)?)?;
        let made = self.switch_mlp.fc2.forward(&inner, &chosen)?.squeeze(-2)?;
        let mut y = weighted(&made, &weights)?;
        if let Some(layer) = &self.fc2_latent_proj {
            y = layer.forward(&y)?;
        }
        match &self.shared_experts {
            Some(shared) => y.add(shared.forward(x)?),
            None => Ok(y),
        }
    }
}

/// What a layer does.
#[derive(Clone, Debug, Module)]
enum Mixer {
    Mamba(Box<Mamba2>),
    Attention(Box<Attention>),
    Mlp(Mlp),
    Moe(Box<Moe>),
}

/// A layer of any kind behind a norm.
#[derive(Clone, Debug, Module)]
struct NemotronBlock {
    norm: Norm,
    mixer: Mixer,
}

impl Block for NemotronBlock {
    fn forward(
        &self,
        x: &Array,
        cache: usize,
        sequences: &mut Sequences<'_>,
    ) -> olivine_core::Result<Array> {
        let y = self.norm.forward(x)?;
        x.add(match &self.mixer {
            Mixer::Mamba(mixer) => mixer.forward(&y, cache, sequences)?,
            Mixer::Attention(mixer) => mixer.forward(&y, cache, sequences)?,
            Mixer::Mlp(mixer) => mixer.forward(&y)?,
            Mixer::Moe(mixer) => mixer.forward(&y)?,
        })
    }

    fn cache(&self) -> Cache {
        match &self.mixer {
            Mixer::Mamba(mixer) => mixer.cache(),
            Mixer::Attention(_) => KvCache::new().into(),
            // These remember nothing.
            Mixer::Mlp(_) | Mixer::Moe(_) => Cache::List(Vec::new()),
        }
    }
}

fn model(config: &ModelConfig, weights: &Weights) -> Result<CausalLm<NemotronBlock>> {
    let c: Config = config.read()?;
    let kinds = c.kinds(config)?;
    weights.ignore("mtp");
    let (width, heads, eps) = (c.hidden_size, c.num_attention_heads, c.layer_norm_epsilon);
    let shape = AttentionShape {
        width,
        heads,
        kv_heads: c.num_key_value_heads,
        head_dim: config.head_dim(c.head_dim, width, heads)?,
        bias: c.attention_bias,
        output_bias: c.attention_bias,
    };
    let mamba = Mamba2Shape {
        width,
        heads: c.mamba_num_heads,
        head_dim: c.mamba_head_dim,
        groups: c.n_groups,
        state: c.ssm_state_size,
        conv: c.conv_kernel,
        bias: c.mamba_proj_bias,
        conv_bias: c.use_conv_bias,
        grouped_norm: true,
        eps,
        steps: c.time_step_limit.steps(),
    };
    let block = |weights: &Weights, number: usize| {
        let own = weights.at("mixer");
        let mixer = match kinds[number] {
            Kind::Mamba => Mixer::Mamba(Box::new(Mamba2::new(&own, mamba.clone())?)),
            Kind::Attention => {
                let heads = shape.heads(None, Reach::All);
                Mixer::Attention(Box::new(Attention::new(&own, shape, heads)?))
            }
            Kind::Mlp => Mixer::Mlp(Mlp::new(&own, width, c.intermediate_size, c.mlp_bias)?),
            Kind::Moe => Mixer::Moe(Box::new(Moe::new(&own, &c, config)?)),
        };
        Ok(NemotronBlock {
            norm: weights.rms_norm("norm", width, eps)?,
            mixer,
        })
    };
    let norm = weights.rms_norm(Names::BACKBONE.norm, width, eps)?;
    let (sizes, layers) = ([c.vocab_size, width], kinds.len());
    let tied = c.tie_word_embeddings;
    let model = CausalLm::named(weights, Names::BACKBONE, sizes, tied, norm, (layers, block))?;
    weights.finish()?;
    Ok(model)
}
