//! Owns the `config.json` that a GGUF file's metadata amounts to.

use std::{collections::BTreeMap, f64::consts::TAU};

use olivine_core::{Dtype, quantized::Quantization};
use olivine_io::Gguf;
use serde_json::{Map, Value, json};

use super::{
    families::{Architecture, Place},
    keys::Keys,
    tokenizer,
};
use crate::{
    QuantizationConfig,
    error::{Error, Result},
};

/// Sizes that every architecture states, checked enough to compute with them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    pub(super) layers: u64,
    pub(super) width: u64,
    pub(super) heads: u64,
    pub(super) kv_heads: u64,
    pub(super) head_dim: u64,
}

impl Sizes {
    pub(super) fn read(keys: Keys) -> Result<Self> {
        let required = |key: &str| {
            let key = keys.own(key);
            match keys.required(&key, keys.size(&key)?)? {
                0 => Err(keys.bad(&key, "must not be zero")),
                size => Ok(size),
            }
        };
        let width = required("embedding_length")?;
        let heads = required("attention.head_count")?;
        let head_dim = match keys.size(&keys.own("attention.key_length"))? {
            Some(0) => return Err(keys.bad(&keys.own("attention.key_length"), "must not be zero")),
            Some(size) => size,
            None if width.is_multiple_of(heads) => width / heads,
            None => {
                let key = keys.own("attention.head_count");
                let problem = format!("is {heads}, which does not divide {width}");
                return Err(keys.bad(&key, problem));
            }
        };
        let values = keys.own("attention.value_length");
        if let Some(other) = keys.size(&values)?
            && other != head_dim
        {
            return Err(keys.unsupported(&values, other, "the same length as keys"));
        }
        Ok(Sizes {
            layers: required("block_count")?,
            width,
            heads,
            kv_heads: match keys.size(&keys.own("attention.head_count_kv"))? {
                Some(0) => {
                    return Err(keys.bad(&keys.own("attention.head_count_kv"), "must not be zero"));
                }
                Some(count) => count,
                None => heads,
            },
            head_dim,
        })
    }
}

/// The text of the `config.json`.
pub(super) fn text(file: &Gguf, keys: Keys, architecture: &Architecture) -> Result<String> {
    let sizes = Sizes::read(keys)?;
    let mut fields = Fields {
        keys,
        map: Map::new(),
    };
    common(file, &mut fields, sizes)?;
    rope(file, &mut fields, architecture)?;
    own(file, &mut fields, architecture, sizes)?;
    if let Some(packing) = packing(file, architecture) {
        fields.put("quantization", packing.to_json());
    }
    let ids = tokenizer::SpecialIds::read(keys)?;
    if let Some(id) = ids.bos {
        fields.put("bos_token_id", id);
    }
    let ends = ids.ends(keys)?;
    if !ends.is_empty() {
        fields.put("eos_token_id", ends);
    }
    fields.put("dtype", dtype(file, architecture));
    Ok(format!("{:#}\n", Value::Object(fields.map)))
}

struct Fields<'a> {
    keys: Keys<'a>,
    map: Map<String, Value>,
}

impl Fields<'_> {
    fn put(&mut self, field: &str, value: impl Into<Value>) {
        self.map.insert(field.to_owned(), value.into());
    }

    /// The size of a key that must be there.
    fn size(&mut self, field: &str, key: &str) -> Result<()> {
        let key = self.keys.own(key);
        let size = self.keys.required(&key, self.keys.size(&key)?)?;
        self.put(field, size);
        Ok(())
    }

    /// The number of a key that must be there.
    fn number(&mut self, field: &str, key: &str) -> Result<()> {
        let key = self.keys.own(key);
        let number = self.keys.required(&key, self.keys.number(&key)?)?;
        self.put(field, number);
        Ok(())
    }

    /// The number of a key, if it is there.
    fn number_if_any(&mut self, field: &str, key: &str) -> Result<()> {
        if let Some(number) = self.keys.number(&self.keys.own(key))? {
            self.put(field, number);
        }
        Ok(())
    }
}

fn has(file: &Gguf, tensor: &str) -> bool {
    file.info(tensor).is_some()
}

