//! Owns writing models as single GGUF files, for this program and for others.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::Path,
};

use olivine_core::{Array, Dtype};
use olivine_io::{GgufKind, GgufMetadata, GgufValue, write_gguf_as};
use serde::Deserialize;

use super::{
    config::llama3_factors,
    families::{self, Architecture, Rows},
    save_tokenizer,
};
use crate::{
    Change, ConvertSummary, Error, ModelConfig, ModelFolder, Result,
    convert::{Counted, Counter, Unfinished, unwritten},
    layers::RopeScaling,
    models,
};

/// A tensor that is yet to be computed, and how it is stored.
type Tensor = (String, Array, GgufKind);

/// The families that can be written, and their architectures.
const WRITTEN: [(&str, &str); 7] = [
    ("llama", "llama"),
    ("mistral", "llama"),
    ("mixtral", "llama"),
    ("qwen2", "qwen2"),
    ("qwen2_moe", "qwen2moe"),
    ("qwen3", "qwen3"),
    ("qwen3_moe", "qwen3moe"),
];

/// The number for a type of `general.file_type`.
fn file_type(kind: GgufKind) -> u32 {
    match kind {
        GgufKind::F32 => 0,
        GgufKind::F16 => 1,
        GgufKind::BF16 => 32,
        GgufKind::Q4_0 => 2,
        GgufKind::Q4_1 => 3,
        GgufKind::Q8_0 => 7,
    }
}

/// Writes the model of a folder as a GGUF file, with its tokenizer and chat template.
///
/// Families `llama`, `mistral`, `mixtral`, `qwen2`, `qwen2_moe`, `qwen3` and `qwen3_moe`; packed weights
/// are unpacked and packed anew, and all experts of a layer are one tensor. Matrices are of the given
/// type, vectors and the routers of mixtures always `F32`. Tensors are computed one at a time, so that a
/// model larger than memory is written, too. The file appears under its name when it is complete.
/// `progress` is told the bytes written so far and those of all; false stops the writing, and
/// nothing is left of it.
///
/// # Errors
/// `out` exists already, or cannot be written; a family, setting or tokenizer that GGUF files of
/// these architectures have no place for; whatever is wrong with the model.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_lm::{GgufKind, ModelFolder, models, save_gguf_model};
/// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
/// # let place = tempfile::tempdir()?;
/// let folder = ModelFolder::open(path)?;
/// let out = place.path().join("stories.gguf");
/// let made = save_gguf_model(&folder, &out, GgufKind::Q8_0, &mut |_, _| true)?;
/// assert!(made.bits_per_weight() < 8.6);
/// assert!(models::load(&ModelFolder::open(out)?).is_ok());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn save_gguf_model(
    folder: &ModelFolder,
    out: &Path,
    kind: GgufKind,
    progress: &mut dyn FnMut(u64, u64) -> bool,
) -> Result<ConvertSummary> {
    if out.exists() {
        return Err(Error::OutputExists {
            path: out.to_owned(),
        });
    }
    let config = folder.config()?;
    let written = WRITTEN
        .iter()
        .find(|(family, _)| *family == config.model_type);
    let architecture = written.and_then(|(_, name)| families::architecture(name));
    let Some(architecture) = architecture else {
        return Err(Error::UnsupportedArchitecture {
            path: folder.path_of("config.json"),
            found: config.model_type.clone(),
            supported: WRITTEN.map(|(family, _)| family).to_vec(),
        });
    };
    let sizes: Sizes = config.read()?;
    sizes.check(&config)?;
    let change = Change {
        quantize: None,
        dequantize: true,
        // From which every type is made with one rounding; nothing is computed before it is written.
        dtype: Some(Dtype::Float32),
        ..Change::default()
    };
    let (model, weights) = models::load_changed(folder, change)?;
    let parameters = model.parameters();
    drop((model, weights));

    let mut metadata = save_tokenizer::metadata(folder, &config, sizes.vocab_size)?;
    let heads = sizes.heads(&config)?;
    let more = describe(&mut metadata, architecture.name, &config, &sizes, heads)?;
    let name = folder.path().file_stem().unwrap_or_default();
    let name = name.to_string_lossy().into_owned();
    metadata.insert("general.name".to_owned(), name.into());
    metadata.insert("general.file_type".to_owned(), file_type(kind).into());

    let mut tensors: Vec<Tensor> = Vec::with_capacity(parameters.len() + more.len());
    let factors = more.into_iter();
    tensors.extend(factors.map(|(name, value)| (name, value, GgufKind::F32)));
    let mut count = 0;
    for (name, value) in parameters {
        count += value.size() as u64;
        let Some(stored) = architecture.stored_name(&name) else {
            return Err(Error::Weights {
                path: folder.path().to_owned(),
                problem: format!("{name} has no name in GGUF files of {}", architecture.name),
            });
        };
        let value = ordered(architecture, &stored, value, heads)?;
        let kind = kind_of(&stored, &value, kind);
        tensors.push((stored, value, kind));
    }
    let bytes = tensors
        .iter()
        .map(|(_, value, kind)| kind.bytes(value.shape()) as u64)
        .sum();
    write(out, tensors, &metadata, bytes, progress)?;
    Ok(ConvertSummary {
        parameters: count,
        bytes,
        files: 1,
    })
}

