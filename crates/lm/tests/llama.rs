//! Compares the Llama family with logits and tokens recorded from mlx-lm.

use std::path::{Path, PathBuf};

use olivine_core::{Array, Dtype};
use olivine_cpu as _;
use olivine_io::load_safetensors;
use olivine_lm::{Generator, LanguageModel, ModelFolder, SamplerOptions, Sequences, models};
use olivine_nn::Module;
use serde_json::Value;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../conformance/golden")
        .join(name)
}

struct Recorded {
    prompt: Vec<u32>,
    greedy: Vec<u32>,
    expected: Value,
    folder: PathBuf,
}

impl Recorded {
    fn read(name: &str) -> Self {
        let folder = golden(name);
        let text = std::fs::read_to_string(folder.join("expected.json")).unwrap();
        let expected: Value = serde_json::from_str(&text).unwrap();
        let tokens = |field: &str| -> Vec<u32> {
            let list = expected[field].as_array().unwrap();
            list.iter().map(|id| id.as_u64().unwrap() as u32).collect()
        };
        Recorded {
            prompt: tokens("prompt"),
            greedy: tokens("greedy"),
            expected,
            folder,
        }
    }

    fn array(&self, name: &str) -> Array {
        load_safetensors(self.folder.join("expected.safetensors"))
            .unwrap()
            .array(name)
            .unwrap()
    }
}

fn prompt_logits(model: &dyn LanguageModel, prompt: &[u32]) -> Array {
    let tokens = Array::from_slice(prompt, [1, prompt.len()]).unwrap();
    let hidden = model.hidden(&tokens, &mut Sequences::forgotten()).unwrap();
    model
        .logits(&hidden)
        .unwrap()
        .astype(Dtype::Float32)
        .unwrap()
}

fn largest_difference(a: &Array, b: &Array) -> f32 {
    let b = b.reshape(a.shape()).unwrap();
    a.subtract(b)
        .unwrap()
        .abs()
        .unwrap()
        .max(..)
        .unwrap()
        .item::<f32>()
        .unwrap()
}

#[test]
fn float32_logits_match_within_1e_4() {
    let recorded = Recorded::read("llama");
    let model = models::load(&ModelFolder::open(&recorded.folder).unwrap()).unwrap();
    let logits = prompt_logits(&*model, &recorded.prompt);
    let difference = largest_difference(&logits, &recorded.array("prompt_logits"));
    assert!(difference < 1e-4, "{difference}");
}

#[test]
fn sixty_four_greedy_tokens_through_the_cache_are_the_same() {
    let recorded = Recorded::read("llama");
    let model = models::load(&ModelFolder::open(&recorded.folder).unwrap()).unwrap();
    let options = SamplerOptions::greedy();
    let generator = Generator::new(&*model, &recorded.prompt, options).unwrap();
    let tokens: Vec<u32> = generator
        .take(64)
        .map(|choice| choice.unwrap().token)
        .collect();
    assert_eq!(tokens, recorded.greedy);
}

#[test]
fn scaled_rope_biases_and_tied_embeddings_match() {
    for name in ["llama_scaled", "llama_sharded"] {
        let recorded = Recorded::read("llama_scaled");
        let folder = ModelFolder::open(golden(name)).unwrap();
        let mut model = models::load(&folder).unwrap();
        let logits = prompt_logits(&*model, &recorded.prompt);
        let rounding = recorded.expected["largest_bfloat16_error"]
            .as_f64()
            .unwrap() as f32;
        let difference = largest_difference(&logits, &recorded.array("prompt_logits"));
        // Each of two roundings may be that far from the exact logits, on either side.
        assert!(
            difference < 2.0 * rounding,
            "{name}: {difference} against {rounding}"
        );

        // The same weights without rounding on the way must agree closely.
        let wide = model
            .parameters()
            .into_iter()
            .map(|(path, weight)| (path, weight.astype(Dtype::Float32).unwrap()))
            .collect();
        model.update(&wide).unwrap();
        let logits = prompt_logits(&*model, &recorded.prompt);
        let difference = largest_difference(&logits, &recorded.array("prompt_logits_float32"));
        assert!(difference < 1e-4, "{name}: {difference}");
    }
}

#[test]
fn a_long_prompt_gives_the_same_text_whole_and_in_chunks() {
    let recorded = Recorded::read("llama");
    let model = models::load(&ModelFolder::open(&recorded.folder).unwrap()).unwrap();
    let prompt: Vec<u32> = (0..1100u32).map(|i| i * 7919 % 256).collect();
    let logits = prompt_logits(&*model, &prompt);
    let last = logits
        .index((0, -1))
        .unwrap()
        .argmax(-1)
        .unwrap()
        .item::<u32>()
        .unwrap();
    let options = SamplerOptions::greedy();
    let first = Generator::new(&*model, &prompt, options)
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    assert_eq!(first.token, last);
}

#[test]
fn weights_of_another_shape_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let source = golden("llama");
    std::fs::copy(
        source.join("model.safetensors"),
        folder.path().join("model.safetensors"),
    )
    .unwrap();
    let config = std::fs::read_to_string(source.join("config.json")).unwrap();
    let config = config.replace("\"intermediate_size\": 128", "\"intermediate_size\": 96");
    std::fs::write(folder.path().join("config.json"), config).unwrap();
    let error = models::load(&ModelFolder::open(folder.path()).unwrap())
        .err()
        .unwrap();
    let text = error.to_string();
    assert!(
        text.contains("mlp") && text.contains("128") && text.contains("96"),
        "{text}"
    );
}