fn common(file: &Gguf, fields: &mut Fields, sizes: Sizes) -> Result<()> {
    fields.put("hidden_size", sizes.width);
    fields.put("num_hidden_layers", sizes.layers);
    fields.put("num_attention_heads", sizes.heads);
    fields.put("num_key_value_heads", sizes.kv_heads);
    fields.put("head_dim", sizes.head_dim);
    fields.size("intermediate_size", "feed_forward_length")?;
    let table = file
        .info("token_embd.weight")
        .ok_or_else(|| missing_tensor(file, "token_embd.weight"))?;
    // Rows are padded in some models, so the list of tokens does not say how many there are.
    fields.put(
        "vocab_size",
        table.shape.dims().first().copied().unwrap_or(0),
    );
    let keys = fields.keys;
    if let Some(length) = keys.size(&keys.own("context_length"))? {
        fields.put("max_position_embeddings", length);
    }
    match keys.size(&keys.own("attention.sliding_window"))? {
        None | Some(0) => {}
        Some(window) => fields.put("sliding_window", window),
    }
    fields.put("tie_word_embeddings", !has(file, "output.weight"));
    fields.put("attention_bias", has(file, "blk.0.attn_q.bias"));
    fields.put("mlp_bias", has(file, "blk.0.ffn_up.bias"));
    Ok(())
}

fn missing_tensor(file: &Gguf, name: &str) -> Error {
    Error::Weights {
        path: file.path().to_owned(),
        problem: format!("{name} is missing"),
    }
}

/// The base of positions, and how contexts are stretched.
fn rope(file: &Gguf, fields: &mut Fields, architecture: &Architecture) -> Result<()> {
    let keys = fields.keys;
    let base = keys.number(&keys.own("rope.freq_base"))?;
    // Files leave the base out where it is the usual one.
    let theta = base.unwrap_or(match architecture.name {
        "gemma3" => 1e6,
        _ => 1e4,
    });
    fields.put("rope_theta", theta);
    if let Some(factors) = divisors(file, "rope_freqs.weight")? {
        let scaling = if let Some(scaling) = llama3(&factors, theta) {
            scaling
        } else {
            // The same frequencies, whatever rule made them; equal contexts add no factor.
            let context = keys
                .size(&keys.own("context_length"))?
                .unwrap_or(4096)
                .max(1);
            fields.put("max_position_embeddings", context);
            json!({"rope_type": "longrope", "long_factor": factors, "short_factor": factors,
                "original_max_position_embeddings": context})
        };
        fields.put("rope_scaling", scaling);
        return Ok(());
    }
    let original = keys.size(&keys.own("rope.scaling.original_context_length"))?;
    if let Some(long) = divisors(file, "rope_factors_long.weight")? {
        let context = keys.size(&keys.own("context_length"))?;
        let context = keys.required(&keys.own("context_length"), context)?;
        let short = divisors(file, "rope_factors_short.weight")?;
        fields.put(
            "rope_scaling",
            json!({"rope_type": "longrope", "long_factor": long,
                "short_factor": short.unwrap_or_else(|| vec![1.0; long.len()]),
                "original_max_position_embeddings": original.unwrap_or(context)}),
        );
        return Ok(());
    }
    let key = keys.own("rope.scaling.type");
    let factor_key = keys.own("rope.scaling.factor");
    let factor = match keys.number(&factor_key)? {
        None => keys.number(&keys.own("rope.scale_linear"))?,
        found => found,
    };
    let scaling = match (keys.text(&key)?, factor) {
        (Some("none"), _) | (None, None) => return Ok(()),
        (None | Some("linear"), Some(factor)) if factor == 0.0 || factor == 1.0 => return Ok(()),
        (None | Some("linear"), Some(factor)) => json!({"rope_type": "linear", "factor": factor}),
        (Some("yarn"), Some(factor)) => {
            let mut scaling = json!({"rope_type": "yarn", "factor": factor});
            if let Some(original) = original {
                scaling["original_max_position_embeddings"] = original.into();
            }
            for (field, key) in [
                ("beta_fast", "yarn_beta_fast"),
                ("beta_slow", "yarn_beta_slow"),
            ] {
                if let Some(number) = keys.number(&keys.own(&format!("rope.scaling.{key}")))? {
                    scaling[field] = number.into();
                }
            }
            scaling
        }
        (Some("linear" | "yarn"), None) => return Err(keys.bad(&factor_key, "is missing")),
        (Some(other), _) => {
            return Err(keys.unsupported(
                &key,
                other,
                "none, linear, yarn, and tensors of factors",
            ));
        }
    };
    fields.put("rope_scaling", scaling);
    Ok(())
}

