//! Owns the options of what is remembered of a text, which several subcommands share.

use clap::Args;
use olivine::quantized::Quantization;
use olivine_lm::{GeneratorOptions, ModelConfig};

use crate::error::CliError;

/// How much a model remembers of a text, and in how many bits.
#[derive(Debug, Args)]
#[command(next_help_heading = "Memory")]
pub(crate) struct KvArgs {
    /// Remember only the latest N tokens, and the first few; prompts may then be longer than the model sees
    #[arg(long, value_name = "N")]
    max_kv_size: Option<usize>,

    /// Tokens at the start that --max-kv-size does not forget
    #[arg(long, value_name = "N", default_value_t = 4)]
    keep: usize,

    /// Pack keys and values into so many bits: 2, 3, 4, 5, 6 or 8
    #[arg(long, value_name = "N")]
    kv_bits: Option<usize>,

    /// Keys and values that share a scale: 16 (not with 3 or 5 bits), 32, 64 or 128
    #[arg(long, value_name = "N", default_value_t = 64)]
    kv_group_size: usize,

    /// Pack them once the text has so many tokens
    #[arg(long, value_name = "N", default_value_t = 0)]
    quantized_kv_start: usize,

    /// Process prompts so many tokens at a time
    #[arg(long, value_name = "N", default_value_t = 512)]
    prefill_chunk: usize,
}

impl KvArgs {
    /// The options; with a model's configuration, prompts that are too long for it are refused.
    pub(crate) fn options(
        &self,
        config: Option<&ModelConfig>,
    ) -> Result<GeneratorOptions, CliError> {
        let kv_quantization = match self.kv_bits {
            Some(bits) => {
                let scheme = Quantization::affine(self.kv_group_size, bits);
                Some(scheme.map_err(olivine_lm::Error::from)?)
            }
            None => None,
        };
        Ok(GeneratorOptions {
            prefill_chunk: self.prefill_chunk,
            max_kv_size: self.max_kv_size,
            keep: self.keep,
            kv_quantization,
            quantized_kv_start: self.quantized_kv_start,
            context: config.map(ModelConfig::context).transpose()?.flatten(),
        })
    }
}
