//! Owns the tests of choosing tokens: each filter, the order, distributions, and hostile logits.

use std::collections::{BTreeMap, HashMap};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng as _};

use super::*;
use crate::test_tokenizers::byte_level;

const LOGITS: [f32; 5] = [0.5, 3.0, 1.0, 2.5, -1.0];

fn hot() -> SamplerOptions {
    SamplerOptions {
        temperature: 1.0,
        seed: Some(7),
        ..SamplerOptions::greedy()
    }
}

/// The tokens that are left to draw from, with their probabilities.
fn left(options: SamplerOptions, logits: &[f32]) -> Vec<(u32, f32)> {
    Sampler::new(options)
        .unwrap()
        .distribution(logits, &[])
        .unwrap()
}

fn tokens(options: SamplerOptions, logits: &[f32]) -> Vec<u32> {
    left(options, logits)
        .into_iter()
        .map(|(token, _)| token)
        .collect()
}

fn logs(probabilities: &[f32]) -> Vec<f32> {
    probabilities.iter().map(|p| p.ln()).collect()
}

/// Logits like a model's: a few likely tokens and a long tail.
fn vocabulary(size: usize, seed: u64) -> Vec<f32> {
    let mut random = StdRng::seed_from_u64(seed);
    (0..size)
        .map(|_| {
            let spread: f32 = (0..12).map(|_| random.random::<f32>()).sum::<f32>() - 6.0;
            2.5 * spread
        })
        .collect()
}

/// Ids by falling logit.
fn sorted(logits: &[f32]) -> Vec<u32> {
    let mut ids: Vec<u32> = (0..logits.len() as u32).collect();
    ids.sort_by(|&a, &b| logits[b as usize].total_cmp(&logits[a as usize]));
    ids
}

fn softmax(logits: &[f32]) -> Vec<f64> {
    let weights: Vec<f64> = logits.iter().map(|&l| f64::from(l).exp()).collect();
    let total: f64 = weights.iter().sum();
    weights.into_iter().map(|weight| weight / total).collect()
}

#[test]
fn greedy_takes_the_first_of_the_likeliest() {
    let mut sampler = Sampler::new(SamplerOptions::greedy()).unwrap();
    assert_eq!(sampler.sample(&LOGITS, &[]).unwrap().token, 1);
    assert_eq!(sampler.sample(&[1.0, 2.0, 2.0], &[]).unwrap().token, 1);
}

#[test]
fn draws_follow_the_probabilities() {
    for temperature in [0.5, 1.0, 2.0] {
        let mut sampler = Sampler::new(SamplerOptions {
            temperature,
            ..hot()
        })
        .unwrap();
        let mut counts = [0u32; 5];
        for _ in 0..40_000 {
            counts[sampler.sample(&LOGITS, &[]).unwrap().token as usize] += 1;
        }
        let expected = softmax(&LOGITS.map(|l| l / temperature));
        for (count, p) in counts.into_iter().zip(expected) {
            let mean = 40_000.0 * p;
            // Five standard deviations.
            assert!(
                (f64::from(count) - mean).abs() < 5.0 * (mean * (1.0 - p)).sqrt() + 1.0,
                "{counts:?}"
            );
        }
    }
}

#[test]
fn draws_reach_every_block_of_a_large_vocabulary() {
    let mut sampler = Sampler::new(hot()).unwrap();
    let logits = vec![0.0; 10_000];
    let mut counts = [0u32; 10];
    for _ in 0..5000 {
        counts[sampler.sample(&logits, &[]).unwrap().token as usize / 1000] += 1;
    }
    assert!(
        counts.iter().all(|&count| (380..620).contains(&count)),
        "{counts:?}"
    );
}

#[test]
fn top_k_keeps_exactly_k() {
    assert_eq!(
        tokens(SamplerOptions { top_k: 2, ..hot() }, &LOGITS),
        [1, 3]
    );
    assert_eq!(
        tokens(SamplerOptions { top_k: 9, ..hot() }, &LOGITS).len(),
        5
    );
    let ties = [1.0, 2.0, 1.0, 2.0, 1.0];
    assert_eq!(
        tokens(SamplerOptions { top_k: 3, ..hot() }, &ties),
        [0, 1, 3]
    );
    let logits = vocabulary(50_000, 1);
    for top_k in [2, 40, 1000, 40_000] {
        let mut expected = sorted(&logits)[..top_k].to_vec();
        expected.sort_unstable();
        assert_eq!(tokens(SamplerOptions { top_k, ..hot() }, &logits), expected);
    }
}