fn write(
    out: &Path,
    tensors: Vec<Tensor>,
    metadata: &GgufMetadata,
    bytes: u64,
    progress: &mut dyn FnMut(u64, u64) -> bool,
) -> Result<()> {
    let failed = |source| Error::WriteFile {
        path: out.to_owned(),
        source,
    };
    let place = Unfinished::beside(out)?;
    let path = place.path.join("model.gguf");
    let mut file = File::create(&path).map_err(failed)?;
    let mut counter = Counter {
        written: 0,
        all: bytes,
        stopped: false,
        progress,
    };
    let mut writer = BufWriter::with_capacity(
        1 << 20,
        Counted {
            file: &mut file,
            counter: &mut counter,
        },
    );
    let written = write_gguf_as(&mut writer, tensors, metadata);
    let flushed = writer.flush();
    drop(writer);
    if counter.stopped {
        return Err(Error::Stopped);
    }
    written.map_err(|error| unwritten(&path, error))?;
    flushed.map_err(failed)?;
    file.sync_all().map_err(failed)?;
    std::fs::rename(&path, out).map_err(failed)
}

/// What is read of a `config.json` to write it as metadata.
#[derive(Deserialize)]
struct Sizes {
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: Option<usize>,
    head_dim: Option<usize>,
    intermediate_size: usize,
    vocab_size: usize,
    rms_norm_eps: Option<f64>,
    max_position_embeddings: Option<u32>,
    #[serde(default)]
    rope_traditional: bool,
    hidden_act: Option<String>,
    sliding_window: Option<u32>,
    use_sliding_window: Option<bool>,
    layer_types: Option<Vec<String>>,
    num_experts: Option<usize>,
    num_local_experts: Option<usize>,
    num_experts_per_tok: Option<usize>,
    moe_intermediate_size: Option<usize>,
    shared_expert_intermediate_size: Option<usize>,
    norm_topk_prob: Option<bool>,
    decoder_sparse_step: Option<usize>,
    #[serde(default)]
    mlp_only_layers: Vec<usize>,
}

#[derive(Clone, Copy)]
struct Heads {
    queries: usize,
    keys: usize,
    size: usize,
}