/// The divisors of frequencies that a tensor holds.
fn divisors(file: &Gguf, name: &str) -> Result<Option<Vec<f64>>> {
    /// Heads of twice as many elements are beyond any model.
    const MOST: usize = 1 << 14;
    let Some(info) = file.info(name) else {
        return Ok(None);
    };
    let bad = |problem: &str| Error::Weights {
        path: file.path().to_owned(),
        problem: format!("{name} {problem}"),
    };
    if info.shape.dims().len() != 1 || info.shape.elements() > MOST {
        return Err(bad("must be a list of factors"));
    }
    let array = file.array(name)?;
    if array.dtype() != Dtype::Float32 {
        return Err(bad("must be float32"));
    }
    let factors: Vec<f64> = array.to_vec::<f32>()?.into_iter().map(f64::from).collect();
    if factors.iter().any(|x| !x.is_finite() || *x <= 0.0) {
        return Err(bad("must hold numbers above zero"));
    }
    Ok(Some(factors))
}

/// The factors by which Llama 3.1's rule divides frequencies.
pub(super) fn llama3_factors(
    theta: f64,
    pairs: usize,
    factor: f64,
    [low, high, context]: [f64; 3],
) -> Vec<f64> {
    let one = |i: usize| {
        let period = theta.powf(i as f64 / pairs as f64);
        let turns = context / (period * TAU);
        let kept = ((turns - low) / (high - low)).clamp(0.0, 1.0);
        1.0 / (kept + (1.0 - kept) / factor)
    };
    (0..pairs).map(one).collect()
}

/// Llama 3.1's rule with its usual bounds, if it is what made these factors.
fn llama3(factors: &[f64], theta: f64) -> Option<Value> {
    let factor = *factors.last()?;
    let usual = llama3_factors(theta, factors.len(), factor, [1.0, 4.0, 8192.0]);
    let close = |(own, usual): (&f64, &f64)| (own - usual).abs() <= 1e-5 * usual;
    (factor > 1.0 && factors.iter().zip(&usual).all(close)).then(|| {
        json!({"rope_type": "llama3", "factor": factor, "low_freq_factor": 1.0,
            "high_freq_factor": 4.0, "original_max_position_embeddings": 8192})
    })
}

