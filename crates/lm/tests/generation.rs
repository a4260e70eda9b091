//! Checks that guesses, caches between prompts, packed caches and other texts beside it leave a
//! text as it is.

use std::path::{Path, PathBuf};

use olivine_core::quantized::{Activations, Quantization};
use olivine_cpu as _;
use olivine_lm::{
    Batch, BatchEvent, Cache, Change, Draft, Generator, GeneratorOptions, Grammar, LanguageModel,
    ModelDraft, ModelFolder, NgramDraft, PromptCache, Reach, Recipe, RequestId, Result, Sampler,
    SamplerOptions, Tokenizer, models, perplexity,
};

fn golden(name: &str) -> Box<dyn LanguageModel> {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../conformance/golden")
        .join(name);
    models::load(&ModelFolder::open(path).unwrap()).unwrap()
}

fn shipped_folder() -> ModelFolder {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../models/olivine-tiny-stories"
    );
    ModelFolder::open(path).unwrap()
}

fn shipped() -> Box<dyn LanguageModel> {
    models::load(&shipped_folder()).unwrap()
}

fn prompt(count: u32) -> Vec<u32> {
    (0..count).map(|i| (i * 7919 + 13) % 250 + 3).collect()
}

fn plain<'m>(model: &'m dyn LanguageModel, prompt: &[u32]) -> Generator<&'m dyn LanguageModel> {
    Generator::new(model, prompt, SamplerOptions::greedy()).unwrap()
}

fn tokens(generator: impl Iterator<Item = Result<olivine_lm::Choice>>, count: usize) -> Vec<u32> {
    generator
        .take(count)
        .map(|choice| choice.unwrap().token)
        .collect()
}

/// Guesses a known text, with every third token wrong.
struct Knowing(Vec<u32>);

impl Draft for Knowing {
    fn guess(&mut self, tokens: &[u32]) -> Result<Vec<u32>> {
        let wrong = |i: usize, token: u32| if i % 3 == 2 { token ^ 1 } else { token };
        let next = self.0.iter().enumerate().skip(tokens.len()).take(5);
        Ok(next.map(|(i, &token)| wrong(i, token)).collect())
    }
}

#[test]
fn guesses_right_and_wrong_leave_the_text_as_it_is() {
    let model = golden("llama");
    let prompt = prompt(10);
    let expected = tokens(plain(&*model, &prompt), 60);
    let mut known = prompt.clone();
    known.extend(&expected);

    let mut knowing = plain(&*model, &prompt).guessing(Knowing(known));
    assert_eq!(tokens(knowing.by_ref(), 60), expected);
    assert!(knowing.guessed() >= 30, "{}", knowing.guessed());
    let mut same = plain(&*model, &prompt).guessing(ModelDraft::new(golden("llama"), 4));
    assert_eq!(tokens(same.by_ref(), 60), expected);
    assert!(same.guessed() >= 40, "{}", same.guessed());
    let repeating = plain(&*model, &prompt).guessing(NgramDraft::default());
    assert_eq!(tokens(repeating, 60), expected);
    // Nonsense is no harm, and tokens that no model knows are not fed.
    struct Nonsense;
    impl Draft for Nonsense {
        fn guess(&mut self, tokens: &[u32]) -> Result<Vec<u32>> {
            Ok(vec![tokens.len() as u32 % 250, 1, u32::MAX])
        }
    }
    assert_eq!(
        tokens(plain(&*model, &prompt).guessing(Nonsense), 60),
        expected
    );
}