impl Sizes {
    /// Refuses what architectures have no key for.
    fn check(&self, config: &ModelConfig) -> Result<()> {
        let refused = |field: &str, problem: &str| Err(config.bad(field, problem));
        if self.rope_traditional {
            return refused("rope_traditional", "is true, for which GGUF has no key");
        }
        if !matches!(self.hidden_act.as_deref(), None | Some("silu" | "swish")) {
            return refused("hidden_act", "is not silu, and GGUF has no key for it");
        }
        let mixed = |types: &Vec<String>| types.iter().any(|kind| kind != "full_attention");
        if self.layer_types.as_ref().is_some_and(mixed) {
            return refused(
                "layer_types",
                "differ, for which this architecture of GGUF has no key",
            );
        }
        let model_type = config.model_type.as_str();
        if ["qwen2_moe", "qwen3_moe"].contains(&model_type) {
            if self.decoder_sparse_step.unwrap_or(1) != 1 {
                return refused(
                    "decoder_sparse_step",
                    "is not 1, and GGUF has no key for it",
                );
            }
            if !self.mlp_only_layers.is_empty() {
                return refused(
                    "mlp_only_layers",
                    "is not empty, and GGUF has no key for it",
                );
            }
            // What readers take for granted.
            let usual = model_type == "qwen3_moe";
            if self.norm_topk_prob.unwrap_or(false) != usual {
                let problem = format!("is not {usual}, and GGUF has no key for it");
                return Err(config.bad("norm_topk_prob", problem));
            }
        }
        Ok(())
    }

    /// The sizes of a mixture of experts under GGUF's keys.
    fn experts(&self, config: &ModelConfig) -> Result<Vec<(&'static str, usize)>> {
        let per_token = (
            "expert_used_count",
            "num_experts_per_tok",
            self.num_experts_per_tok,
        );
        let count = ("expert_count", "num_experts", self.num_experts);
        let own = (
            "expert_feed_forward_length",
            "moe_intermediate_size",
            self.moe_intermediate_size,
        );
        let shared = (
            "expert_shared_feed_forward_length",
            "shared_expert_intermediate_size",
            self.shared_expert_intermediate_size,
        );
        let sizes = match config.model_type.as_str() {
            "mixtral" => vec![
                ("expert_count", "num_local_experts", self.num_local_experts),
                per_token,
            ],
            "qwen2_moe" => vec![count, per_token, own, shared],
            "qwen3_moe" => vec![count, per_token, own],
            _ => Vec::new(),
        };
        let sizes = sizes.into_iter().map(|(key, field, size)| {
            let size = size.ok_or_else(|| config.bad(field, "is missing"))?;
            Ok((key, size))
        });
        sizes.collect()
    }

    fn heads(&self, config: &ModelConfig) -> Result<Heads> {
        let queries = self.num_attention_heads;
        Ok(Heads {
            queries,
            keys: self.num_key_value_heads.unwrap_or(queries),
            size: config.head_dim(self.head_dim, self.hidden_size, queries)?,
        })
    }
}

