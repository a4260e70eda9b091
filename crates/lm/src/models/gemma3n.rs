//! Owns the part of the Gemma 3n family that deals with text: several residual streams that
//! predict each other (AltUp), inputs of every layer's own, and layers that share their keys.

use olivine_core::{Array, Dtype, Result, concatenate, fast, stack};
use olivine_nn::{Activation, Layer, Module, Param};
use serde::Deserialize;

use crate::{
    AttentionRule, Cache, Family, KvCache, LanguageModel, ModelConfig, Reach, RopeConfig,
    Sequences, Weights, attend,
    attend::attend_held,
    layers::{Embedding, LayerType, Linear, Norm, Rope, RopeScaling, split_heads},
};

crate::family! { Family::new(&["gemma3n"], build) }

#[derive(Deserialize)]
struct Config {
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: usize,
    head_dim: usize,
    intermediate_size: PerLayer<usize>,
    vocab_size: usize,
    rms_norm_eps: f64,
    num_kv_shared_layers: usize,
    vocab_size_per_layer_input: usize,
    hidden_size_per_layer_input: usize,
    sliding_window: usize,
    #[serde(default = "near")]
    rope_local_base_freq: f64,
    #[serde(default = "far")]
    rope_theta: f64,
    final_logit_softcapping: Option<f32>,
    layer_types: Vec<LayerType>,
    activation_sparsity_pattern: Option<PerLayer<f64>>,
    altup_num_inputs: u8,
    altup_active_idx: u8,
    altup_coef_clip: Option<f32>,
    altup_correct_scale: bool,
    laurel_rank: usize,
}

fn near() -> f64 {
    10_000.0
}

fn far() -> f64 {
    1e6
}

/// One value for all layers, or one for each.
#[derive(Deserialize)]
#[serde(untagged)]
enum PerLayer<T> {
    Same(T),
    Each(Vec<T>),
}

impl<T: Copy> PerLayer<T> {
    fn get(&self, number: usize) -> Option<T> {
        match self {
            PerLayer::Same(value) => Some(*value),
            PerLayer::Each(values) => values.get(number).copied(),
        }
    }
}

/// Attention to keys of its own, or to those that an earlier layer has put into its cache.
#[derive(Clone, Debug, Module)]
struct Attention {
    q_proj: Linear,
    /// Layers that share keys have these in their files, too.
    k_proj: Option<Linear>,
    v_proj: Option<Linear>,
    o_proj: Linear,
    q_norm: Norm,
    k_norm: Option<Norm>,
    #[module(skip)]
    rope: Rope,
    #[module(skip)]
    rule: AttentionRule,
    shares: bool,
    cache: usize,
    head_dim: usize,
    eps: f32,
}

impl Attention {
    fn forward(&self, x: &Array, sequences: &mut Sequences<'_>) -> Result<Array> {
        let queries = split_heads(&self.q_proj.forward(x)?, self.head_dim)?;
        let mut inputs = vec![self.q_norm.forward(&queries)?];
        if let (false, Some(k_proj), Some(v_proj), Some(k_norm)) =
            (self.shares, &self.k_proj, &self.v_proj, &self.k_norm)
        {
            let keys = split_heads(&k_proj.forward(x)?, self.head_dim)?;
            let values = split_heads(&v_proj.forward(x)?, self.head_dim)?;
            inputs.push(k_norm.forward(&keys)?);
            inputs.push(fast::rms_norm(&values, None, self.eps)?);
        }
        let inputs: Vec<&Array> = inputs.iter().collect();
        let mixed = sequences.each(self.cache, &inputs, |parts, cache| {
            let cache = cache.and_then(Cache::kv);
            let queries = parts[0].swapaxes(1, 2)?;
            let new = queries.dim(2)?;
            let mixed = match (parts, cache) {
                ([_, keys, values], cache) => {
                    let offset = cache.as_ref().map_or(0, |cache| cache.len());
                    let queries = self.rope.apply(&queries, offset)?;
                    let keys = self.rope.apply(&keys.swapaxes(1, 2)?, offset)?;
                    attend(
                        [&queries, &keys, &values.swapaxes(1, 2)?],
                        cache,
                        &self.rule,
                    )?
                }
                (_, Some(cache)) => {
                    // The layer that it belongs to has added the new keys already.
                    let queries = self.rope.apply(&queries, cache.len().saturating_sub(new))?;
                    attend_held(&queries, cache, &self.rule)?
                }
                (_, None) => {
                    let reason = "layers that share keys need a cache".to_owned();
                    return Err(olivine_core::Error::Argument {
                        op: "attention",
                        reason,
                    });
                }
            };
            let mixed = mixed.swapaxes(1, 2)?;
            let (batch, width) = (mixed.dim(0)?, mixed.dim(2)? * mixed.dim(3)?);
            mixed.reshape([batch, new, width])
        })?;
        self.o_proj.forward(&mixed)
    }
}

