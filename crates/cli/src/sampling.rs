//! Owns the flags that shape how tokens are chosen and what they have to spell.

use std::path::{Path, PathBuf};

use clap::Args;
use olivine_lm::{GenerationConfig, Grammar, Sampler, SamplerOptions, Tokenizer};

use crate::error::CliError;

const SAMPLING: &str = "Sampling";
const PENALTIES: &str = "Penalties";
const OUTPUT: &str = "Structured output";

/// How tokens are chosen; what is not given is the model's own recommendation, or off.
#[derive(Debug, Clone, Args)]
pub(crate) struct SamplingArgs {
    /// Randomness: 0 always takes the likeliest token [default: the model's own]
    #[arg(long, value_name = "T", allow_negative_numbers = true, help_heading = SAMPLING)]
    temp: Option<f32>,

    /// Sample among the K likeliest tokens; 0 means all [default: the model's own]
    #[arg(long, value_name = "K", help_heading = SAMPLING)]
    top_k: Option<usize>,

    /// Sample among the likeliest tokens that make up this probability [default: the model's own]
    #[arg(long, value_name = "P", allow_negative_numbers = true, help_heading = SAMPLING)]
    top_p: Option<f32>,

    /// Leave out tokens less likely than P times the likeliest [default: the model's own]
    #[arg(long, value_name = "P", allow_negative_numbers = true, help_heading = SAMPLING)]
    min_p: Option<f32>,

    /// Sample among tokens about as surprising as expected that make up this probability
    #[arg(long, value_name = "P", allow_negative_numbers = true, help_heading = SAMPLING)]
    typical_p: Option<f32>,

    /// How often the likeliest tokens are excluded, for variety
    #[arg(long, value_name = "P", allow_negative_numbers = true, help_heading = SAMPLING)]
    xtc_probability: Option<f32>,

    /// Tokens above this probability are excluded then, but for the least likely [default: 0.1]
    #[arg(long, value_name = "P", allow_negative_numbers = true, help_heading = SAMPLING)]
    xtc_threshold: Option<f32>,

    /// Steer the surprise of tokens to this many bits (Mirostat 2), instead of the filters above
    #[arg(long, value_name = "BITS", allow_negative_numbers = true, help_heading = SAMPLING)]
    mirostat_tau: Option<f32>,

    /// How fast Mirostat learns [default: 0.1]
    #[arg(long, value_name = "RATE", allow_negative_numbers = true, help_heading = SAMPLING)]
    mirostat_eta: Option<f32>,

    /// Make sampling repeatable
    #[arg(long, value_name = "N", help_heading = SAMPLING)]
    seed: Option<u64>,

    /// Report the N likeliest tokens beside each chosen one, at most 20
    #[arg(long, value_name = "N", help_heading = SAMPLING)]
    logprobs: Option<usize>,

    /// Divide the scores of recent tokens by this; 1 is off
    #[arg(long, value_name = "X", allow_negative_numbers = true, help_heading = PENALTIES)]
    repetition_penalty: Option<f32>,

    /// How many tokens are recent for the three penalties; 0 means all [default: 20]
    #[arg(long, value_name = "N", help_heading = PENALTIES)]
    repetition_context_size: Option<usize>,

    /// Subtract this from the scores of recent tokens
    #[arg(long, value_name = "X", allow_negative_numbers = true, help_heading = PENALTIES)]
    presence_penalty: Option<f32>,

    /// Subtract this for each time a recent token occurs
    #[arg(long, value_name = "X", allow_negative_numbers = true, help_heading = PENALTIES)]
    frequency_penalty: Option<f32>,

    /// Weight of the penalty on going on with a repetition (DRY); 0.8 is common
    #[arg(long, value_name = "X", allow_negative_numbers = true, help_heading = PENALTIES)]
    dry_multiplier: Option<f32>,

    /// How fast that penalty grows with the repetition [default: 1.75]
    #[arg(long, value_name = "X", allow_negative_numbers = true, help_heading = PENALTIES)]
    dry_base: Option<f32>,

    /// The shortest repetition that is penalised [default: 2]
    #[arg(long, value_name = "N", help_heading = PENALTIES)]
    dry_allowed_length: Option<usize>,

    /// How many tokens are searched for repetitions; 0 means all
    #[arg(long, value_name = "N", help_heading = PENALTIES)]
    dry_range: Option<usize>,