#[test]
fn text_without_a_choice_is_read_at_once_and_stays_as_it_is() {
    let folder = shipped_folder();
    let model = shipped();
    let (config, generation) = (
        folder.config().unwrap(),
        folder.generation_config().unwrap(),
    );
    let tokenizer = Tokenizer::load(&folder, &config, &generation).unwrap();
    let schema = r#"{"type": "object", "properties": {
            "little girl": {"type": "string", "maxLength": 20},
            "the big red ball": {"enum": ["under the table", "under the old tree"]},
            "happy": {"type": "boolean"}},
        "required": ["little girl", "the big red ball", "happy"], "additionalProperties": false}"#;
    let story =
        r#"root ::= "Once upon a time, there was a little " ("girl" | "boy") [a-z ,]{9,30} "." "#;
    let mut forced = 0;
    for grammar in [Grammar::json_schema(schema), Grammar::gbnf(story)] {
        let grammar = grammar.unwrap();
        for (seed, temperature) in [(0, 0.0), (1, 0.8), (2, 1.5)] {
            let sampler = || {
                let options = SamplerOptions {
                    temperature,
                    seed: Some(seed),
                    ..SamplerOptions::greedy()
                };
                let matcher = grammar.matcher(&tokenizer).unwrap();
                Sampler::new(options).unwrap().with_grammar(matcher)
            };
            let prompt = tokenizer.encode_prompt("Tell me a story.\n").unwrap();
            // A batch chooses one by one.
            let mut batch = Batch::new(&*model, GeneratorOptions::default());
            batch.add(&prompt, sampler()).unwrap();
            let mut expected = Vec::new();
            while let [(_, BatchEvent::Token(choice))] = &batch.step().unwrap()[..] {
                expected.push(choice.token);
            }
            assert!(expected.len() > 10);
            let mut generator = Generator::new(&*model, &prompt, sampler()).unwrap();
            assert_eq!(tokens(generator.by_ref(), 1000), expected);
            forced += generator.guessed();
            let drafted = Generator::new(&*model, &prompt, sampler())
                .unwrap()
                .guessing(NgramDraft::default());
            assert_eq!(tokens(drafted, 1000), expected);
        }
    }
    assert!(forced > 60, "{forced}");
}

#[test]
fn prompts_over_the_context_are_refused() {
    let context = shipped_folder().config().unwrap().context().unwrap();
    assert_eq!(context, Some(512));
    let (model, sampler) = (shipped(), SamplerOptions::greedy());
    let options = |max_kv_size| GeneratorOptions {
        context,
        max_kv_size,
        ..GeneratorOptions::default()
    };
    let fits = |count, max_kv_size| {
        let mut batch = Batch::new(&*model, options(max_kv_size));
        let alone = Generator::with_options(
            &*model,
            &prompt(count),
            sampler.clone(),
            options(max_kv_size),
        );
        let beside = batch.add(&prompt(count), sampler.clone());
        assert_eq!(alone.is_ok(), beside.is_ok());
        alone.is_ok()
    };
    assert!(fits(512, None) && !fits(513, None) && fits(513, Some(100)));
}

#[test]
fn a_prompt_that_begins_the_same_is_not_read_again() {
    let model = shipped();
    let first = prompt(700);
    let mut second = first[..600].to_vec();
    second.extend(prompt(20));
    let expected = tokens(plain(&*model, &second), 20);

    let mut before = plain(&*model, &first);
    tokens(before.by_ref(), 5);
    let after = plain(&*model, &second).after(before.into_cache());
    assert_eq!(after.reused(), 600);
    assert_eq!(tokens(after, 20), expected);

    // The whole prompt is known: only its last token is read.
    let mut before = plain(&*model, &second);
    before.prefill(&mut |_, _| true).unwrap();
    let after = plain(&*model, &second).after(before.into_cache());
    assert_eq!(after.reused(), second.len() - 1);
    assert_eq!(tokens(after, 20), expected);

    // Nothing is the same.
    let mut other = second.clone();
    other[0] ^= 1;
    let mut before = plain(&*model, &other);
    before.next();
    let after = plain(&*model, &second).after(before.into_cache());
    assert_eq!(after.reused(), 0);
    assert_eq!(tokens(after, 20), expected);
}