/// A gated feed-forward layer of which only the largest inputs of the activation may count.
#[derive(Clone, Debug, Module)]
struct SparseMlp {
    gate_proj: Linear,
    up_proj: Linear,
    down_proj: Linear,
    /// How many standard deviations above the mean inputs start to count.
    cutoff: Option<f32>,
}

impl Layer for SparseMlp {
    fn forward(&self, x: &Array) -> Result<Array> {
        let mut gate = self.gate_proj.forward(x)?;
        if let Some(cutoff) = self.cutoff {
            let (mean, deviation) = (gate.mean(-1)?.expand_dims(-1)?, gate.std(-1, 0)?);
            let least = mean.add(deviation.expand_dims(-1)?.multiply(cutoff)?)?;
            gate = gate.subtract(least)?.maximum(0.0)?;
        }
        let gate = Activation::GeluTanh.forward(&gate)?;
        self.down_proj
            .forward(&gate.multiply(self.up_proj.forward(x)?)?)
    }
}

/// A matrix whose elements may be clipped, used in float32.
#[derive(Clone, Debug, Module)]
struct Coefficients {
    weight: Param,
    clip: Option<f32>,
}

impl Coefficients {
    fn forward(&self, x: &Array) -> Result<Array> {
        let mut weight = self.weight.astype(Dtype::Float32)?;
        if let Some(clip) = self.clip {
            weight = weight.clip(-clip, clip)?;
        }
        x.matmul(weight.swapaxes(0, 1)?)
    }
}

/// Predicts all residual streams before a layer, and corrects them by what it did to one.
#[derive(Clone, Debug, Module)]
struct AltUp {
    correct_output_scale: Param,
    correction_coefs: Coefficients,
    prediction_coefs: Coefficients,
    modality_router: Linear,
    router_norm: Norm,
    active: usize,
}

impl AltUp {
    fn routes(&self, x: &Array) -> Result<Array> {
        let width = x.dim(-1)? as f32;
        let normed = self.router_norm.forward(x)?.multiply(width.recip())?;
        self.modality_router
            .forward(&normed)?
            .astype(Dtype::Float32)?
            .tanh()
    }

    /// Streams (count, batch, tokens, width) from those after the layer before.
    fn predict(&self, streams: &Array) -> Result<Array> {
        let routes = self.routes(&streams.index(self.active as i64)?)?;
        let (batch, tokens, count) = (routes.dim(0)?, routes.dim(1)?, routes.dim(2)?);
        let mixture = self
            .prediction_coefs
            .forward(&routes)?
            .reshape([batch, tokens, count, count])?
            .swapaxes(2, 3)?;
        let exact = streams.astype(Dtype::Float32)?;
        let mixed = exact.transpose([1, 2, 3, 0])?.matmul(mixture)?;
        mixed
            .transpose([3, 0, 1, 2])?
            .add(exact)?
            .astype(streams.dtype())
    }

    fn correct(&self, predicted: &Array, made: &Array) -> Result<Array> {
        let shares = self
            .correction_coefs
            .forward(&self.routes(made)?)?
            .add(1.0)?;
        let news = made.subtract(predicted.index(self.active as i64)?)?;
        let shares = shares.moveaxis(2, 0)?.expand_dims(-1)?;
        news.expand_dims(0)?
            .multiply(shares)?
            .add(predicted)?
            .astype(made.dtype())
    }
}

/// A low-rank layer beside attention.
#[derive(Clone, Debug, Module)]
struct Laurel {
    linear_left: Linear,
    linear_right: Linear,
    post_laurel_norm: Norm,
}

