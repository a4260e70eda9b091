//! Owns the part of the Gemma 3n family that deals with text: several residual streams that
//! predict each other (AltUp), inputs of every layer's own, and layers that share their keys.

mod altup;
mod attention;
mod block;
mod make;

use olivine_core::{Array, Result, stack};
use olivine_nn::{Layer, Module};

use self::{
    block::Gemma3nBlock,
    make::{Config, Maker},
};
use crate::{
    Cache, Family, KvCache, LanguageModel, ModelConfig, Reach, Sequences, Weights,
    layers::{Embedding, Linear, Norm},
};

crate::family! { Family::new(&["gemma3n"], build) }

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

fn build(config: &ModelConfig, weights: &Weights) -> crate::Result<Box<dyn LanguageModel>> {
    let config = &config.text()?;
    let c: Config = config.read()?;
    let layers = c.num_hidden_layers;
    config.head_dim(Some(c.head_dim), c.hidden_size, c.num_attention_heads)?;
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