    /// A text that repetitions do not reach across; repeatable [default: line ends, `:`, `"`, `*`]
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, help_heading = PENALTIES)]
    dry_sequence_breaker: Vec<String>,

    /// Add V to the score of token ID; repeatable
    #[arg(long, value_name = "ID=V", value_parser = bias, help_heading = PENALTIES)]
    logit_bias: Vec<(u32, f32)>,

    /// Write JSON that fits this schema: a file, or the schema itself
    #[arg(long, value_name = "FILE|TEXT", help_heading = OUTPUT)]
    #[arg(conflicts_with_all = ["regex", "grammar"])]
    json_schema: Option<String>,

    /// Write a text that this regular expression matches
    #[arg(long, value_name = "REGEX", allow_hyphen_values = true, help_heading = OUTPUT)]
    #[arg(conflicts_with = "grammar")]
    regex: Option<String>,

    /// Write a text of this grammar: llama.cpp's GBNF, or Lark in a file that ends in .lark
    #[arg(long, value_name = "FILE", help_heading = OUTPUT)]
    grammar: Option<PathBuf>,

    /// Stop before this text; repeatable
    #[arg(long, value_name = "STRING", allow_hyphen_values = true, help_heading = OUTPUT)]
    stop: Vec<String>,
}

impl SamplingArgs {
    /// The options asked for, filled up with the publisher's recommendations.
    pub(crate) fn options(
        &self,
        recommended: &GenerationConfig,
    ) -> Result<SamplerOptions, CliError> {
        let base = recommended.sampler_options();
        let recent = self.repetition_context_size;
        let options = SamplerOptions {
            temperature: self.temp.unwrap_or(base.temperature),
            top_k: self.top_k.unwrap_or(base.top_k),
            top_p: self.top_p.unwrap_or(base.top_p),
            min_p: self.min_p.unwrap_or(base.min_p),
            typical_p: self.typical_p.unwrap_or(base.typical_p),
            xtc_probability: self.xtc_probability.unwrap_or(base.xtc_probability),
            xtc_threshold: self.xtc_threshold.unwrap_or(base.xtc_threshold),
            dry_multiplier: self.dry_multiplier.unwrap_or(base.dry_multiplier),
            dry_base: self.dry_base.unwrap_or(base.dry_base),
            dry_allowed_length: self.dry_allowed_length.unwrap_or(base.dry_allowed_length),
            dry_range: self.dry_range.unwrap_or(base.dry_range),
            dry_sequence_breakers: match self.dry_sequence_breaker.as_slice() {
                [] => base.dry_sequence_breakers,
                breakers => breakers.to_vec(),
            },
            repetition_penalty: self.repetition_penalty.unwrap_or(base.repetition_penalty),
            repetition_context_size: recent.unwrap_or(base.repetition_context_size),
            presence_penalty: self.presence_penalty.unwrap_or(base.presence_penalty),
            presence_context_size: recent.unwrap_or(base.presence_context_size),
            frequency_penalty: self.frequency_penalty.unwrap_or(base.frequency_penalty),
            frequency_context_size: recent.unwrap_or(base.frequency_context_size),
            logit_bias: self.logit_bias.iter().copied().collect(),
            mirostat_tau: self.mirostat_tau.unwrap_or(base.mirostat_tau),
            mirostat_eta: self.mirostat_eta.unwrap_or(base.mirostat_eta),
            seed: self.seed,
            logprobs: self.logprobs.unwrap_or(base.logprobs),
        };
        Ok(options.validate()?)
    }

    /// A sampler with the given options that keeps to the grammar asked for.
    pub(crate) fn sampler(
        &self,
        options: SamplerOptions,
        tokenizer: &Tokenizer,
    ) -> Result<Sampler, CliError> {
        let sampler = Sampler::with_tokenizer(options, tokenizer)?;
        Ok(match self.grammar()? {
            Some(grammar) => sampler.with_grammar(grammar.matcher(tokenizer)?),
            None => sampler,
        })
    }

