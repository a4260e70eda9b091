//! Owns `olivine inspect`: what is in a model folder, and how much memory the model needs.

use std::{collections::BTreeMap, io::Write, path::PathBuf};

use clap::Args;
use olivine::{Array, Dtype, quantized::Quantization};
use olivine_lm::{Cache, Change, LanguageModel, ModelConfig, Recipe, Sequences, Weights, models};
use serde_json::{Value, json};

use crate::{
    error::{CliError, Exit},
    interrupt::Interrupt,
    model,
};

const EXAMPLES: &str = "\
Examples:
  olivine inspect ~/models/Qwen3-8B
      Weights, dtypes, and the memory for each way to pack them and each length of text.
  olivine inspect mlx-community/Qwen3-4B-4bit --tensors
      The tensors of a model of the hub.";

/// Lengths of text, in tokens.
const CONTEXTS: [usize; 4] = [2048, 8192, 32_768, 131_072];

/// Show what is in a model folder: weights, dtypes, and the memory it needs.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Inspect {
    /// The model: a folder, or a name on the hub [default: the shipped model]
    #[arg(value_name = "MODEL")]
    model: Option<PathBuf>,

    /// List every tensor
    #[arg(long)]
    tensors: bool,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Inspect {
    pub(crate) fn run(&self) -> Result<Exit, CliError> {
        let interrupt = Interrupt::watch()?;
        let folder = model::open(self.model.as_deref(), &interrupt)?;
        let config = folder.config()?;
        let (model, weights) = models::load_changed(&folder, Change::default())?;
        // Nothing is computed in what follows: shapes alone say how many bytes there are.
        let plain = models::build(&config, &Weights::random())?;
        let report = Report {
            model_type: config.model_type.clone(),
            parameters: plain.num_parameters(),
            layers: model.caches().len(),
            vocabulary: model.vocab_size(),
            packing: weights
                .packing()
                .map_or("none".to_owned(), |packing| scheme_name(packing.default)),
            dtypes: dtypes(&*model),
            sizes: sizes(&config, &*model)?,
            contexts: contexts(&*model)?,
        };
        let mut out = std::io::stdout().lock();
        let text = if self.json {
            format!("{}\n", report.json())
        } else {
            report.text()
        };
        out.write_all(text.as_bytes()).map_err(CliError::Write)?;
        if self.tensors {
            for (name, value) in model.parameters() {
                writeln!(
                    out,
                    "{name:<60} {:>20} {}",
                    value.shape().to_string(),
                    value.dtype()
                )
                .map_err(CliError::Write)?;
            }
        }
        Ok(Exit::Success)
    }
}

struct Report {
    model_type: String,
    parameters: usize,
    layers: usize,
    vocabulary: usize,
    packing: String,
    /// Bytes by dtype.
    dtypes: BTreeMap<String, usize>,
    /// Bytes of the weights by how they are packed.
    sizes: Vec<(String, usize)>,
    /// Bytes of caches by the length of the text, plain and in eight bits.
    contexts: Vec<(usize, usize, usize)>,
}

impl Report {
    fn text(&self) -> String {
        let mut text = String::new();
        let mut line =
            |name: &str, value: String| text += &[&format!("{name:<12} "), &*value, "\n"].concat();
        line("family", self.model_type.clone());
        line(
            "weights",
            format!("{:.3} billion", self.parameters as f64 / 1e9),
        );
        line("layers", self.layers.to_string());
        line("vocabulary", self.vocabulary.to_string());
        line("packing", self.packing.clone());
        let dtypes: Vec<String> = self
            .dtypes
            .iter()
            .map(|(dtype, bytes)| format!("{dtype} {}", size(*bytes)))
            .collect();
        line("dtypes", dtypes.join(", "));
        text.push_str("\nMemory of weights and of a text of so many tokens:\n");
        let row = |cells: &[String]| {
            let cells: Vec<String> = cells.iter().map(|cell| format!("{cell:>12}")).collect();
            format!("{}\n", cells.join(" "))
        };
        let mut heads = vec![String::new(), "0".to_owned()];
        heads.extend(self.contexts.iter().map(|(tokens, ..)| tokens.to_string()));
        text.push_str(&row(&heads));
        for (name, bytes) in &self.sizes {
            let mut cells = vec![name.clone(), size(*bytes)];
            cells.extend(self.contexts.iter().map(|(_, kv, _)| size(bytes + kv)));
            text.push_str(&row(&cells));
        }
        if self
            .contexts
            .iter()
            .any(|(_, plain, packed)| packed < plain)
        {
            let mut cells = vec!["--kv-bits 8".to_owned(), "less".to_owned()];
            cells.extend(
                self.contexts
                    .iter()
                    .map(|(_, plain, packed)| size(plain - packed)),
            );
            text.push_str(&row(&cells));
        }
        text
    }

