//! Owns the tests of `config.json` parsing.

use super::*;

const TINY: &str = r#"{
    "model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
    "intermediate_size": 128, "vocab_size": 1000
}"#;

fn parse(text: &str) -> Result<ModelConfig> {
    ModelConfig::parse(Path::new("m/config.json"), text)
}

/// TINY with one field set to a JSON value.
fn with(field: &str, value: &str) -> Result<ModelConfig> {
    let mut json: serde_json::Map<String, serde_json::Value> = serde_json::from_str(TINY).unwrap();
    json.insert(field.to_owned(), serde_json::from_str(value).unwrap());
    parse(&serde_json::to_string(&json).unwrap())
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
    assert_eq!(config.num_key_value_heads, 4);
    assert_eq!(config.head_dim, 16);
    assert_eq!(config.rms_norm_eps, 1e-6);
    assert_eq!(config.rope_theta, 10_000.0);
    assert_eq!(config.rope_scaling, RopeScaling::Default);
    assert!(!config.tie_word_embeddings && !config.attention_bias && !config.mlp_bias);
    assert_eq!(config.sliding_window, None);
    assert!(config.eos_token_ids.is_empty());
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
    assert_eq!(
        config.rope_scaling,
        RopeScaling::Llama3 {
            factor: 32.0,
            low_freq_factor: 1.0,
            high_freq_factor: 4.0,
            original_max_position_embeddings: 8192
        }
    );
    // The published size of the 1B model.
    assert_eq!(config.parameter_count(), 1_235_814_400);
}

#[test]
fn mistral_with_a_sliding_window_is_read() {
    let json = TINY.replace("llama", "mistral").replace(
        "\"vocab_size\"",
        "\"sliding_window\": 4096, \"num_key_value_heads\": 2, \"head_dim\": 32, \"vocab_size\"",
    );
    let config = parse(&json).unwrap();
    assert_eq!(config.sliding_window, Some(4096));
    assert_eq!((config.num_key_value_heads, config.head_dim), (2, 32));
}

#[test]
fn rope_settings_are_found_in_the_old_and_the_new_place() {
    let old = with("rope_scaling", r#"{"type": "linear", "factor": 4}"#).unwrap();
    assert_eq!(old.rope_scaling, RopeScaling::Linear { factor: 4.0 });
    let new = with(
        "rope_parameters",
        r#"{"rope_type": "default", "rope_theta": 5e5}"#,
    )
    .unwrap();
    assert_eq!(new.rope_theta, 5e5);
    assert_eq!(new.rope_scaling, RopeScaling::Default);
    let both = with(
        "rope_parameters",
        r#"{"rope_type": "linear", "factor": 2.0}"#,
    )
    .unwrap();
    assert_eq!(both.rope_scaling, RopeScaling::Linear { factor: 2.0 });
    assert_eq!(
        with("rope_scaling", "null").unwrap().rope_scaling,
        RopeScaling::Default
    );
}

#[test]
fn unsupported_settings_are_refused_by_name() {
    for (field, value, named) in [
        (
            "rope_scaling",
            r#"{"rope_type": "yarn", "factor": 4.0}"#,
            "rope_scaling.rope_type",
        ),
        (
            "rope_scaling",
            r#"{"type": "dynamic", "factor": 4.0}"#,
            "rope_scaling.type",
        ),
        ("hidden_act", r#""gelu""#, "hidden_act"),
        (
            "quantization",
            r#"{"group_size": 64, "bits": 4}"#,
            "quantization",
        ),
        (
            "quantization_config",
            r#"{"quant_method": "awq"}"#,
            "quantization_config",
        ),
        (
            "layer_types",
            r#"["full_attention", "sliding_attention"]"#,
            "layer_types",
        ),
    ] {
        let error = with(field, value).unwrap_err();
        assert!(matches!(error, Error::UnsupportedSetting { .. }), "{error}");
        assert_eq!(named_field(&error), named);
    }
}

#[test]
fn other_architectures_are_refused_with_the_supported_ones() {
    let error = with("model_type", r#""mamba2""#).unwrap_err();
    assert!(matches!(&error, Error::UnsupportedArchitecture { found, .. } if found == "mamba2"));
    let text = error.to_string();
    assert!(text.contains("llama, mistral"), "{text}");
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
        let error = with(field, value).unwrap_err();
        assert_eq!(named_field(&error), field, "{field} = {value}");
        assert!(!error.to_string().contains('\n'));
    }
}

#[test]
fn widths_that_only_together_are_absurd_are_refused() {
    let text = r#"{"model_type": "llama", "hidden_size": 1048576, "num_hidden_layers": 4096,
        "num_attention_heads": 1048576, "head_dim": 1048576, "intermediate_size": 1048576,
        "vocab_size": 16777216}"#;
    let error = parse(text).unwrap_err();
    assert!(error.to_string().contains("parameters"), "{error}");
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
            named_field(&with("rope_scaling", value).unwrap_err()),
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
        let error = parse(&serde_json::to_string(&less).unwrap()).unwrap_err();
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