impl Layer for Laurel {
    fn forward(&self, x: &Array) -> Result<Array> {
        let narrow = self.linear_left.forward(x)?;
        x.add(
            self.post_laurel_norm
                .forward(&self.linear_right.forward(&narrow)?)?,
        )
    }
}

/// A block that works on one of the streams.
#[derive(Clone, Debug, Module)]
struct Gemma3nBlock {
    self_attn: Attention,
    mlp: SparseMlp,
    input_layernorm: Norm,
    post_attention_layernorm: Norm,
    pre_feedforward_layernorm: Norm,
    post_feedforward_layernorm: Norm,
    altup: AltUp,
    laurel: Laurel,
    per_layer_input_gate: Linear,
    per_layer_projection: Linear,
    post_per_layer_input_norm: Norm,
    scales: bool,
}

impl Gemma3nBlock {
    /// The streams after the block, whose own input of each token is (batch, tokens, size).
    fn forward(
        &self,
        streams: &Array,
        own: &Array,
        sequences: &mut Sequences<'_>,
    ) -> Result<Array> {
        let predicted = self.altup.predict(streams)?;
        let x = predicted.index(self.altup.active as i64)?;
        let normed = self.input_layernorm.forward(&x)?;
        let beside = self.laurel.forward(&normed)?;
        let mixed = self.self_attn.forward(&normed, sequences)?;
        let mixed = x.add(self.post_attention_layernorm.forward(&mixed)?)?;
        let x = mixed.add(beside)?.multiply(0.5f32.sqrt())?;
        let y = self
            .mlp
            .forward(&self.pre_feedforward_layernorm.forward(&x)?)?;
        let x = x.add(self.post_feedforward_layernorm.forward(&y)?)?;
        let corrected = self.altup.correct(&predicted, &x)?;
        let mut first = corrected.index(self.altup.active as i64)?;
        if self.scales {
            first = first.multiply(&self.altup.correct_output_scale)?;
        }
        let gate = Activation::GeluTanh.forward(&self.per_layer_input_gate.forward(&first)?)?;
        let added = self.per_layer_projection.forward(&gate.multiply(own)?)?;
        let added = self.post_per_layer_input_norm.forward(&added)?;
        concatenate(
            &[corrected.index(..1)?, corrected.index(1..)?.add(added)?],
            0,
        )
    }
}

/// The part that deals with text.
#[derive(Clone, Debug, Module)]
struct Text {
    embed_tokens: Embedding,
    layers: Vec<Gemma3nBlock>,
    embed_tokens_per_layer: Embedding,
    per_layer_model_projection: Linear,
    per_layer_projection_norm: Norm,
    altup_projections: Vec<Linear>,
    altup_unembed_projections: Vec<Linear>,
    norm: Norm,
}

#[derive(Clone, Debug, Module)]
struct Gemma3n {
    #[module(rename = "model.language_model")]
    text: Text,
    #[module(skip)]
    reaches: Vec<Reach>,
    width: usize,
    own_width: usize,
    #[module(skip)]
    softcap: Option<f32>,
}

/// The root of the mean square of each row.
fn magnitude(x: &Array) -> Result<Array> {
    x.multiply(x)?.mean(-1)?.expand_dims(-1)?.sqrt()
}

/// Projections of `streams`, each as large as `like`.
fn projected(layers: &[Linear], streams: &[Array], like: &Array) -> Result<Vec<Array>> {
    // Only keeps rows of zeros from becoming NaN.
    const LEAST: f32 = 1e-30;
    let target = magnitude(like)?;
    let one = |(layer, stream): (&Linear, &Array)| {
        let made = layer.forward(stream)?;
        let size = magnitude(&made)?.maximum(LEAST)?;
        made.multiply(target.divide(size)?)
    };
    layers.iter().zip(streams).map(one).collect()
}

impl Gemma3n {
    /// The input that each layer adds of its own: (batch, tokens, layers, size).
    fn own_inputs(&self, tokens: &Array, x: &Array) -> Result<Array> {
        let (text, count) = (&self.text, self.text.layers.len());
        let shape = [x.dim(0)?, x.dim(1)?, count, self.own_width];
        let known = tokens.less(text.embed_tokens_per_layer.count() as i64)?;
        let looked_up = text
            .embed_tokens_per_layer
            .forward(&known.select(tokens, 0)?)?;
        let looked_up = looked_up
            .multiply((self.own_width as f32).sqrt())?
            .reshape(shape)?;
        let scale = (self.width as f32).sqrt().recip();
        let made = text
            .per_layer_model_projection
            .forward(x)?
            .multiply(scale)?;
        let made = text
            .per_layer_projection_norm
            .forward(&made.reshape(shape)?)?;
        made.add(looked_up)?.multiply(0.5f32.sqrt())
    }

