//! Owns `olivine convert`: a model in another folder or a GGUF file, packed, unpacked or cast.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use olivine::quantized::{Quantization, QuantizationMode};
use olivine_lm::{
    Change, ConvertOptions, GgufKind, MixedBits, ModelFolder, Recipe, convert, dtype_of, models,
    save_gguf_model,
};

use crate::error::{CliError, Exit, say};
use crate::interrupt::Interrupt;
use crate::model;

const EXAMPLES: &str = "\
Examples:
  olivine convert ~/models/Llama-3.2-1B -o llama-4bit -q
      Four bits in groups of 64: about a quarter of the size.
  olivine convert ~/models/Qwen3-8B -o qwen-mixed --q-recipe mixed_3_6
      Three bits, six for the layers that matter most.
  olivine convert ~/models/Qwen3-8B -o qwen-mxfp4 -q --q-mode mxfp4
      E2M1 floats in groups of 32.
  olivine convert llama-4bit -o llama-plain --dequantize --dtype bfloat16
      Back to plain weights, which are those of the four bits.
  olivine convert ~/models/Qwen3-8B -o qwen.gguf --gguf-type q8_0
      One file for llama.cpp and others.";

/// Write a model in MLX's layout: packed into few bits, unpacked, or in another dtype.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Convert {
    /// The model: a folder, a GGUF file, or a name on the hub
    #[arg(value_name = "MODEL")]
    source: PathBuf,

    /// The new folder, or a file that ends in .gguf; it must not exist
    #[arg(short, long, value_name = "PATH")]
    out: PathBuf,

    /// Pack the weights of linear layers and embeddings
    #[arg(short, long, conflicts_with = "dequantize")]
    quantize: bool,

    /// Bits of a packed weight: 2, 3, 4, 5, 6 or 8 [default: 4, or what the mode has]
    #[arg(long, value_name = "N", requires = "quantize")]
    q_bits: Option<usize>,

    /// Weights that share a scale: 32, 64 or 128 [default: 64, or what the mode has]
    #[arg(long, value_name = "N")]
    q_group_size: Option<usize>,

    /// How weights are packed
    #[arg(long, value_name = "MODE", default_value = "affine")]
    q_mode: Mode,

    /// Pack different layers with different bits: mixed_2_6, mixed_3_4, mixed_3_6 or mixed_4_6
    #[arg(long, value_name = "NAME", conflicts_with_all = ["q_bits", "dequantize"])]
    q_recipe: Option<String>,

    /// Leave layers plain whose names contain this; may be given several times
    #[arg(long, value_name = "TEXT")]
    q_skip: Vec<String>,

    /// Unpack packed weights
    #[arg(long)]
    dequantize: bool,

    /// The dtype of plain weights and of scales: float32, float16 or bfloat16 [default: the model's]
    #[arg(long, value_name = "DTYPE")]
    dtype: Option<String>,

    /// The type of matrices in a GGUF file: f32, f16, bf16, q4_0, q4_1 or q8_0
    /// [default: q4_1 with --quantize, q8_0 with --q-bits 8, otherwise the dtype]
    #[arg(long, value_name = "TYPE", conflicts_with_all = ["quantize", "q_recipe", "dtype"])]
    gguf_type: Option<String>,

    /// Make random weights, for trying out speed and memory; MODEL needs config.json only
    #[arg(long)]
    random: bool,

    /// Gigabytes that a weight file may have
    #[arg(long, value_name = "GB", default_value_t = 5)]
    shard_gb: usize,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Mode {
    /// Whole numbers with a scale and a bias
    Affine,
    /// E2M1 floats with a power of two for 32
    Mxfp4,
    /// E4M3 floats with a power of two for 32
    Mxfp8,
    /// E2M1 floats with an E4M3 scale for 16
    Nvfp4,
}

impl From<Mode> for QuantizationMode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Affine => QuantizationMode::Affine,
            Mode::Mxfp4 => QuantizationMode::Mxfp4,
            Mode::Mxfp8 => QuantizationMode::Mxfp8,
            Mode::Nvfp4 => QuantizationMode::Nvfp4,
        }
    }
}

fn refused(option: &'static str, value: impl ToString, expected: &'static str) -> CliError {
    let value = value.to_string();
    olivine_lm::Error::Option {
        option,
        value,
        expected,
    }
    .into()
}