/// Puts down the architecture and its sizes; returns the tensors that say more.
fn describe(
    metadata: &mut GgufMetadata,
    architecture: &str,
    config: &ModelConfig,
    sizes: &Sizes,
    heads: Heads,
) -> Result<Vec<(String, Array)>> {
    let mut put = |key: &str, value: GgufValue| metadata.insert(key.to_owned(), value);
    put("general.architecture", architecture.into());
    put("general.type", "model".into());
    put("general.quantization_version", 2u32.into());
    let mut own = |key: &str, value: GgufValue| put(&format!("{architecture}.{key}"), value);
    for (key, size) in [
        ("block_count", sizes.num_hidden_layers),
        ("embedding_length", sizes.hidden_size),
        ("feed_forward_length", sizes.intermediate_size),
        ("vocab_size", sizes.vocab_size),
        ("attention.head_count", heads.queries),
        ("attention.head_count_kv", heads.keys),
        ("attention.key_length", heads.size),
        ("attention.value_length", heads.size),
        ("rope.dimension_count", heads.size),
    ]
    .into_iter()
    .chain(sizes.experts(config)?)
    {
        let size = u32::try_from(size).map_err(|_| config.bad(key, "is too large for GGUF"))?;
        own(key, size.into());
    }
    let context = sizes.max_position_embeddings.unwrap_or(2048);
    own("context_length", context.into());
    let is_mixtral = config.model_type == "mixtral";
    let usual = if is_mixtral { 1e-5 } else { 1e-6 };
    let eps = sizes.rms_norm_eps.unwrap_or(usual) as f32;
    own("attention.layer_norm_rms_epsilon", eps.into());
    if let Some(window) = sizes
        .sliding_window
        .filter(|_| sizes.use_sliding_window != Some(false))
    {
        own("attention.sliding_window", window.into());
    }
    let usual = if architecture == "llama" && !is_mixtral {
        1e4
    } else {
        1e6
    };
    let rope = config.rope_or(usual)?;
    own("rope.freq_base", (rope.theta as f32).into());
    let mut scaled = |kind: &str, factor: f64, original: Option<usize>| {
        own("rope.scaling.type", kind.into());
        own("rope.scaling.factor", (factor as f32).into());
        if let Some(length) = original.and_then(|length| u32::try_from(length).ok()) {
            own("rope.scaling.original_context_length", length.into());
        }
    };
    match rope.scaling {
        RopeScaling::Default => {}
        RopeScaling::Linear { factor } => scaled("linear", factor, None),
        RopeScaling::Yarn {
            factor,
            original_max_position_embeddings: original,
            beta_fast,
            beta_slow,
            mscale,
            mscale_all_dim,
        } if [mscale, mscale_all_dim] == [1.0, 0.0] => {
            scaled("yarn", factor, Some(original));
            own("rope.scaling.yarn_beta_fast", (beta_fast as f32).into());
            own("rope.scaling.yarn_beta_slow", (beta_slow as f32).into());
        }
        RopeScaling::Llama3 {
            factor,
            low_freq_factor,
            high_freq_factor,
            original_max_position_embeddings: context,
        } => {
            let bounds = [low_freq_factor, high_freq_factor, context as f64];
            let factors = llama3_factors(rope.theta, heads.size / 2, factor, bounds);
            let factors: Vec<f32> = factors.into_iter().map(|x| x as f32).collect();
            let tensor = Array::from_slice(&factors, [factors.len()])?;
            return Ok(vec![("rope_freqs.weight".to_owned(), tensor)]);
        }
        RopeScaling::Yarn { .. }
        | RopeScaling::Dynamic { .. }
        | RopeScaling::LongRope { .. }
        | RopeScaling::Proportional { .. } => {
            let problem = "is of a kind that this architecture of GGUF has no key for";
            return Err(config.bad("rope_scaling", problem));
        }
    }
    Ok(Vec::new())
}

/// The tensor with its rows in the order that the file has.
fn ordered(architecture: &Architecture, stored: &str, value: Array, heads: Heads) -> Result<Array> {
    let stem = stored.rsplit_once('.').map_or("", |(stem, _)| stem);
    let count = match (architecture.rows, stem.rsplit('.').next()) {
        (Rows::Paired, Some("attn_q")) => heads.queries,
        (Rows::Paired, Some("attn_k")) => heads.keys,
        // One row, which readers take as a list.
        (_, Some("ffn_gate_inp_shexp")) => return Ok(value.flatten(0, -1)?),
        _ => return Ok(value),
    };
    let dims = value.shape().dims().to_vec();
    let split = [&[count, 2, heads.size / 2], &dims[1..]].concat();
    Ok(value
        .reshape(&split[..])?
        .swapaxes(1, 2)?
        .reshape(&dims[..])?)
}

/// How a tensor is stored in a file of this kind.
fn kind_of(stored: &str, value: &Array, kind: GgufKind) -> GgufKind {
    let columns = value.shape().last().copied().unwrap_or(1);
    if value.ndim() < 2 || stored.contains(".ffn_gate_inp") {
        return GgufKind::F32;
    }
    if kind.fits(columns) {
        kind
    } else {
        GgufKind::F16
    }
}