    fn run(&self, tokens: &Array, sequences: &mut Sequences<'_>) -> Result<Array> {
        let text = &self.text;
        let x = text
            .embed_tokens
            .forward(tokens)?
            .multiply((self.width as f32).sqrt())?;
        let own = self.own_inputs(tokens, &x)?;
        let copies = vec![x.clone(); text.altup_projections.len()];
        let mut streams = vec![x.clone()];
        streams.extend(projected(&text.altup_projections, &copies, &x)?);
        let mut streams = stack(&streams, 0)?;
        for (number, layer) in text.layers.iter().enumerate() {
            let own = own.index((.., .., number as i64))?;
            streams = layer.forward(&streams, &own, sequences)?;
        }
        let count = text.altup_unembed_projections.len();
        let rest = (0..count).map(|i| streams.index(i as i64 + 1));
        let rest = rest.collect::<Result<Vec<_>>>()?;
        let first = streams.index(0)?;
        let mut all = projected(&text.altup_unembed_projections, &rest, &first)?;
        all.insert(0, first);
        text.norm.forward(&stack(&all, 0)?.mean(0)?)
    }
}

impl LanguageModel for Gemma3n {
    fn hidden(&self, tokens: &Array, sequences: &mut Sequences<'_>) -> crate::Result<Array> {
        let mut forgotten = false;
        sequences.each(0, &[tokens], |parts, cache| {
            forgotten |= cache.is_none();
            Ok(parts[0].clone())
        })?;
        if forgotten {
            // Layers pass keys to each other through caches.
            let mut caches = self.caches();
            return Ok(self.run(tokens, &mut Sequences::one(&mut caches))?);
        }
        Ok(self.run(tokens, sequences)?)
    }

    fn logits(&self, hidden: &Array) -> crate::Result<Array> {
        let logits = self.text.embed_tokens.as_linear(hidden)?;
        Ok(match self.softcap {
            Some(cap) => logits.divide(cap)?.tanh()?.multiply(cap)?,
            None => logits,
        })
    }

    fn caches(&self) -> Vec<Cache> {
        let caches = self.reaches.iter();
        caches
            .map(|&reach| KvCache::reaching(reach).into())
            .collect()
    }

    fn vocab_size(&self) -> usize {
        self.text.embed_tokens.count()
    }
}

/// Makes the layers of a configuration that has been checked.
struct Maker<'a> {
    config: &'a ModelConfig,
    c: Config,
    streams: usize,
}

