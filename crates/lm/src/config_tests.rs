//! Owns the tests of `config.json` parsing.

use super::*;
use crate::Weights;

const TINY: &str = r#"{
    "model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
    "intermediate_size": 128, "vocab_size": 1000
}"#;

fn parse(text: &str) -> Result<ModelConfig> {
    ModelConfig::parse(Path::new("m/config.json"), text)
}

/// What is wrong with a configuration, when it is parsed or when its model is built.
fn mistake(text: &str) -> Error {
    let built = parse(text).and_then(|config| models::build(&config, &Weights::random()));
    built.err().expect("a mistake")
}

/// TINY with one field set to a JSON value.
fn tiny_with(field: &str, value: &str) -> String {
    let mut json: serde_json::Map<String, serde_json::Value> = serde_json::from_str(TINY).unwrap();
    json.insert(field.to_owned(), serde_json::from_str(value).unwrap());
    serde_json::to_string(&json).unwrap()
}

fn with(field: &str, value: &str) -> Result<ModelConfig> {
    parse(&tiny_with(field, value))
}

fn named_field(error: &Error) -> &str {
    match error {
        Error::Field { field, path, .. } | Error::UnsupportedSetting { field, path, .. } => {
            assert!(path.ends_with("config.json"));
            field
        }
        other => panic!("expected an error about a field, got {other}"),
    }
}

#[test]
fn absent_fields_take_the_family_defaults() {
    let config = parse(TINY).unwrap();
    assert_eq!(
        config.rope().unwrap(),
        RopeConfig {
            theta: 10_000.0,
            scaling: RopeScaling::Default
        }
    );
    assert!(config.eos_token_ids.is_empty() && config.quantization.is_none());
    let model = models::build(&config, &Weights::random()).unwrap();
    assert_eq!((model.caches().len(), model.vocab_size()), (2, 1000));
    // As many heads of keys as of queries, no biases, a table of its own for the output.
    let block = 4 * 64 * 64 + 3 * 64 * 128 + 2 * 64;
    assert_eq!(model.num_parameters(), 2 * block + 2 * 1000 * 64 + 64);
}

#[test]
fn a_full_llama_3_1_config_is_read() {
    let config = parse(
        r#"{"architectures": ["LlamaForCausalLM"], "attention_bias": false, "attention_dropout": 0.0,
        "bos_token_id": 128000, "eos_token_id": [128001, 128008, 128009], "hidden_act": "silu",
        "head_dim": 64, "hidden_size": 2048, "initializer_range": 0.02, "intermediate_size": 8192,
        "max_position_embeddings": 131072, "mlp_bias": false, "model_type": "llama",
        "num_attention_heads": 32, "num_hidden_layers": 16, "num_key_value_heads": 8,
        "pretraining_tp": 1, "rms_norm_eps": 1e-05, "rope_scaling": {"factor": 32.0,
        "high_freq_factor": 4.0, "low_freq_factor": 1.0, "original_max_position_embeddings": 8192,
        "rope_type": "llama3"}, "rope_theta": 500000.0, "tie_word_embeddings": true,
        "torch_dtype": "bfloat16", "use_cache": true, "vocab_size": 128256}"#,
    )
    .unwrap();
    assert_eq!(config.eos_token_ids, [128001, 128008, 128009]);
    assert_eq!(config.bos_token_id, Some(128000));
    assert_eq!(config.dtype.as_deref(), Some("bfloat16"));
    let scaling = RopeScaling::Llama3 {
        factor: 32.0,
        low_freq_factor: 1.0,
        high_freq_factor: 4.0,
        original_max_position_embeddings: 8192,
    };
    assert_eq!(
        config.rope().unwrap(),
        RopeConfig {
            theta: 500_000.0,
            scaling
        }
    );
    // The published size of the 1B model; nothing is computed to count.
    let model = models::build(&config, &Weights::random()).unwrap();
    assert_eq!(model.num_parameters(), 1_235_814_400);
}