/// What single families have in their `config.json`.
fn own(file: &Gguf, fields: &mut Fields, architecture: &Architecture, sizes: Sizes) -> Result<()> {
    let keys = fields.keys;
    let (rms, plain) = (
        "attention.layer_norm_rms_epsilon",
        "attention.layer_norm_epsilon",
    );
    let turned = match keys.size(&keys.own("rope.dimension_count"))? {
        Some(dims) => dims as f64 / sizes.head_dim as f64,
        None => 1.0,
    };
    // Models of one size scale queries by the width of all heads.
    let scalar_of = |large: u64| {
        if sizes.layers == large {
            sizes.width as f64 / sizes.heads as f64
        } else {
            sizes.head_dim as f64
        }
    };
    let model_type = match architecture.name {
        "llama" if keys.size(&keys.own("expert_count"))?.unwrap_or(0) > 0 => {
            fields.size("num_local_experts", "expert_count")?;
            fields.size("num_experts_per_tok", "expert_used_count")?;
            fields.number("rms_norm_eps", rms)?;
            "mixtral"
        }
        name @ ("llama" | "qwen2" | "qwen3" | "gemma" | "olmo2" | "smollm3") => {
            fields.number("rms_norm_eps", rms)?;
            name
        }
        name @ ("qwen2moe" | "qwen3moe") => {
            fields.number("rms_norm_eps", rms)?;
            fields.size("num_experts", "expert_count")?;
            fields.size("num_experts_per_tok", "expert_used_count")?;
            fields.size("moe_intermediate_size", "expert_feed_forward_length")?;
            if name == "qwen2moe" {
                fields.size(
                    "shared_expert_intermediate_size",
                    "expert_shared_feed_forward_length",
                )?;
                "qwen2_moe"
            } else {
                fields.put("norm_topk_prob", true);
                "qwen3_moe"
            }
        }
        "gemma2" => {
            fields.number("rms_norm_eps", rms)?;
            fields.number_if_any("attn_logit_softcapping", "attn_logit_softcapping")?;
            fields.number_if_any("final_logit_softcapping", "final_logit_softcapping")?;
            fields.put("query_pre_attn_scalar", scalar_of(46));
            "gemma2"
        }
        "gemma3" => {
            fields.number("rms_norm_eps", rms)?;
            fields.put("query_pre_attn_scalar", scalar_of(62));
            let near = keys.number(&keys.own("rope.freq_base_swa"))?;
            fields.put("rope_local_base_freq", near.unwrap_or(1e4));
            let pattern = keys.own("attention.sliding_window_pattern");
            // Newer files may list which layers have a window.
            if let Some(value) = keys.get(&pattern) {
                match value.as_i64() {
                    Some(count @ 1..=1024) => fields.put("sliding_window_pattern", count),
                    _ => return Err(keys.unsupported(&pattern, "a list", "a whole number")),
                }
            }
            "gemma3_text"
        }
        "phi3" => {
            fields.number("rms_norm_eps", rms)?;
            fields.put("partial_rotary_factor", turned);
            let original = keys.size(&keys.own("rope.scaling.original_context_length"))?;
            if let Some(length) = original {
                fields.put("original_max_position_embeddings", length);
            }
            "phi3"
        }
        "granite" => {
            fields.number("rms_norm_eps", rms)?;
            for (field, key) in [
                ("logits_scaling", "logit_scale"),
                ("attention_multiplier", "attention.scale"),
                ("embedding_multiplier", "embedding_scale"),
                ("residual_multiplier", "residual_scale"),
            ] {
                fields.number(field, key)?;
            }
            "granite"
        }
        "cohere2" => {
            fields.number("layer_norm_eps", plain)?;
            fields.number("logit_scale", "logit_scale")?;
            fields.put("layer_norm_bias", false);
            fields.put("sliding_window_pattern", 4);
            "cohere2"
        }
        "starcoder2" => {
            fields.number("norm_epsilon", plain)?;
            "starcoder2"
        }
        "stablelm" => {
            fields.number("layer_norm_eps", plain)?;
            fields.put("partial_rotary_factor", turned);
            fields.put("use_qkv_bias", has(file, "blk.0.attn_q.bias"));
            let parallel = keys.truth(&keys.own("use_parallel_residual"))?;
            fields.put("use_parallel_residual", parallel.unwrap_or(false));
            if has(file, "blk.0.attn_q_norm.weight") {
                let path = file.path().to_owned();
                let problem =
                    "blk.0.attn_q_norm.weight: norms of heads are not supported in stablelm";
                return Err(Error::Weights {
                    path,
                    problem: problem.into(),
                });
            }
            "stablelm"
        }
        "gptneox" => {
            fields.number("layer_norm_eps", plain)?;
            fields.put("rotary_pct", turned);
            let base = keys.number(&keys.own("rope.freq_base"))?;
            fields.put("rotary_emb_base", base.unwrap_or(1e4));
            let parallel = keys.truth(&keys.own("use_parallel_residual"))?;
            fields.put("use_parallel_residual", parallel.unwrap_or(true));
            "gpt_neox"
        }
        _ => {
            fields.number("layer_norm_epsilon", plain)?;
            fields.put("n_embd", sizes.width);
            fields.put("n_head", sizes.heads);
            fields.put("n_layer", sizes.layers);
            fields.size("n_positions", "context_length")?;
            "gpt2"
        }
    };
    fields.put("model_type", model_type);
    Ok(())
}

/// How the tensors are packed, by the names of layers; none if none is.
pub(super) fn packing(file: &Gguf, architecture: &Architecture) -> Option<QuantizationConfig> {
    let mut layers: BTreeMap<String, Quantization> = BTreeMap::new();
    for tensor in file.names() {
        let Some(info) = file.info(tensor) else {
            continue;
        };
        if let (Some(scheme), true) = (info.packed, info.shape.dims().len() > 1)
            && let Place::Part {
                name,
                end: "weight",
                ..
            } = architecture.place(tensor)
        {
            layers.insert(name, scheme);
        }
    }
    let count = |one: &Quantization| layers.values().filter(|scheme| *scheme == one).count();
    let default = layers
        .values()
        .copied()
        .max_by_key(|scheme| count(scheme))?;
    let different = layers.into_iter().filter(|(_, scheme)| *scheme != default);
    Some(QuantizationConfig {
        default,
        layers: different
            .map(|(name, scheme)| (name, Some(scheme)))
            .collect(),
    })
}

/// The dtype that all of the model should have: mixed ones would be widened again and again.
fn dtype(file: &Gguf, architecture: &Architecture) -> &'static str {
    let matrices = file.names().filter_map(|name| file.info(name));
    let mut stored = matrices
        .filter(|info| info.shape.dims().len() > 1)
        .map(|info| info.stored);
    // Values inside of Gemma go beyond the largest half.
    if architecture.norms_plus_one {
        return if stored.all(|name| name == "F32") {
            "float32"
        } else {
            "bfloat16"
        };
    }
    let stored: Vec<&str> = stored.collect();
    if stored.iter().all(|name| *name == "F32") {
        "float32"
    } else if stored.iter().all(|name| matches!(*name, "F32" | "BF16")) {
        "bfloat16"
    } else {
        "float16"
    }
}