#[test]
fn what_a_window_has_dropped_does_not_come_back_but_checkpoints_do() {
    let model = shipped();
    let options = GeneratorOptions {
        max_kv_size: Some(64),
        keep: 4,
        ..Default::default()
    };
    let text = prompt(900);
    let windowed = |prompt: &[u32]| {
        let greedy = SamplerOptions::greedy();
        Generator::with_options(&*model, prompt, greedy, options.clone()).unwrap()
    };
    let mut start = windowed(&text[..401]);
    start.prefill(&mut |_, _| true).unwrap();
    let mut cache = start.into_cache();
    cache.checkpoint();
    let mut rest = windowed(&text).after(cache.clone());
    assert_eq!(rest.reused(), 400);
    rest.next();
    let mut far = rest.into_cache();
    assert!(far.bytes() < 900 * 4 * 256 * 4);
    assert_eq!(far.rewind(300), None);

    cache.checkpoint();
    assert_eq!(cache.rewind(450), Some(400));
    let expected = tokens(windowed(&text), 10);
    assert_eq!(tokens(windowed(&text).after(cache), 10), expected);
}

#[test]
fn caches_are_the_same_after_a_file() {
    let model = golden("llama");
    let place = tempfile::tempdir().unwrap();
    let text = prompt(300);
    let eight = Quantization::affine(16, 8).unwrap();
    let limited = GeneratorOptions {
        max_kv_size: Some(32),
        ..Default::default()
    };
    let packed = GeneratorOptions {
        kv_quantization: Some(eight),
        ..Default::default()
    };
    for (number, options) in [GeneratorOptions::default(), limited, packed]
        .into_iter()
        .enumerate()
    {
        let generator = |prompt: &[u32]| {
            let greedy = SamplerOptions::greedy();
            Generator::with_options(&*model, prompt, greedy, options.clone()).unwrap()
        };
        let mut reader = generator(&text);
        reader.prefill(&mut |_, _| true).unwrap();
        let cache = reader.into_cache();
        let file = place.path().join(format!("{number}.safetensors"));
        cache.save(&file, "tiny").unwrap();
        let read = PromptCache::load(&file, "tiny", model.caches()).unwrap();
        assert_eq!(read.tokens(), cache.tokens());
        let (a, b) = (generator(&text).after(cache), generator(&text).after(read));
        assert_eq!(a.reused(), b.reused());
        assert_eq!(tokens(a, 30), tokens(b, 30));

        assert!(PromptCache::load(&file, "huge", model.caches()).is_err());
        assert!(PromptCache::load(&file, "tiny", Vec::new()).is_err());
        // Damaged files are refused or, where only numbers changed, read; nothing panics.
        let bytes = std::fs::read(&file).unwrap();
        for place in (0..bytes.len().min(3000)).step_by(7) {
            let mut damaged = bytes.clone();
            damaged[place] ^= 0x15;
            std::fs::write(&file, &damaged).unwrap();
            let _ = PromptCache::load(&file, "tiny", model.caches());
            std::fs::write(&file, &bytes[..place]).unwrap();
            assert!(PromptCache::load(&file, "tiny", model.caches()).is_err());
        }
    }
}

#[test]
fn packed_caches_take_a_fraction_of_the_memory() {
    let model = shipped();
    let text = prompt(600);
    let bytes = |bits: Option<usize>| {
        let scheme = bits.map(|bits| Quantization::affine(32, bits).unwrap());
        let options = GeneratorOptions {
            kv_quantization: scheme,
            ..Default::default()
        };
        let greedy = SamplerOptions::greedy();
        let mut generator = Generator::with_options(&*model, &text, greedy, options).unwrap();
        generator.next().unwrap().unwrap();
        generator.into_cache().bytes() as f64
    };
    let plain = bytes(None);
    // Numbers of 16 bits; a scale and a bias of 16 bits for 32 of them make one bit more.
    assert!((bytes(Some(8)) / plain - 9.0 / 16.0).abs() < 0.01);
    assert!((bytes(Some(4)) / plain - 5.0 / 16.0).abs() < 0.01);
}