    /// What the text has to fit, if anything.
    pub(crate) fn grammar(&self) -> Result<Option<Grammar>, CliError> {
        if let Some(schema) = &self.json_schema {
            let given = schema.trim_start().starts_with(['{', '['])
                || ["true", "false"].contains(&schema.trim());
            let text = if given {
                schema.clone()
            } else {
                read(Path::new(schema))?
            };
            return Ok(Some(Grammar::json_schema(&text)?));
        }
        if let Some(regex) = &self.regex {
            return Ok(Some(Grammar::regex(regex)?));
        }
        let Some(path) = &self.grammar else {
            return Ok(None);
        };
        let text = read(path)?;
        let lark = path
            .extension()
            .is_some_and(|extension| extension == "lark");
        Ok(Some(if lark {
            Grammar::lark(&text)
        } else {
            Grammar::gbnf(&text)?
        }))
    }

    /// The texts to stop before.
    pub(crate) fn stop(&self) -> &[String] {
        &self.stop
    }
}

fn read(path: &Path) -> Result<String, CliError> {
    std::fs::read_to_string(path).map_err(|source| CliError::ReadFile {
        path: path.to_owned(),
        source,
    })
}

fn bias(text: &str) -> Result<(u32, f32), String> {
    let (token, bias) = text
        .split_once('=')
        .ok_or("write it as ID=V, such as 50256=-100")?;
    let token = token
        .trim()
        .parse()
        .map_err(|_| format!("`{token}` is no token id"))?;
    let bias = bias
        .trim()
        .parse()
        .map_err(|_| format!("`{bias}` is no number"))?;
    Ok((token, bias))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Harness {
        #[command(flatten)]
        sampling: SamplingArgs,
    }

    fn parse(arguments: &[&str]) -> Result<SamplingArgs, clap::Error> {
        let arguments = ["x"].iter().chain(arguments);
        Ok(Harness::try_parse_from(arguments)?.sampling)
    }

    #[test]
    fn every_option_of_the_sampler_has_a_flag() {
        let changed = parse(&[
            "--temp=2",
            "--top-k=3",
            "--top-p=0.5",
            "--min-p=0.25",
            "--typical-p=0.5",
            "--xtc-probability=0.5",
            "--xtc-threshold=0.25",
            "--dry-multiplier=1",
            "--dry-base=3",
            "--dry-allowed-length=5",
            "--dry-range=9",
            "--dry-sequence-breaker=;",
            "--repetition-penalty=2",
            "--repetition-context-size=7",
            "--presence-penalty=-1",
            "--frequency-penalty=1",
            "--logit-bias=3=-1.5",
            "--logit-bias=4=2",
            "--mirostat-tau=5",
            "--mirostat-eta=0.5",
            "--seed=1",
            "--logprobs=4",
        ])
        .unwrap();
        let options = changed.options(&GenerationConfig::default()).unwrap();
        assert_eq!(options.logit_bias, BTreeMap::from([(3, -1.5), (4, 2.0)]));
        let options = serde_json::to_value(options).unwrap();
        let neutral = serde_json::to_value(SamplerOptions::greedy()).unwrap();
        for (name, value) in neutral.as_object().unwrap() {
            assert_ne!(&options[name], value, "{name} has no flag");
        }
    }

    #[test]
    fn biases_are_pairs_of_numbers() {
        for wrong in ["3", "x=1", "3=x", "-1=2"] {
            assert!(parse(&["--logit-bias", wrong]).is_err(), "{wrong}");
        }
        let infinite = parse(&["--logit-bias", "3=inf"]).unwrap();
        assert!(infinite.options(&GenerationConfig::default()).is_err());
    }

    #[test]
    fn grammars_come_from_text_and_files() {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = directory.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let schema = file("schema.json", r#"{"type": "string"}"#);
        let gbnf = file("a.gbnf", "root ::= \"a\"");
        let lark = file("a.lark", "start: \"a\"");
        for arguments in [
            ["--json-schema", r#"{"type": "object"}"#],
            ["--json-schema", &schema],
            ["--regex", "-+"],
            ["--grammar", &gbnf],
            ["--grammar", &lark],
        ] {
            assert!(
                parse(&arguments).unwrap().grammar().unwrap().is_some(),
                "{arguments:?}"
            );
        }
        assert!(parse(&[]).unwrap().grammar().unwrap().is_none());
        let missing = parse(&["--grammar", "/no/such/file"]).unwrap().grammar();
        assert!(matches!(missing, Err(CliError::ReadFile { .. })));
        let bad = parse(&["--regex", "("]).unwrap().grammar();
        assert!(matches!(
            bad,
            Err(CliError::Model(olivine_lm::Error::Grammar { .. }))
        ));
        assert!(parse(&["--regex", "a", "--grammar", "b"]).is_err());
    }
}