#[test]
fn top_p_keeps_the_fewest_that_reach_it() {
    assert_eq!(
        tokens(
            SamplerOptions {
                top_p: 0.6,
                ..hot()
            },
            &LOGITS
        ),
        [1, 3]
    );
    assert_eq!(
        tokens(
            SamplerOptions {
                top_p: 0.01,
                ..hot()
            },
            &LOGITS
        ),
        [1]
    );
    for (size, scale) in [(3000, 1.0), (50_000, 1.0), (50_000, 0.02), (50_000, 5.0)] {
        let logits: Vec<f32> = vocabulary(size, 2).into_iter().map(|l| l * scale).collect();
        let (order, p) = (sorted(&logits), softmax(&logits));
        for top_p in [0.1, 0.5, 0.9, 0.99, 0.9999] {
            let found = tokens(SamplerOptions { top_p, ..hot() }, &logits);
            let mass: f64 = found.iter().map(|&token| p[token as usize]).sum();
            let least = found
                .iter()
                .map(|&token| p[token as usize])
                .fold(1.0, f64::min);
            let mut first = order[..found.len()].to_vec();
            first.sort_unstable();
            assert_eq!(found, first);
            // What is left reaches the share, and does not without its last token.
            let share = f64::from(top_p);
            assert!(
                mass > share - 1e-5 && mass - least < share + 1e-5,
                "{size} {scale} {top_p}: {mass}"
            );
        }
    }
}

#[test]
fn min_p_is_relative_to_the_likeliest() {
    assert_eq!(
        tokens(
            SamplerOptions {
                min_p: 0.5,
                ..hot()
            },
            &LOGITS
        ),
        [1, 3]
    );
    assert_eq!(
        tokens(
            SamplerOptions {
                min_p: 1.0,
                ..hot()
            },
            &LOGITS
        ),
        [1]
    );
}

#[test]
fn typical_keeps_what_is_as_surprising_as_expected() {
    // The entropy is 1.5 bits, so the tokens of 2 bits and 1 bit are equally close to it.
    let logits = logs(&[0.5, 0.25, 0.25]);
    assert_eq!(
        tokens(
            SamplerOptions {
                typical_p: 0.2,
                ..hot()
            },
            &logits
        )
        .len(),
        3
    );
    // Here that of the likeliest token is far from it, and so is that of the least likely.
    let logits = logs(&[0.4, 0.15, 0.15, 0.15, 0.14, 0.01]);
    assert_eq!(
        tokens(
            SamplerOptions {
                typical_p: 0.3,
                ..hot()
            },
            &logits
        ),
        [1, 2, 3]
    );
}

#[test]
fn xtc_leaves_the_least_likely_of_the_top_choices() {
    let logits = logs(&[0.45, 0.3, 0.2, 0.05]);
    let always = SamplerOptions {
        xtc_probability: 1.0,
        ..hot()
    };
    assert_eq!(tokens(always.clone(), &logits), [2, 3]);
    // One choice above the threshold is no choice.
    let one = SamplerOptions {
        xtc_threshold: 0.4,
        ..always.clone()
    };
    assert_eq!(tokens(one, &logits).len(), 4);
    // Special tokens are never excluded.
    let mut sampler = Sampler::new(always).unwrap();
    sampler.special.insert(0);
    let found: Vec<u32> = sampler
        .distribution(&logits, &[])
        .unwrap()
        .iter()
        .map(|t| t.0)
        .collect();
    assert_eq!(found, [0, 2, 3]);
    let mut half = Sampler::new(SamplerOptions {
        xtc_probability: 0.5,
        ..hot()
    })
    .unwrap();
    let full = (0..1000)
        .filter(|_| half.distribution(&logits, &[]).unwrap().len() == 4)
        .count();
    assert!((400..600).contains(&full), "{full}");
}

#[test]
fn filters_judge_probabilities_before_the_temperature() {
    // Heated by 3, two tokens would not reach 0.6 of the probability.
    let options = SamplerOptions {
        temperature: 3.0,
        top_p: 0.6,
        ..hot()
    };
    let found = left(options, &LOGITS);
    assert_eq!(found.iter().map(|t| t.0).collect::<Vec<_>>(), [1, 3]);
    let ratio = f64::from(found[0].1) / f64::from(found[1].1);
    assert!((ratio - (0.5f64 / 3.0).exp()).abs() < 1e-5);
}

#[test]
fn top_k_comes_after_top_p_and_xtc() {
    let logits = logs(&[0.45, 0.3, 0.2, 0.05]);
    let options = SamplerOptions {
        xtc_probability: 1.0,
        top_k: 1,
        ..hot()
    };
    assert_eq!(tokens(options, &logits), [2]);
}