#[test]
fn rope_settings_are_found_in_the_old_and_the_new_place() {
    let rope = |field, value| with(field, value).unwrap().rope().unwrap();
    let linear = |factor| RopeScaling::Linear { factor };
    assert_eq!(
        rope("rope_scaling", r#"{"type": "linear", "factor": 4}"#).scaling,
        linear(4.0)
    );
    let new = rope(
        "rope_parameters",
        r#"{"rope_type": "default", "rope_theta": 5e5}"#,
    );
    assert_eq!(
        new,
        RopeConfig {
            theta: 5e5,
            scaling: RopeScaling::Default
        }
    );
    let both = rope(
        "rope_parameters",
        r#"{"rope_type": "linear", "factor": 2.0}"#,
    );
    assert_eq!(both.scaling, linear(2.0));
    assert_eq!(rope("rope_scaling", "null").scaling, RopeScaling::Default);
}

#[test]
fn the_part_of_heads_that_turns_is_found_in_the_old_and_the_new_place() {
    let turned = |fields: &str, usual: Option<f64>| {
        let text = format!(r#"{{"model_type": "llama"{fields}}}"#);
        parse(&text).unwrap().turned(64, usual)
    };
    let old = r#", "partial_rotary_factor": 0.5"#;
    let new = r#", "rope_parameters": {"rope_type": "default", "partial_rotary_factor": 0.25}"#;
    assert_eq!(turned("", Some(1.0)).unwrap(), 64);
    assert_eq!(turned(old, None).unwrap(), 32);
    assert_eq!(turned(new, Some(1.0)).unwrap(), 16);
    assert_eq!(turned(&format!("{old}{new}"), None).unwrap(), 16);
    for (fields, usual) in [
        ("", None),
        ("", Some(2.0)),
        (r#", "partial_rotary_factor": -1"#, None),
    ] {
        let error = turned(fields, usual).unwrap_err();
        assert_eq!(named_field(&error), "partial_rotary_factor");
    }
}

#[test]
fn unsupported_settings_are_refused_by_name() {
    for (field, value, named) in [
        (
            "rope_scaling",
            r#"{"rope_type": "spiral", "factor": 4.0}"#,
            "rope_scaling.rope_type",
        ),
        ("hidden_act", r#""softmax""#, "hidden_act"),
        (
            "quantization_config",
            r#"{"quant_method": "hqq"}"#,
            "quantization_config.quant_method",
        ),
        (
            "quantization_config",
            r#"{"quant_method": "gptq", "checkpoint_format": "marlin"}"#,
            "quantization_config.checkpoint_format",
        ),
        (
            "quantization_config",
            r#"{"quant_method": "awq", "bits": 3}"#,
            "quantization_config.bits",
        ),
    ] {
        let error = mistake(&tiny_with(field, value));
        assert!(matches!(error, Error::UnsupportedSetting { .. }), "{error}");
        assert_eq!(named_field(&error), named);
    }
    for (value, named) in [
        (r#"{"bits": 7}"#, "quantization.bits"),
        (r#"{"mode": "octal"}"#, "quantization.mode"),
        (r#"{"group_size": 48}"#, "quantization.bits"),
    ] {
        assert_eq!(
            named_field(&with("quantization", value).unwrap_err()),
            named
        );
    }
    assert!(matches!(
        mistake(&tiny_with("layer_types", r#"["odd_attention"]"#)),
        Error::Field { .. }
    ));
}

#[test]
fn other_architectures_are_refused_with_the_supported_ones() {
    let error = with("model_type", r#""seq2seq""#).unwrap_err();
    assert!(matches!(&error, Error::UnsupportedArchitecture { found, .. } if found == "seq2seq"));
    let text = error.to_string();
    assert!(text.contains("llama") && text.contains("mistral"), "{text}");
}

#[test]
fn impossible_shapes_name_the_field() {
    for (field, value) in [
        ("hidden_size", "0"),
        ("hidden_size", "-64"),
        ("hidden_size", "64.5"),
        ("hidden_size", "\"64\""),
        ("hidden_size", "1e300"),
        ("hidden_size", "18446744073709551615"),
        ("num_hidden_layers", "0"),
        ("num_hidden_layers", "1000000000"),
        ("num_attention_heads", "0"),
        ("num_attention_heads", "5"),
        ("num_key_value_heads", "3"),
        ("num_key_value_heads", "0"),
        ("num_key_value_heads", "8"),
        ("head_dim", "0"),
        ("head_dim", "15"),
        ("intermediate_size", "0"),
        ("vocab_size", "0"),
        ("vocab_size", "4294967296"),
        ("vocab_size", "[]"),
        ("rms_norm_eps", "0"),
        ("rms_norm_eps", "-1e-5"),
        ("rope_theta", "0"),
        ("rope_theta", "\"big\""),
        ("max_position_embeddings", "0"),
        ("sliding_window", "0"),
        ("tie_word_embeddings", "1"),
        ("eos_token_id", "-1"),
        ("eos_token_id", "{}"),
        ("rope_scaling", "7"),
        ("torch_dtype", "16"),
    ] {
        let error = mistake(&tiny_with(field, value));
        let text = error.to_string();
        assert!(
            text.contains(field) && !text.contains('\n'),
            "{field} = {value}: {text}"
        );
    }
}

#[test]
fn sizes_beyond_any_file_are_missing_weights_not_memory() {
    let text = r#"{"model_type": "llama", "hidden_size": 16777216, "num_hidden_layers": 16777216,
        "num_attention_heads": 16777216, "head_dim": 16777216, "intermediate_size": 16777216,
        "vocab_size": 16777216}"#;
    let config = parse(text).unwrap();
    let error = models::build(&config, &Weights::new("model.safetensors", []))
        .err()
        .unwrap();
    assert!(error.to_string().contains("is missing"), "{error}");
}

#[test]
fn incomplete_rope_scaling_names_what_is_missing() {
    for (value, named) in [
        (r#"{"rope_type": "linear"}"#, "rope_scaling.factor"),
        (r#"{"factor": 2.0}"#, "rope_scaling.rope_type"),
        (
            r#"{"rope_type": "llama3", "factor": 8, "low_freq_factor": 1, "high_freq_factor": 4}"#,
            "rope_scaling.original_max_position_embeddings",
        ),
        (
            r#"{"rope_type": "llama3", "factor": 8, "low_freq_factor": 4, "high_freq_factor": 4}"#,
            "rope_scaling.high_freq_factor",
        ),
        (
            r#"{"rope_type": "linear", "factor": 0}"#,
            "rope_scaling.factor",
        ),
    ] {
        assert_eq!(
            named_field(&with("rope_scaling", value).unwrap().rope().unwrap_err()),
            named
        );
    }
}

#[test]
fn every_required_field_is_missed_by_name() {
    let json: serde_json::Map<String, serde_json::Value> = serde_json::from_str(TINY).unwrap();
    for field in json.keys() {
        let mut less = json.clone();
        less.remove(field);
        let error = mistake(&serde_json::to_string(&less).unwrap());
        assert_eq!(named_field(&error), field);
        assert!(error.to_string().contains("is missing"), "{error}");
    }
}

#[test]
fn every_truncation_is_a_json_error() {
    for end in 0..TINY.len() {
        let error = parse(&TINY[..end]).unwrap_err();
        assert!(matches!(error, Error::Json { .. }), "{end}: {error}");
    }
}

#[test]
fn json_that_is_not_an_object_or_too_deep_is_refused() {
    for text in ["[]", "3", "\"llama\"", "null", "true"] {
        assert!(matches!(parse(text).unwrap_err(), Error::Field { .. }));
    }
    let deep = format!("{{\"a\": {}", "[".repeat(100_000));
    assert!(matches!(parse(&deep).unwrap_err(), Error::Json { .. }));
}