impl Convert {
    pub(crate) fn run(&self) -> Result<Exit, CliError> {
        let interrupt = Interrupt::watch()?;
        let folder = model::open(Some(&self.source), &interrupt)?;
        let gguf = match model::is_gguf(&self.out) {
            true => Some(self.gguf_kind(&folder)?),
            false if self.gguf_type.is_some() => {
                let expected = "a name that ends in .gguf";
                return Err(refused("out", self.out.display(), expected));
            }
            false => None,
        };
        let style = ProgressStyle::with_template(
            "{bar:40} {bytes}/{total_bytes} {bytes_per_sec} {eta} left",
        );
        let bar = ProgressBar::new(0).with_style(style.expect("the template is well formed"));
        let mut progress = |done, all| {
            bar.set_length(all);
            bar.set_position(done);
            !interrupt.pressed()
        };
        let made = match gguf {
            Some(kind) => save_gguf_model(&folder, &self.out, kind, &mut progress),
            None => convert(&folder, &self.out, &self.options(&folder)?, &mut progress),
        };
        bar.finish_and_clear();
        if interrupt.pressed() {
            return Ok(Exit::Interrupted);
        }
        let made = made?;
        say(&format!(
            "{}: {:.3} billion weights, {:.3} bits each, {:.2} GB in {} {}",
            self.out.display(),
            made.parameters as f64 / 1e9,
            made.bits_per_weight(),
            made.bytes as f64 / 1e9,
            made.files,
            if made.files == 1 { "file" } else { "files" },
        ));
        Ok(Exit::Success)
    }

    /// The type of matrices that the options ask for.
    fn gguf_kind(&self, folder: &ModelFolder) -> Result<GgufKind, CliError> {
        if self.random {
            return Err(refused("random", true, "left out for GGUF files"));
        }
        if let Some(name) = &self.gguf_type {
            let kind = GgufKind::named(name);
            return kind
                .ok_or_else(|| refused("gguf-type", name, "f32, f16, bf16, q4_0, q4_1 or q8_0"));
        }
        if let Some(name) = &self.q_recipe {
            return Err(refused("q-recipe", name, "left out for GGUF files"));
        }
        if let Some(size) = self.q_group_size.filter(|size| *size != 32) {
            return Err(refused("q-group-size", size, "32 for GGUF files"));
        }
        if let Some(text) = self.q_skip.first() {
            return Err(refused("q-skip", text, "left out for GGUF files"));
        }
        if self.quantize {
            return match (self.q_mode, self.q_bits.unwrap_or(4)) {
                (Mode::Affine, 4) => Ok(GgufKind::Q4_1),
                (Mode::Affine, 8) => Ok(GgufKind::Q8_0),
                (_, bits) => Err(refused("q-bits", bits, "4 or 8 and affine for GGUF files")),
            };
        }
        let named = self.dtype.clone().or(folder.config()?.dtype);
        match named.as_deref() {
            Some("float32") => Ok(GgufKind::F32),
            Some("bfloat16") => Ok(GgufKind::BF16),
            Some("float16") | None => Ok(GgufKind::F16),
            Some(other) => Err(refused("dtype", other, "float32, float16 or bfloat16")),
        }
    }

    fn options(&self, folder: &ModelFolder) -> Result<ConvertOptions, CliError> {
        let config = folder.config()?;
        let named = self.dtype.as_ref().or(config.dtype.as_ref());
        let dtype = named.and_then(|name| dtype_of(name));
        if let Some(value) = self.dtype.clone().filter(|_| dtype.is_none()) {
            let expected = "float32, float16 or bfloat16";
            return Err(olivine_lm::Error::Option {
                option: "dtype",
                value,
                expected,
            }
            .into());
        }
        let core = |error: olivine::Error| CliError::from(olivine_lm::Error::from(error));
        let recipe = match &self.q_recipe {
            Some(name) => {
                let mixed: MixedBits = name.parse()?;
                let layers = models::build(&config, &olivine_lm::Weights::random())?
                    .caches()
                    .len();
                Some(mixed.recipe(layers, self.q_group_size.unwrap_or(64))?)
            }
            None if self.quantize => {
                let mode = self.q_mode.into();
                let scheme =
                    Quantization::new(mode, self.q_group_size, self.q_bits).map_err(core)?;
                Some(Recipe::uniform(scheme))
            }
            None => None,
        };
        if let Some(scheme) = recipe.as_ref().map(Recipe::default_scheme)
            && !scheme.is_in_mlx()
        {
            // Folders are in MLX's format, for MLX to read.
            let size = scheme.group_size();
            return Err(refused("q-group-size", size, "32, 64 or 128"));
        }
        let skipped = self.q_skip.clone();
        let quantize = recipe.map(|recipe| {
            Recipe::new(recipe.default_scheme(), move |layer, _| {
                let skip = skipped.iter().any(|text| layer.contains(text.as_str()));
                // Whether groups fill the rows is checked when the layer is packed.
                if skip { None } else { recipe.of(layer, 0) }
            })
        });
        let change = Change {
            quantize,
            dequantize: self.dequantize,
            dtype,
            ..Change::default()
        };
        Ok(ConvertOptions {
            change,
            shard_bytes: self.shard_gb.max(1) << 30,
            random: self.random,
        })
    }
}