#[test]
fn penalties_are_those_of_mlx_lm() {
    let chosen = |options: &str, logits: &[f32], history: &[u32]| {
        let options: SamplerOptions = serde_json::from_str(options).unwrap();
        Sampler::new(options)
            .unwrap()
            .sample(logits, history)
            .unwrap()
            .token
    };
    let logits = [1.0, 0.9, 0.8, -0.5, -0.6];
    // Once is as often as twice, and signs matter.
    assert_eq!(
        chosen(r#"{"repetition_penalty": 1.2}"#, &logits, &[0, 0, 0]),
        1
    );
    assert_eq!(
        chosen(r#"{"repetition_penalty": 1.2}"#, &[-0.5, -0.55], &[0]),
        1
    );
    assert_eq!(
        chosen(r#"{"presence_penalty": 0.15}"#, &logits, &[0, 1, 1]),
        0
    );
    assert_eq!(
        chosen(r#"{"frequency_penalty": 0.15}"#, &logits, &[0, 1, 1, 0]),
        2
    );
    assert_eq!(
        chosen(r#"{"frequency_penalty": 0.15}"#, &logits, &[0, 1]),
        0
    );
    // Only recent tokens count.
    assert_eq!(
        chosen(
            r#"{"presence_penalty": 9, "presence_context_size": 2}"#,
            &logits,
            &[0, 4, 4]
        ),
        0
    );
    assert_eq!(
        chosen(
            r#"{"presence_penalty": 9, "presence_context_size": 0}"#,
            &logits,
            &[0, 4, 4]
        ),
        1
    );
    assert_eq!(
        chosen(r#"{"logit_bias": {"4": 2, "99": 50}}"#, &logits, &[]),
        4
    );
    // Tokens from outside the vocabulary are no reason to fail.
    assert_eq!(
        chosen(
            r#"{"repetition_penalty": 2, "frequency_penalty": 1}"#,
            &logits,
            &[77]
        ),
        0
    );
}

#[test]
fn dry_lowers_what_would_go_on_repeating() {
    let options = SamplerOptions {
        dry_multiplier: 1.0,
        dry_sequence_breakers: Vec::new(),
        ..SamplerOptions::greedy()
    };
    let mut sampler = Sampler::new(options.clone()).unwrap();
    // `1 2 3` was followed by 4 before.
    let history = [1, 2, 3, 4, 0, 1, 2, 3];
    let logits = [0.0, 0.0, 0.0, 0.5, 1.0];
    assert_eq!(sampler.sample(&logits, &history).unwrap().token, 3);
    // A repetition of one token is allowed.
    assert_eq!(sampler.sample(&logits, &[3, 4, 0, 3]).unwrap().token, 4);
    // The penalty is 1.75 for one token more than the allowed length of 2.
    let logits = [0.0, 0.0, 0.0, 0.5, 2.2];
    assert_eq!(sampler.sample(&logits, &history).unwrap().token, 3);
    let logits = [0.0, 0.0, 0.0, 0.5, 2.3];
    assert_eq!(sampler.sample(&logits, &history).unwrap().token, 4);
    let mut short = Sampler::new(SamplerOptions {
        dry_range: 4,
        ..options
    })
    .unwrap();
    assert_eq!(
        short
            .sample(&[0.0, 0.0, 0.0, 0.5, 1.0], &history)
            .unwrap()
            .token,
        4
    );
}

#[test]
fn dry_breakers_are_found_by_the_tokenizer() {
    let tokenizer = byte_level();
    let options = SamplerOptions {
        dry_multiplier: 1.0,
        ..SamplerOptions::greedy()
    };
    assert!(matches!(
        Sampler::new(options.clone()),
        Err(Error::SamplerOption {
            option: "dry_sequence_breakers",
            ..
        })
    ));
    let sampler = Sampler::with_tokenizer(options, &tokenizer).unwrap();
    for text in ["\n", ":", "\"", "*"] {
        let token = tokenizer.encode(text).unwrap()[0];
        assert!(sampler.breakers.contains(&token), "{text:?}");
    }
    assert!(
        !sampler
            .breakers
            .contains(&tokenizer.encode("a").unwrap()[0])
    );
}

#[test]
fn mirostat_steers_to_its_surprise() {
    let logits = vocabulary(20_000, 3);
    let p = softmax(&logits);
    for tau in [6.0, 8.0] {
        let options = SamplerOptions {
            mirostat_tau: tau,
            ..hot()
        };
        let mut sampler = Sampler::new(options).unwrap();
        let mut sum = 0.0;
        for step in 0..1500 {
            let token = sampler.sample(&logits, &[]).unwrap().token;
            if step >= 500 {
                sum -= p[token as usize].log2();
            }
        }
        let mean = sum / 1000.0;
        assert!((mean - f64::from(tau)).abs() < 0.3, "{tau}: {mean}");
    }
}

#[test]
fn logprobs_are_the_models_own() {
    let options = SamplerOptions {
        logprobs: 3,
        top_k: 2,
        temperature: 5.0,
        logit_bias: BTreeMap::from([(1, -50.0)]),
        ..hot()
    };
    let choice = Sampler::new(options)
        .unwrap()
        .sample(&LOGITS, &[1])
        .unwrap();
    let p = softmax(&LOGITS);
    assert!((f64::from(choice.logprob) - p[choice.token as usize].ln()).abs() < 1e-5);
    let ids: Vec<u32> = choice.top.iter().map(|&(token, _)| token).collect();
    assert_eq!(ids, [1, 3, 2]);
    for (token, logprob) in choice.top {
        assert!((f64::from(logprob) - p[token as usize].ln()).abs() < 1e-5);
    }
}

#[test]
fn nan_is_impossible_and_infinity_is_certain() {
    let (nan, inf) = (f32::NAN, f32::INFINITY);
    for options in [
        SamplerOptions::greedy(),
        hot(),
        SamplerOptions {
            top_p: 0.5,
            min_p: 0.1,
            ..hot()
        },
    ] {
        let mut sampler = Sampler::new(options).unwrap();
        assert_eq!(sampler.sample(&[nan, 1.0, nan], &[]).unwrap().token, 1);
        let choice = sampler.sample(&[5.0, inf, nan, -inf], &[]).unwrap();
        assert_eq!((choice.token, choice.logprob), (1, 0.0));
        let two = sampler.sample(&[inf, 0.0, inf], &[]).unwrap();
        assert!(two.token != 1 && (two.logprob - 0.5f32.ln()).abs() < 1e-6);
        for hopeless in [vec![], vec![nan], vec![-inf; 3], vec![nan, -inf]] {
            let error = sampler.sample(&hopeless, &[]).unwrap_err();
            assert!(matches!(error, Error::NoPossibleToken { .. }), "{error}");
        }
        // As far apart as floats can be.
        assert_eq!(sampler.sample(&[f32::MIN, f32::MAX], &[]).unwrap().token, 1);
    }
}

#[test]
fn extreme_options_leave_a_token() {
    let mut random = StdRng::seed_from_u64(5);
    for round in 0..300 {
        let logits: Vec<f32> = (0..random.random_range(1..3000))
            .map(|_| match random.random_range(0..10) {
                0 => f32::NEG_INFINITY,
                1 => 0.0,
                _ => random.random_range(-80.0..80.0),
            })
            .collect();
        let options = SamplerOptions {
            temperature: *[1e-30, 0.5, 1e30].get(round % 3).unwrap(),
            top_k: random.random_range(0..5),
            top_p: *[f32::MIN_POSITIVE, 0.3, 1.0].get(round % 3).unwrap(),
            min_p: random.random_range(0..2) as f32,
            typical_p: *[1e-6, 1.0].get(round % 2).unwrap(),
            xtc_probability: random.random(),
            xtc_threshold: 0.0,
            mirostat_tau: if round % 7 == 0 { 0.01 } else { 0.0 },
            ..hot()
        };
        if logits.iter().all(|&logit| logit == f32::NEG_INFINITY) {
            continue;
        }
        let mut sampler = Sampler::new(options.clone()).unwrap();
        for _ in 0..5 {
            let token = sampler.sample(&logits, &[0, 1]).unwrap().token;
            assert!(logits[token as usize] > f32::NEG_INFINITY, "{options:?}");
        }
    }
}

#[test]
fn a_seed_gives_the_same_tokens_on_every_machine() {
    let logits = vocabulary(3000, 4);
    let run = |seed| -> Vec<u32> {
        let options = SamplerOptions {
            seed: Some(seed),
            top_p: 0.95,
            temperature: 1.3,
            ..hot()
        };
        let mut sampler = Sampler::new(options).unwrap();
        (0..8)
            .map(|_| sampler.sample(&logits, &[]).unwrap().token)
            .collect()
    };
    assert_eq!(run(1), RECORDED);
    assert_ne!(run(1), run(2));
}

/// Recorded once; they must not change.
const RECORDED: [u32; 8] = [1123, 152, 1704, 564, 778, 1978, 1374, 403];

#[test]
fn distributions_are_what_is_drawn_from() {
    let options = SamplerOptions {
        top_k: 3,
        min_p: 0.05,
        temperature: 0.8,
        ..hot()
    };
    let mut sampler = Sampler::new(options).unwrap();
    let expected = sampler.distribution(&LOGITS, &[]).unwrap();
    assert!((expected.iter().map(|t| t.1).sum::<f32>() - 1.0).abs() < 1e-6);
    let mut counts: HashMap<u32, u32> = HashMap::new();
    for _ in 0..20_000 {
        *counts
            .entry(sampler.sample(&LOGITS, &[]).unwrap().token)
            .or_default() += 1;
    }
    assert_eq!(counts.len(), expected.len());
    for (token, p) in expected {
        assert!((counts[&token] as f32 / 20_000.0 - p).abs() < 0.02);
    }
}
