//! Compares every model family with logits and tokens recorded from mlx-lm.
//!
//! `crates/conformance/scripts/gen_models.py` makes the recordings. A family has a recording for
//! each `model_type` that it serves.

#[path = "recordings/noise.rs"]
mod noise;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use olivine_core::{Array, Dtype, eval, quantized::Quantization};
use olivine_cpu as _;
use olivine_io::{Metadata, save_safetensors};
use olivine_lm::{
    Cache, KvCache, LanguageModel, ModelFolder, Reach, Sequences, models, supported_model_types,
};
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
struct Recording {
    config: Value,
    seed: u64,
    tensors: BTreeMap<String, (Vec<usize>, f32, f32)>,
    prompt: Vec<u32>,
    logits: Vec<Vec<f32>>,
    greedy: Vec<u32>,
    margin: f32,
}

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../conformance/golden/models")
}

/// Every recording, by name; `FAMILY=name` chooses one.
fn recordings() -> Vec<(String, Recording)> {
    let chosen = std::env::var("FAMILY").ok();
    let mut all = Vec::new();
    for entry in std::fs::read_dir(golden()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if chosen.as_ref().is_none_or(|chosen| *chosen == name) {
            let text = std::fs::read_to_string(&path).unwrap();
            all.push((name, serde_json::from_str(&text).unwrap()));
        }
    }
    all.sort_by(|(a, _), (b, _)| a.cmp(b));
    assert!(!all.is_empty());
    all
}

impl Recording {
    /// A folder with the recorded configuration and the weights computed again.
    fn folder(&self) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let config = serde_json::to_string(&self.config).unwrap();
        std::fs::write(folder.path().join("config.json"), config).unwrap();
        let tensors: Vec<(String, Array)> = self
            .tensors
            .iter()
            .map(|(name, as_recorded)| (name.clone(), noise::tensor(name, self.seed, as_recorded)))
            .collect();
        save_safetensors(
            folder.path().join("model.safetensors"),
            tensors,
            &Metadata::new(),
        )
        .unwrap();
        folder
    }

    fn model(&self) -> Box<dyn LanguageModel> {
        let folder = self.folder();
        models::load(&ModelFolder::open(folder.path()).unwrap()).unwrap()
    }
}

fn row(tokens: &[u32]) -> Array {
    Array::from_slice(tokens, [1, tokens.len()]).unwrap()
}

/// The last logits of each sequence after `tokens`.
fn logits(model: &dyn LanguageModel, tokens: &Array, sequences: &mut Sequences<'_>) -> Array {
    let hidden = model.hidden(tokens, sequences).unwrap();
    model
        .logits(&hidden)
        .unwrap()
        .astype(Dtype::Float32)
        .unwrap()
}

fn likeliest(logits: &Array) -> u32 {
    logits
        .index((0, -1))
        .unwrap()
        .argmax(-1)
        .unwrap()
        .item::<u32>()
        .unwrap()
}

/// Greedy tokens after the prompt, fed in chunks of the given sizes.
fn greedy(
    model: &dyn LanguageModel,
    prompt: &[u32],
    caches: &mut [Cache],
    chunks: &[usize],
    count: usize,
) -> Vec<u32> {
    let mut rest = prompt;
    let mut last = None;
    let mut sizes = chunks.iter().copied().chain(std::iter::repeat(usize::MAX));
    while !rest.is_empty() {
        let (chunk, after) = rest.split_at(sizes.next().unwrap().min(rest.len()));
        last = Some(logits(model, &row(chunk), &mut Sequences::one(caches)));
        eval(caches.iter().flat_map(Cache::arrays)).unwrap();
        rest = after;
    }
    let mut tokens = vec![likeliest(&last.unwrap())];
    while tokens.len() < count {
        let last = *tokens.last().unwrap();
        tokens.push(likeliest(&logits(
            model,
            &row(&[last]),
            &mut Sequences::one(caches),
        )));
    }
    tokens
}

#[test]
fn every_model_type_has_a_recording() {
    if std::env::var("FAMILY").is_ok() {
        return;
    }
    let recorded = recordings();
    for model_type in supported_model_types() {
        let found = recorded
            .iter()
            .any(|(_, recording)| recording.config["model_type"] == model_type);
        assert!(found, "{model_type}");
    }
}

