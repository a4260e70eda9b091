//! Builds every family from configurations in which one number is impossible: that may be an
//! error, but never a panic.

use std::{panic, path::Path};

use olivine_core::Array;
use olivine_cpu as _;
use olivine_lm::{LanguageModel, ModelConfig, Sequences, Weights, models};
use olivine_nn::Module;
use serde_json::{Value, json};

fn configs() -> Vec<(String, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../conformance/scripts/models");
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        all.push((name, serde_json::from_str(&text).unwrap()));
    }
    all.sort_by(|(a, _): &(String, Value), (b, _)| a.cmp(b));
    all
}

/// The places of all numbers and lists, as JSON pointers.
fn places(value: &Value, prefix: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                places(value, &format!("{prefix}/{name}"), found);
            }
        }
        Value::Number(_) | Value::Array(_) => found.push(prefix.to_owned()),
        _ => {}
    }
}

/// Builds the model and, if it is small, lets it see a few tokens.
fn attempt(config: &Value) -> Option<()> {
    const SMALL: usize = 1 << 20;
    let config = ModelConfig::parse(Path::new("config.json"), &config.to_string()).ok()?;
    let model: Box<dyn LanguageModel> = models::build(&config, &Weights::random()).ok()?;
    if model.num_parameters() > SMALL {
        return None;
    }
    let mut caches = model.caches();
    for tokens in [&[0u32, 0, 0][..], &[0]] {
        let tokens = Array::from_slice(tokens, [1, tokens.len()]).unwrap();
        let hidden = model
            .hidden(&tokens, &mut Sequences::one(&mut caches))
            .ok()?;
        model.logits(&hidden).ok()?.to_vec::<f32>().ok()?;
    }
    Some(())
}

#[test]
fn impossible_numbers_are_errors() {
    let values = [
        json!(0),
        json!(1),
        json!(3),
        json!(1 << 24),
        json!(1u64 << 40),
        json!(u64::MAX),
        json!(-1),
        json!(0.3),
        json!([]),
        json!([7]),
    ];
    let mut panics = Vec::new();
    for (name, config) in configs() {
        assert!(attempt(&config).is_some(), "{name}");
        let mut all = Vec::new();
        places(&config, "", &mut all);
        for place in all {
            // Layers without end are built without end.
            let many = place.ends_with("layers") || place.ends_with("n_layer");
            for value in &values {
                if many && value.as_u64().is_some_and(|count| count > 100) {
                    continue;
                }
                let mut other = config.clone();
                *other.pointer_mut(&place).unwrap() = value.clone();
                if panic::catch_unwind(|| attempt(&other)).is_err() {
                    panics.push(format!("{name}: {place} = {value}"));
                }
            }
        }
    }
    assert!(panics.is_empty(), "{panics:#?}");
}