#[test]
fn a_window_that_is_not_full_takes_no_more_memory_than_the_text() {
    let model = shipped();
    let text = prompt(1200);
    let bytes = |max_kv_size: Option<usize>| {
        let options = GeneratorOptions {
            max_kv_size,
            kv_quantization: Some(Quantization::affine(32, 8).unwrap()),
            prefill_chunk: 100,
            ..Default::default()
        };
        let greedy = SamplerOptions::greedy();
        let mut generator = Generator::with_options(&*model, &text, greedy, options).unwrap();
        generator.next().unwrap().unwrap();
        generator.into_cache().bytes()
    };
    assert_eq!(bytes(Some(100_000)), bytes(None));
    assert!(bytes(Some(200)) < bytes(None) / 2);
}

#[test]
fn texts_in_a_batch_pack_what_they_remember() {
    let model = shipped();
    let prompts: Vec<Vec<u32>> = [3, 40, 90].into_iter().map(prompt).collect();
    let options = GeneratorOptions {
        kv_quantization: Some(Quantization::affine(32, 4).unwrap()),
        quantized_kv_start: 20,
        ..Default::default()
    };
    let alone = prompts.iter().map(|prompt| {
        let greedy = SamplerOptions::greedy();
        let mut text = Generator::with_options(&*model, prompt, greedy, options.clone()).unwrap();
        let chosen: Vec<u32> = (&mut text)
            .take(30)
            .map(|choice| choice.unwrap().token)
            .collect();
        (chosen, text.into_cache().bytes())
    });
    let alone: Vec<(Vec<u32>, usize)> = alone.collect();
    let mut batch = Batch::new(&*model, options.clone());
    let add = |prompt: &Vec<u32>| batch.add(prompt, SamplerOptions::greedy()).unwrap();
    let ids: Vec<RequestId> = prompts.iter().map(add).collect();
    let mut chosen: Vec<Vec<u32>> = vec![Vec::new(); ids.len()];
    for _ in 0..30 {
        for (id, event) in batch.step().unwrap() {
            let BatchEvent::Token(choice) = event else {
                panic!("{event:?}")
            };
            let place = ids.iter().position(|other| *other == id).unwrap();
            chosen[place].push(choice.token);
        }
    }
    for ((id, chosen), (expected, bytes)) in ids.into_iter().zip(chosen).zip(alone) {
        assert_eq!(chosen, expected);
        assert_eq!(batch.remove(id).unwrap().bytes(), bytes);
    }
}

#[test]
fn caches_that_cannot_be_packed_end_their_texts() {
    // Heads of 16 do not fill groups of 32.
    let model = golden("llama");
    let options = GeneratorOptions {
        kv_quantization: Some(Quantization::affine(32, 8).unwrap()),
        ..Default::default()
    };
    let mut batch = Batch::new(&*model, options.clone()).at_most(1);
    batch.add(&prompt(5), SamplerOptions::greedy()).unwrap();
    batch.add(&prompt(3), SamplerOptions::greedy()).unwrap();
    assert!(batch.step().is_err());
    assert!(!batch.is_empty());
    assert!(batch.step().is_err());
    assert!(batch.is_empty() && batch.step().unwrap().is_empty());
    let greedy = SamplerOptions::greedy();
    let mut text = Generator::with_options(&*model, &prompt(5), greedy, options).unwrap();
    assert!(text.next().unwrap().is_err());
    assert!(text.next().is_none());
}

