//! Owns the tests of embeddings: encoders against recordings of transformers, and modules.

#[path = "../../tests/recordings/noise.rs"]
mod noise;

use std::{collections::BTreeMap, path::Path};

use serde::Deserialize;
use serde_json::Value;

use super::*;
use crate::ModelConfig;

#[derive(Deserialize)]
struct Recording {
    config: Value,
    tensors: BTreeMap<String, (Vec<usize>, f32, f32)>,
    texts: Vec<Vec<u32>>,
    vectors: Vec<Vec<f32>>,
}

fn encoder(recording: &Recording, prefix: &str) -> Result<bert::Bert> {
    let config = ModelConfig::parse("config.json".as_ref(), &recording.config.to_string())?;
    let tensors = recording.tensors.iter().map(|(name, as_recorded)| {
        (
            format!("{prefix}{name}"),
            noise::tensor(name, 0, as_recorded),
        )
    });
    bert::Bert::new(&config, &Weights::new("model.safetensors", tensors))
}

fn recording(name: &str) -> Recording {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../conformance/golden/embed");
    serde_json::from_str(&std::fs::read_to_string(golden.join(name)).unwrap()).unwrap()
}

#[test]
fn encoders_give_the_vectors_of_transformers_for_texts_of_all_lengths_at_once() {
    for (name, prefix) in [
        ("bert.json", ""),
        ("bert.json", "bert."),
        ("xlm-roberta.json", "roberta."),
    ] {
        let recording = recording(name);
        let encoder = encoder(&recording, prefix).unwrap();
        let all: Vec<u32> = recording.texts.concat();
        let lengths: Vec<usize> = recording.texts.iter().map(Vec::len).collect();
        let tokens = Array::from_slice(&all, [1, all.len()]).unwrap();
        let own = encoder
            .encode(&tokens, &lengths)
            .unwrap()
            .to_vec::<f32>()
            .unwrap();
        let expected = recording.vectors.concat();
        assert_eq!(own.len(), expected.len());
        for (own, expected) in own.iter().zip(&expected) {
            assert!(
                (own - expected).abs() < 1e-4,
                "{name}: {own} against {expected}"
            );
        }
    }
}

#[test]
fn impossible_encoders_are_refused() {
    for (field, value) in [
        ("num_attention_heads", "5"),
        ("max_position_embeddings", "1"),
        ("position_embedding_type", "\"relative_key\""),
        ("hidden_act", "\"cube\""),
        ("hidden_size", "64"),
    ] {
        let mut recording = recording("xlm-roberta.json");
        recording.config[field] = serde_json::from_str(value).unwrap();
        let error = encoder(&recording, "").err().expect(field);
        assert!(!error.to_string().contains('\n'), "{error}");
    }
}

fn modules(text: &str, pooling: &str) -> Result<SentenceModules> {
    let list = Object::parse("modules.json".as_ref(), text)?;
    sentence_modules(&list, &|name| {
        assert_eq!(name, "1_Pooling/config.json");
        Object::parse("1_Pooling/config.json".as_ref(), pooling).map(Some)
    })
}

#[test]
fn modules_say_how_to_pool_and_normalize() {
    let list = r#"{"0": {"path": "", "type": "sentence_transformers.models.Transformer"},
        "1": {"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
        "2": {"path": "2_Normalize", "type": "sentence_transformers.models.Normalize"}}"#;
    let read = modules(
        list,
        r#"{"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false}"#,
    );
    let read = read.unwrap();
    assert_eq!((read.pooling, read.normalize), (Some(Pooling::First), true));
    let both = r#"{"pooling_mode_cls_token": true, "pooling_mode_max_tokens": true}"#;
    assert!(modules(list, both).is_err());
    assert!(modules(list, "{}").is_err());
    assert!(modules(&list.replace("1_Pooling\"", "../Pooling\""), "{}").is_err());
    assert!(modules(&list.replace("models.Normalize", "models.Dense"), both).is_err());
    assert!(modules(r#"{"0": 3}"#, "{}").is_err());
}