impl Maker<'_> {
    fn reach(&self, number: usize) -> Reach {
        let slides = self.c.layer_types.get(number) == Some(&LayerType::SlidingAttention);
        Reach::window(slides.then_some(self.c.sliding_window))
    }

    /// The layer whose cache the layer of that number uses.
    fn owner(&self, number: usize) -> crate::Result<usize> {
        let (c, owners) = (
            &self.c,
            self.c.num_hidden_layers - self.c.num_kv_shared_layers,
        );
        if number < owners {
            return Ok(number);
        }
        let found = (0..owners).rfind(|&other| c.layer_types[other] == c.layer_types[number]);
        found.ok_or_else(|| {
            let problem = format!("has no layer of the kind of layer {number} that keeps its keys");
            self.config.bad("layer_types", problem)
        })
    }

    fn attention(&self, weights: &Weights, number: usize) -> crate::Result<Attention> {
        let (c, reach, cache) = (&self.c, self.reach(number), self.owner(number)?);
        let (width, size, shares) = (c.hidden_size, c.head_dim, cache != number);
        let (kind, theta) = match reach {
            Reach::All => ("full_attention", c.rope_theta),
            _ => ("sliding_attention", c.rope_local_base_freq),
        };
        let rope = self.config.rope_of(kind, theta)?.unwrap_or(RopeConfig {
            theta,
            scaling: RopeScaling::Default,
        });
        let absent = |name: &str| {
            let own = weights.at(name);
            shares && !own.has("weight") && !own.has("scales")
        };
        let heads = |name: &str| {
            if absent(name) {
                Ok(None)
            } else {
                weights
                    .linear(name, width, c.num_key_value_heads * size, false)
                    .map(Some)
            }
        };
        let k_norm = if absent("k_norm") {
            None
        } else {
            Some(weights.rms_norm("k_norm", size, c.rms_norm_eps)?)
        };
        Ok(Attention {
            q_proj: weights.linear("q_proj", width, c.num_attention_heads * size, false)?,
            k_proj: heads("k_proj")?,
            v_proj: heads("v_proj")?,
            o_proj: weights.linear("o_proj", c.num_attention_heads * size, width, false)?,
            q_norm: weights.rms_norm("q_norm", size, c.rms_norm_eps)?,
            k_norm,
            rope: Rope::new(size, rope.theta, false, &rope.scaling)?,
            rule: AttentionRule {
                scale: 1.0,
                reach,
                ..AttentionRule::default()
            },
            shares,
            cache,
            head_dim: size,
            eps: c.rms_norm_eps as f32,
        })
    }

    fn mlp(&self, weights: &Weights, number: usize) -> crate::Result<SparseMlp> {
        const LARGEST: usize = 1 << 24;
        let (c, width) = (&self.c, self.c.hidden_size);
        let Some(inner) = c
            .intermediate_size
            .get(number)
            .filter(|&size| size <= LARGEST)
        else {
            let problem = format!("has no sensible size for layer {number}");
            return Err(self.config.bad("intermediate_size", problem));
        };
        let sparsity = match &c.activation_sparsity_pattern {
            Some(pattern) => pattern.get(number).ok_or_else(|| {
                let problem = format!("has no number for layer {number}");
                self.config.bad("activation_sparsity_pattern", problem)
            })?,
            None => 0.0,
        };
        let cutoff = if sparsity > 0.0 {
            Some(
                Array::scalar(2.0 * sparsity as f32 - 1.0)
                    .erfinv()?
                    .item::<f32>()?,
            )
        } else {
            None
        };
        Ok(SparseMlp {
            gate_proj: weights.linear("gate_proj", width, inner, false)?,
            up_proj: weights.linear("up_proj", width, inner, false)?,
            down_proj: weights.linear("down_proj", inner, width, false)?,
            cutoff: cutoff.map(|deviations| deviations * 2f32.sqrt()),
        })
    }

    fn altup(&self, weights: &Weights) -> crate::Result<AltUp> {
        let (c, width, streams) = (&self.c, self.c.hidden_size, self.streams);
        let zeros = |shape| Array::zeros(shape, Dtype::Float32);
        let coefficients = |name: &str, outputs: usize| {
            let weight = weights
                .at(name)
                .tensor("weight", [outputs, streams], &zeros)?;
            Ok::<_, crate::Error>(Coefficients {
                weight: weight.into(),
                clip: c.altup_coef_clip,
            })
        };
        Ok(AltUp {
            correct_output_scale: weights
                .tensor("correct_output_scale", [width], &zeros)?
                .into(),
            correction_coefs: coefficients("correction_coefs", streams)?,
            prediction_coefs: coefficients("prediction_coefs", streams * streams)?,
            modality_router: weights.linear("modality_router", width, streams, false)?,
            router_norm: weights.rms_norm("router_norm", width, c.rms_norm_eps)?,
            active: usize::from(c.altup_active_idx),
        })
    }

    fn block(&self, weights: &Weights, number: usize) -> crate::Result<Gemma3nBlock> {
        let (c, width, own) = (
            &self.c,
            self.c.hidden_size,
            self.c.hidden_size_per_layer_input,
        );
        let (laurel, rank) = (weights.at("laurel"), c.laurel_rank);
        let norm = |weights: &Weights, name: &str| weights.rms_norm(name, width, c.rms_norm_eps);
        Ok(Gemma3nBlock {
            self_attn: self.attention(&weights.at("self_attn"), number)?,
            mlp: self.mlp(&weights.at("mlp"), number)?,
            input_layernorm: norm(weights, "input_layernorm")?,
            post_attention_layernorm: norm(weights, "post_attention_layernorm")?,
            pre_feedforward_layernorm: norm(weights, "pre_feedforward_layernorm")?,
            post_feedforward_layernorm: norm(weights, "post_feedforward_layernorm")?,
            altup: self.altup(&weights.at("altup"))?,
            laurel: Laurel {
                linear_left: laurel.linear("linear_left", width, rank, false)?,
                linear_right: laurel.linear("linear_right", rank, width, false)?,
                post_laurel_norm: norm(&laurel, "post_laurel_norm")?,
            },
            per_layer_input_gate: weights.linear("per_layer_input_gate", width, own, false)?,
            per_layer_projection: weights.linear("per_layer_projection", own, width, false)?,
            post_per_layer_input_norm: norm(weights, "post_per_layer_input_norm")?,
            scales: c.altup_correct_scale,
        })
    }

    fn text(&self, weights: &Weights) -> crate::Result<Text> {
        let (c, width, layers) = (&self.c, self.c.hidden_size, self.c.num_hidden_layers);
        let (own, blocks) = (c.hidden_size_per_layer_input, weights.at("layers"));
        let projections = |name: &str| {
            let all = weights.at(name);
            let one = |i: usize| all.linear(&i.to_string(), width, width, false);
            (0..self.streams - 1)
                .map(one)
                .collect::<crate::Result<Vec<_>>>()
        };
        let table = "embed_tokens_per_layer";
        let projection = "per_layer_model_projection";
        Ok(Text {
            embed_tokens: weights.embedding("embed_tokens", c.vocab_size, width)?,
            layers: (0..layers)
                .map(|number| self.block(&blocks.at(number), number))
                .collect::<crate::Result<_>>()?,
            embed_tokens_per_layer: weights.embedding(
                table,
                c.vocab_size_per_layer_input,
                layers * own,
            )?,
            per_layer_model_projection: weights.linear(projection, width, layers * own, false)?,
            per_layer_projection_norm: weights.rms_norm(
                "per_layer_projection_norm",
                own,
                c.rms_norm_eps,
            )?,
            altup_projections: projections("altup_projections")?,
            altup_unembed_projections: projections("altup_unembed_projections")?,
            norm: weights.rms_norm("norm", width, c.rms_norm_eps)?,
        })
    }
}