#[test]
fn texts_in_a_batch_are_those_that_they_are_alone() {
    let model = golden("llama");
    let prompts: Vec<Vec<u32>> = [3, 40, 1, 17].into_iter().map(prompt).collect();
    let alone: Vec<Vec<u32>> = prompts
        .iter()
        .map(|prompt| tokens(plain(&*model, prompt), 40))
        .collect();
    let options = GeneratorOptions {
        prefill_chunk: 16,
        ..Default::default()
    };
    let mut batch = Batch::new(&*model, options).at_most(3);
    let mut texts: Vec<(RequestId, Vec<u32>)> = Vec::new();
    for prompt in &prompts[..3] {
        texts.push((
            batch.add(prompt, SamplerOptions::greedy()).unwrap(),
            Vec::new(),
        ));
    }
    let mut steps = 0;
    while !batch.is_empty() {
        steps += 1;
        assert!(steps < 200);
        for (id, event) in batch.step().unwrap() {
            let BatchEvent::Token(choice) = event else {
                panic!("{event:?}")
            };
            let text = &mut texts.iter_mut().find(|(other, _)| *other == id).unwrap().1;
            text.push(choice.token);
            if text.len() == 40 {
                assert!(batch.remove(id).is_some());
            }
        }
        if steps == 5 {
            // One more comes while the others are being written, and waits for its place.
            texts.push((
                batch.add(&prompts[3], SamplerOptions::greedy()).unwrap(),
                Vec::new(),
            ));
        }
    }
    for ((_, text), alone) in texts.iter().zip(&alone) {
        assert_eq!(text, alone);
    }
}

#[test]
fn one_bad_text_does_not_end_the_others() {
    let model = golden("llama");
    let mut batch = Batch::new(&*model, GeneratorOptions::default());
    assert!(batch.add(&[], SamplerOptions::greedy()).is_err());
    assert!(batch.add(&[u32::MAX], SamplerOptions::greedy()).is_err());
    let bad = SamplerOptions {
        temperature: f32::NAN,
        ..SamplerOptions::greedy()
    };
    assert!(batch.add(&[5], bad).is_err());
    let good = batch.add(&[5], SamplerOptions::greedy()).unwrap();
    assert!(matches!(batch.step().unwrap()[..], [(id, BatchEvent::Token(_))] if id == good));
    assert!(batch.remove(good).is_some() && batch.is_empty());
    assert!(batch.step().unwrap().is_empty());
}

#[test]
fn generators_are_stopped_at_any_token_and_sent_to_other_threads() {
    let model = golden("llama");
    let expected = tokens(plain(&*model, &prompt(9)), 8);
    let own: Vec<u32> = std::thread::scope(|scope| {
        let generator = plain(&*model, &prompt(9));
        scope.spawn(move || tokens(generator, 8)).join().unwrap()
    });
    assert_eq!(own, expected);
}

#[test]
fn windows_are_kept_while_texts_grow() {
    let model = golden("llama");
    let options = GeneratorOptions {
        max_kv_size: Some(24),
        keep: 4,
        ..Default::default()
    };
    let mut generator =
        Generator::with_options(&*model, &prompt(50), SamplerOptions::greedy(), options).unwrap();
    tokens(generator.by_ref(), 900);
    let cache = generator.into_cache();
    assert_eq!(cache.tokens().len(), 949);
    let fresh: Vec<Cache> = model.caches();
    assert!(fresh.len() == 2 && Reach::default() == Reach::All);
    // Two layers of keys and values of two heads of 16 floats; room for fewer than 600 tokens.
    assert!(
        cache.bytes() < 2 * 2 * 2 * 16 * 4 * 600,
        "{}",
        cache.bytes()
    );
}

#[test]
fn rounded_activations_change_what_a_packed_model_expects_a_little() -> Result<()> {
    let model = shipped();
    let text = tokens(plain(&*model, &prompt(4)), 128);
    let measure = |activations| -> Result<f64> {
        let folder = shipped_folder().with_activations(activations);
        let change = Change {
            quantize: Some(Recipe::uniform(Quantization::default())),
            ..Change::default()
        };
        let (model, weights) = models::load_changed(&folder, change)?;
        // What is written to files does not say how they are computed with.
        let packing = weights.packing().expect("weights are packed");
        assert_eq!(packing.default, Quantization::default());
        let measured = perplexity(&*model, &text, 64, 1, &mut |_, _, _| true)?;
        Ok(measured.value())
    };
    let (exact, rounded) = (measure(Activations::Exact)?, measure(Activations::Int8)?);
    let change = (rounded / exact).ln().abs();
    assert!(change > 0.0 && change < 0.02, "{exact} {rounded}");
    Ok(())
}