    fn json(&self) -> Value {
        let sizes: Vec<Value> = self
            .sizes
            .iter()
            .map(|(name, bytes)| json!({"packing": name, "bytes": bytes}))
            .collect();
        let contexts: Vec<Value> = self
            .contexts
            .iter()
            .map(|(tokens, kv, packed)| json!({"tokens": tokens, "bytes": kv, "bytes_8_bit": packed}))
            .collect();
        json!({
            "model_type": self.model_type,
            "parameters": self.parameters,
            "layers": self.layers,
            "vocab_size": self.vocabulary,
            "packing": self.packing,
            "dtypes": self.dtypes,
            "weights": sizes,
            "caches": contexts,
        })
    }
}

fn size(bytes: usize) -> String {
    match bytes {
        0..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.2} GB", bytes as f64 / 1e9),
    }
}

fn scheme_name(scheme: Quantization) -> String {
    format!(
        "{} {} bits, groups of {}",
        scheme.mode(),
        scheme.bits(),
        scheme.group_size()
    )
}

fn bytes(model: &dyn LanguageModel) -> usize {
    model.parameters().values().map(Array::nbytes).sum()
}

fn dtypes(model: &dyn LanguageModel) -> BTreeMap<String, usize> {
    let mut all = BTreeMap::new();
    for value in model.parameters().values() {
        *all.entry(value.dtype().to_string()).or_default() += value.nbytes();
    }
    all
}

/// What the weights take as they are, and in other packings.
fn sizes(
    config: &ModelConfig,
    model: &dyn LanguageModel,
) -> Result<Vec<(String, usize)>, CliError> {
    let mut sizes = vec![("as it is".to_owned(), bytes(model))];
    let dtype = Some(Dtype::BFloat16);
    let schemes = [None, Some(8), Some(6), Some(4), Some(3)];
    for bits in schemes {
        let quantize = match bits {
            Some(bits) => {
                let scheme = Quantization::affine(64, bits).map_err(olivine_lm::Error::from)?;
                Some(Recipe::uniform(scheme))
            }
            None => None,
        };
        let change = Change {
            quantize,
            dtype,
            dequantize: false,
            ..Change::default()
        };
        let made = models::build(config, &Weights::random().changed(change))?;
        let name = bits.map_or("bfloat16".to_owned(), |bits| format!("{bits} bits"));
        sizes.push((name, bytes(&*made)));
    }
    Ok(sizes)
}

/// What caches take of texts of several lengths.
fn contexts(model: &dyn LanguageModel) -> Result<Vec<(usize, usize, usize)>, CliError> {
    let mut all = Vec::new();
    for tokens in CONTEXTS {
        let mut caches = model.caches();
        // Read in pieces, as a prompt is, so that windows drop what they drop.
        for _ in 0..tokens / 512 {
            let piece = Array::zeros([1, 512], Dtype::Int32).map_err(olivine_lm::Error::from)?;
            model.hidden(&piece, &mut Sequences::one(&mut caches))?;
        }
        let plain: usize = caches.iter().map(Cache::bytes).sum();
        let eight = Quantization::affine(64, 8).map_err(olivine_lm::Error::from)?;
        let mut packed = 0;
        for cache in &mut caches {
            if let Some(kv) = cache.kv()
                && let Ok(own) = kv.clone().quantized(eight)
            {
                *kv = own;
            }
            packed += cache.bytes();
        }
        all.push((tokens, plain, packed.min(plain)));
    }
    Ok(all)
}