fn build(config: &ModelConfig, weights: &Weights) -> crate::Result<Box<dyn LanguageModel>> {
    let config = &config.text()?;
    let c: Config = config.read()?;
    let layers = c.num_hidden_layers;
    config.head_dim(Some(c.head_dim), c.hidden_size, c.num_attention_heads)?;
    if !c.num_attention_heads.is_multiple_of(c.num_key_value_heads) {
        return Err(config.bad("num_key_value_heads", "does not divide num_attention_heads"));
    }
    if c.layer_types.len() != layers {
        let problem = format!("lists {} of {layers} layers", c.layer_types.len());
        return Err(config.bad("layer_types", problem));
    }
    if c.num_kv_shared_layers >= layers {
        let problem = format!("is {}, of {layers} layers", c.num_kv_shared_layers);
        return Err(config.bad("num_kv_shared_layers", problem));
    }
    if c.altup_active_idx >= c.altup_num_inputs {
        let problem = format!(
            "is {}, of {} inputs",
            c.altup_active_idx, c.altup_num_inputs
        );
        return Err(config.bad("altup_active_idx", problem));
    }
    let weights = weights.renamed(|name| {
        let others = ["vision_tower", "audio_tower", "embed_audio", "embed_vision"];
        let part = name
            .strip_prefix("model.")
            .and_then(|rest| rest.split('.').next());
        let other = part.is_some_and(|part| others.contains(&part));
        (!other).then(|| name.to_owned())
    });
    weights.ignore("lm_head");
    let maker = Maker {
        config,
        streams: usize::from(c.altup_num_inputs),
        c,
    };
    let owners = layers - maker.c.num_kv_shared_layers;
    let model = Gemma3n {
        text: maker.text(&weights.at("model.language_model"))?,
        reaches: (0..owners).map(|number| maker.reach(number)).collect(),
        width: maker.c.hidden_size,
        own_width: maker.c.hidden_size_per_layer_input,
        softcap: maker.c.final_logit_softcapping,
    };
    weights.finish()?;
    Ok(Box::new(model))
}