#[test]
fn logits_match_within_1e_4() {
    for (name, recording) in recordings() {
        let model = recording.model();
        let all = logits(
            &*model,
            &row(&recording.prompt),
            &mut Sequences::forgotten(),
        );
        let first = recording.prompt.len() - recording.logits.len();
        let mut largest = 0.0f32;
        for (i, expected) in recording.logits.iter().enumerate() {
            let own = all
                .index((0, (first + i) as i64))
                .unwrap()
                .to_vec::<f32>()
                .unwrap();
            assert_eq!(own.len(), expected.len(), "{name}");
            for (own, expected) in own.iter().zip(expected) {
                let difference = (own - expected).abs();
                assert!(difference < 1e-4, "{name}: {own} against {expected}");
                largest = largest.max(difference);
            }
        }
        println!("{name}: within {largest:.1e}");
    }
}

#[test]
fn sixty_four_greedy_tokens_through_the_caches_are_the_same() {
    for (name, recording) in recordings() {
        assert!(
            recording.margin > 5e-4,
            "{name}: the choice of a token is not clear"
        );
        let model = recording.model();
        for chunks in [&[][..], &[1, 2, 5], &[20]] {
            let mut caches = model.caches();
            let own = greedy(&*model, &recording.prompt, &mut caches, chunks, 64);
            assert_eq!(own, recording.greedy, "{name}, chunks {chunks:?}");
        }
    }
}

#[test]
fn a_cache_with_a_window_that_holds_all_gives_the_same_tokens() {
    for (name, recording) in recordings() {
        let model = recording.model();
        let mut caches: Vec<Cache> = model.caches();
        let mut plain = 0;
        for cache in &mut caches {
            if let Some(kv) = cache.kv()
                && kv.reach() == Reach::All
            {
                *kv = KvCache::reaching(Reach::Window(100)).keeping(4);
                plain += 1;
            }
        }
        if plain > 0 {
            let own = greedy(&*model, &recording.prompt, &mut caches, &[], 64);
            assert_eq!(own, recording.greedy, "{name}");
        }
    }
}

#[test]
fn packed_caches_stay_close() {
    for (name, recording) in recordings() {
        let model = recording.model();
        let run = |caches: &mut [Cache]| {
            let (first, last) = recording.prompt.split_at(recording.prompt.len() - 1);
            logits(&*model, &row(first), &mut Sequences::one(caches));
            logits(&*model, &row(last), &mut Sequences::one(caches))
                .to_vec::<f32>()
                .unwrap()
        };
        let mut plain = model.caches();
        let exact = run(&mut plain);
        let mut packed = model.caches();
        let mut any = false;
        for cache in &mut packed {
            if let Some(kv) = cache.kv() {
                // Heads whose size groups of 32 do not fill stay as they are.
                let scheme = Quantization::affine(32, 8).unwrap();
                if let Ok(own) = kv.clone().quantized(scheme) {
                    *kv = own;
                    any = true;
                }
            }
        }
        let sizes = plain.iter_mut().filter_map(|cache| {
            let kv = cache.kv()?;
            Some(
                kv.arrays()
                    .all(|array| array.dim(-1).unwrap().is_multiple_of(32)),
            )
        });
        if !any || !sizes.into_iter().all(|fits| fits) {
            continue;
        }
        let spread = exact.iter().fold(0.0f32, |most, x| most.max(x.abs()));
        for (own, exact) in run(&mut packed).iter().zip(&exact) {
            assert!(
                (own - exact).abs() < 0.05 * spread,
                "{name}: {own} against {exact}"
            );
        }
    }
}

#[test]
fn batched_with_other_prompts_the_tokens_are_the_same() {
    for (name, recording) in recordings() {
        let model = recording.model();
        let others: [&[u32]; 2] = [&recording.prompt[3..5], &recording.prompt[..13]];
        let prompts = [others[0], &recording.prompt, others[1]];
        let mut caches: Vec<Vec<Cache>> = prompts.iter().map(|_| model.caches()).collect();
        let mut feed: Vec<Vec<u32>> = prompts.iter().map(|prompt| prompt.to_vec()).collect();
        let mut tokens = Vec::new();
        for _ in 0..64 {
            let lengths: Vec<usize> = feed.iter().map(Vec::len).collect();
            let rows = lengths
                .iter()
                .copied()
                .zip(caches.iter_mut().map(|caches| &mut caches[..]));
            let all = logits(&*model, &row(&feed.concat()), &mut Sequences::many(rows));
            let mut end = 0;
            for (feed, length) in feed.iter_mut().zip(lengths) {
                end += length;
                let last = all.index((.., (end - 1)..end)).unwrap();
                *feed = vec![likeliest(&last)];
            }
            tokens.push(feed[1][0]);
        }
        assert_eq!(tokens, recording.greedy, "{name}");
    }
}
