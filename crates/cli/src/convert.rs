//! Owns `olivine convert`: a model in another folder, packed, unpacked or cast.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use olivine::quantized::{Quantization, QuantizationMode};
use olivine_lm::{
    Change, ConvertOptions, MixedBits, ModelFolder, Recipe, convert, dtype_of, models,
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
      Back to plain weights, which are those of the four bits.";

/// Write a model in MLX's layout: packed into few bits, unpacked, or in another dtype.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Convert {
    /// The model: a folder, or a name on the hub
    #[arg(value_name = "MODEL")]
    source: PathBuf,

    /// The new folder, which must not exist
    #[arg(short, long, value_name = "DIR")]
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

impl Convert {
    pub(crate) fn run(&self) -> Result<Exit, CliError> {
        let interrupt = Interrupt::watch()?;
        let folder = model::open(Some(&self.source), &interrupt)?;
        let options = self.options(&folder)?;
        let style = ProgressStyle::with_template(
            "{bar:40} {bytes}/{total_bytes} {bytes_per_sec} {eta} left",
        );
        let bar = ProgressBar::new(0).with_style(style.expect("the template is well formed"));
        let made = convert(&folder, &self.out, &options, &mut |done, all| {
            bar.set_length(all);
            bar.set_position(done);
            !interrupt.pressed()
        });
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
        };
        Ok(ConvertOptions {
            change,
            shard_bytes: self.shard_gb.max(1) << 30,
            random: self.random,
        })
    }
}
