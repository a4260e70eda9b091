//! Owns the proof that models come back from GGUF files, and that bad files are errors.

use std::{fs, path::Path};

use olivine_core::{Array, Dtype, quantized::Quantized};
use olivine_io::{
    GgufKind, GgufMetadata, GgufValue, Metadata, save_gguf, save_safetensors, write_gguf,
};
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};

use super::*;
use crate::{
    Change, ChatTemplate, GenerationConfig, LanguageModel, Message, ModelConfig, ModelFolder,
    QuantizationConfig, Sequences, Tokenizer, Weights, models, test_tokenizers,
};

const TEXTS: &[&str] = &[
    "Once upon a time there was a little fox.",
    "",
    "hello",
    "the  hello   thello",
    "naïve café, 你好世界, こんにちは",
    "🙂 and 👩‍👩‍👧!",
    "tabs\tand\nnew\r\nlines\n\n\n",
    "I'm, you'LL, they've 1234567 3.14",
    "<s>hello</s> <|endoftext|>the<|end|>",
    "\u{0}\u{7f}e\u{301}",
    "trailing space ",
];

const TEMPLATE: &str = "{{ bos_token }}{% for m in messages %}[{{ m.content }}]{% endfor %}";

/// A folder with a tokenizer and a model of two layers, whose weights are random.
fn folder(tokenizer: &Tokenizer, change: &Value) -> (tempfile::TempDir, ModelFolder) {
    let mut config = json!({"model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 32,
        "intermediate_size": 96, "vocab_size": tokenizer.vocab_size(), "rms_norm_eps": 1e-6,
        "tie_word_embeddings": false, "bos_token_id": 0, "eos_token_id": [1, 5],
        "rope_theta": 500000.0, "max_position_embeddings": 128});
    for (field, value) in change.as_object().unwrap() {
        config[field] = value.clone();
    }
    let place = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| fs::write(place.path().join(name), text).unwrap();
    put("config.json", &config.to_string());
    put("tokenizer.json", &tokenizer.json());
    put(
        "tokenizer_config.json",
        &json!({"bos_token": "<s>", "eos_token": "</s>", "chat_template": TEMPLATE}).to_string(),
    );
    put(
        "generation_config.json",
        r#"{"do_sample": true, "temperature": 0.5, "top_k": 7, "top_p": 0.9}"#,
    );
    let folder = ModelFolder::open(place.path()).unwrap();
    let model = models::build(&folder.config().unwrap(), &Weights::random()).unwrap();
    let mut random = StdRng::seed_from_u64(7);
    let tensors: Vec<(String, Array)> = model
        .parameters()
        .into_iter()
        .map(|(name, value)| {
            // Norms are around one, so that it shows where they go.
            let (centre, spread) = if value.ndim() == 1 {
                (1.0, 0.3)
            } else {
                (0.0, 0.2)
            };
            let values: Vec<f32> = (0..value.size())
                .map(|_| centre + spread * random.random_range(-1.0f32..1.0))
                .collect();
            (
                name,
                Array::from_slice(&values, value.shape().dims()).unwrap(),
            )
        })
        .collect();
    let path = place.path().join("model.safetensors");
    save_safetensors(path, tensors, &Metadata::new()).unwrap();
    (place, folder)
}

fn logits(model: &dyn LanguageModel) -> Vec<f32> {
    let tokens = Array::from_slice(&[3u32, 17, 60, 5, 9, 200, 31, 2], [1, 8]).unwrap();
    let hidden = model.hidden(&tokens, &mut Sequences::forgotten()).unwrap();
    let logits = model.logits(&hidden).unwrap();
    logits.astype(Dtype::Float32).unwrap().to_vec().unwrap()
}

fn in_single_precision(folder: &ModelFolder) -> Box<dyn LanguageModel> {
    let change = Change {
        dtype: Some(Dtype::Float32),
        ..Change::default()
    };
    models::load_changed(folder, change).unwrap().0
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let pairs = a.iter().zip(b);
    pairs.fold(0.0, |most: f32, (a, b)| most.max((a - b).abs()))
}

fn saved(folder: &ModelFolder, kind: GgufKind) -> (tempfile::TempDir, ModelFolder) {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("model.gguf");
    let made = save_gguf_model(folder, &path, kind, &mut |_, _| true).unwrap();
    assert!(made.bytes <= fs::metadata(&path).unwrap().len());
    // Nothing unfinished stays behind.
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
    let folder = ModelFolder::open(path).unwrap();
    (place, folder)
}

/// What is special about a configuration with experts. Each token has all of them: which ones it has
/// would depend on how numbers are rounded.
fn mixture(model_type: &str) -> Value {
    let mut change = json!({"model_type": model_type, "head_dim": 16, "num_experts_per_tok": 4});
    let more = match model_type {
        "mixtral" => json!({"num_local_experts": 4, "rms_norm_eps": 1e-5}),
        "qwen2_moe" => json!({"num_experts": 4, "moe_intermediate_size": 32,
            "shared_expert_intermediate_size": 64}),
        _ => json!({"num_experts": 4, "moe_intermediate_size": 32, "norm_topk_prob": true}),
    };
    let fields = change.as_object_mut().unwrap();
    fields.extend(more.as_object().unwrap().clone());
    change
}

/// The families that the tests write, and what is special about their configurations.
fn families() -> Vec<Value> {
    let llama3 = json!({"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
        "high_freq_factor": 4.0, "original_max_position_embeddings": 8192});
    let other = json!({"rope_type": "llama3", "factor": 4.0, "low_freq_factor": 1.0,
        "high_freq_factor": 2.0, "original_max_position_embeddings": 64});
    let all = vec![
        json!({}),
        json!({"rope_scaling": llama3, "tie_word_embeddings": true}),
        json!({"rope_scaling": other}),
        json!({"rope_scaling": {"rope_type": "linear", "factor": 2.0}}),
        json!({"rope_scaling": {"rope_type": "yarn", "factor": 4.0,
            "original_max_position_embeddings": 32}}),
        json!({"model_type": "qwen2"}),
        json!({"model_type": "qwen3", "head_dim": 16}),
        mixture("mixtral"),
        mixture("qwen2_moe"),
        mixture("qwen3_moe"),
    ];
    let known = |change: &Value| {
        change["model_type"]
            .as_str()
            .is_none_or(models::is_supported)
    };
    all.into_iter().filter(known).collect()
}

#[test]
fn models_come_back_with_the_same_logits() {
    let tokenizer = test_tokenizers::byte_fallback();
    for change in families() {
        let (_keep, original) = folder(&tokenizer, &change);
        let expected = logits(&*models::load(&original).unwrap());
        let (_file, back) = saved(&original, GgufKind::F32);
        let own = logits(&*models::load(&back).unwrap());
        let difference = largest_difference(&own, &expected);
        assert!(difference < 1e-5, "{change}: {difference}");
        for (kind, allowed) in [(GgufKind::F16, 0.02), (GgufKind::BF16, 0.2)] {
            let (_file, back) = saved(&original, kind);
            let own = logits(&*models::load(&back).unwrap());
            let difference = largest_difference(&own, &expected);
            assert!(difference < allowed, "{change} {kind:?}: {difference}");
        }
    }
}

/// The tensors with packed ones unpacked.
fn unpacked(tensors: Vec<(String, Array)>, packing: &QuantizationConfig) -> Vec<(String, Array)> {
    let find = |name: &str| tensors.iter().find(|(own, _)| own == name);
    let mut plain = Vec::new();
    for (name, value) in &tensors {
        let stem = name.rsplit_once('.').unwrap().0;
        let scales = find(&format!("{stem}.scales"));
        match (scales, name.ends_with(".weight")) {
            (Some((_, scales)), true) => {
                let (_, biases) = find(&format!("{stem}.biases")).unwrap();
                let packed = Quantized {
                    codes: value.clone(),
                    scales: scales.astype(Dtype::Float32).unwrap(),
                    biases: Some(biases.astype(Dtype::Float32).unwrap()),
                    global_scale: None,
                    scheme: packing.of(stem).unwrap(),
                };
                plain.push((
                    name.clone(),
                    packed.dequantize(Some(Dtype::Float32)).unwrap(),
                ));
            }
            (Some(_), false) if name.ends_with(".scales") || name.ends_with(".biases") => {}
            _ => plain.push((name.clone(), value.clone())),
        }
    }
    plain
}

#[test]
fn packed_models_have_the_logits_of_their_unpacked_weights() {
    let tokenizer = test_tokenizers::byte_fallback();
    for change in families() {
        let (_keep, original) = folder(&tokenizer, &change);
        let exact = logits(&*models::load(&original).unwrap());
        for (kind, bits, allowed) in [
            (GgufKind::Q8_0, 8, 0.1),
            (GgufKind::Q4_0, 4, 2.0),
            (GgufKind::Q4_1, 4, 2.0),
        ] {
            let (_file, back) = saved(&original, kind);
            let config = back.config().unwrap();
            let packing = config.quantization.clone().unwrap();
            assert_eq!(packing.default.bits(), bits);
            let own = logits(&*in_single_precision(&back));
            let plain = unpacked(back.tensors().unwrap(), &packing);
            let expected = models::build(&config, &Weights::new("unpacked", plain)).unwrap();
            let difference = largest_difference(&own, &logits(&*expected));
            assert!(difference < 1e-4, "{change} {kind:?}: {difference}");
            let off = largest_difference(&own, &exact);
            assert!(off > 0.0 && off < allowed, "{change} {kind:?}: {off}");
            // As it is loaded usually: in half precision.
            let half = logits(&*models::load(&back).unwrap());
            let difference = largest_difference(&half, &own);
            assert!(difference < 0.02, "{change} {kind:?}: {difference}");
        }
    }
}

#[test]
fn experts_that_older_files_have_one_by_one_are_stacked() {
    let tokenizer = test_tokenizers::byte_fallback();
    let (_keep, original) = folder(&tokenizer, &mixture("mixtral"));
    for kind in [GgufKind::F32, GgufKind::Q8_0, GgufKind::Q4_0] {
        let (_file, stacked) = saved(&original, kind);
        let file = olivine_io::load_gguf(stacked.path()).unwrap();
        let mut apart: Vec<(String, Array)> = Vec::new();
        for (name, value) in file.arrays().unwrap() {
            let Some((stem, end)) = name.split_once("_exps.") else {
                apart.push((name, value));
                continue;
            };
            let experts = value.unstack(0).unwrap().into_iter().enumerate();
            apart.extend(experts.map(|(expert, one)| (format!("{stem}.{expert}.{end}"), one)));
        }
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("old.gguf");
        save_gguf(&path, apart, file.metadata()).unwrap();
        let old = ModelFolder::open(path).unwrap();
        let [own, expected] = [&old, &stacked].map(|folder| {
            let model = models::load(folder).unwrap();
            logits(&*model)
        });
        assert_eq!(own, expected, "{kind:?}");
    }
}

#[test]
fn mixtures_that_readers_would_take_for_others_are_not_written() {
    let tokenizer = test_tokenizers::byte_fallback();
    for (family, field, value) in [
        ("qwen2_moe", "norm_topk_prob", json!(true)),
        ("qwen3_moe", "norm_topk_prob", json!(false)),
        ("qwen3_moe", "mlp_only_layers", json!([0])),
        ("qwen3_moe", "decoder_sparse_step", json!(2)),
    ] {
        let mut change = mixture(family);
        change[field] = value;
        let (place, original) = folder(&tokenizer, &change);
        let out = place.path().join("out.gguf");
        let error = save_gguf_model(&original, &out, GgufKind::F32, &mut |_, _| true);
        let error = error.err().unwrap().to_string();
        assert!(error.contains(field), "{error}");
        assert!(!out.exists());
    }
}

#[test]
fn rows_of_heads_are_pairs_in_the_file() {
    let tokenizer = test_tokenizers::byte_fallback();
    let (_keep, original) = folder(&tokenizer, &json!({}));
    let (_file, back) = saved(&original, GgufKind::F32);
    let file = olivine_io::load_gguf(back.path()).unwrap();
    let tensors = original.tensors().unwrap();
    for (stored, name, heads) in [
        (
            "blk.1.attn_q.weight",
            "model.layers.1.self_attn.q_proj.weight",
            4,
        ),
        (
            "blk.1.attn_k.weight",
            "model.layers.1.self_attn.k_proj.weight",
            2,
        ),
    ] {
        let own = file.array(stored).unwrap().to_vec::<f32>().unwrap();
        let (_, original) = tensors.iter().find(|(own, _)| own == name).unwrap();
        let original = original.to_vec::<f32>().unwrap();
        let row = |values: &[f32], row: usize| values[row * 64..(row + 1) * 64].to_vec();
        for head in 0..heads {
            for pair in 0..16 {
                for half in 0..2 {
                    let there = row(&own, head * 32 + 2 * pair + half);
                    assert_eq!(there, row(&original, head * 32 + 16 * half + pair));
                }
            }
        }
    }
}

#[test]
fn a_file_says_what_the_folder_said() {
    let tokenizer = test_tokenizers::byte_fallback();
    let (_keep, original) = folder(&tokenizer, &json!({}));
    let (_file, back) = saved(&original, GgufKind::Q8_0);
    let config = back.config().unwrap();
    assert_eq!(
        (config.bos_token_id, &config.eos_token_ids[..]),
        (Some(0), &[1, 5][..])
    );
    let generation = back.generation_config().unwrap();
    assert_eq!(
        (generation.temperature, generation.top_k, generation.top_p),
        (Some(0.5), Some(7), Some(0.9))
    );
    let template = ChatTemplate::load(&back).unwrap().unwrap();
    assert_eq!(
        template.render(&[Message::user("hi")], true).unwrap(),
        "<s>[hi]"
    );
    let loaded = Tokenizer::load(&back, &config, &generation).unwrap();
    assert_eq!(loaded.bos_id(), Some(0));
    assert!(loaded.eos_ids().contains(&1) && loaded.eos_ids().contains(&5));
    assert_eq!(loaded.encode_prompt("hello").unwrap()[0], 0);
    let usual: Value = serde_json::from_str(
        &GgufModel::new(olivine_io::load_gguf(back.path()).unwrap())
            .unwrap()
            .config()
            .unwrap(),
    )
    .unwrap();
    assert_eq!(usual["rope_theta"], 500000.0);
    assert_eq!(usual["rms_norm_eps"], 1e-6);
    // And it can become a folder again.
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("again");
    crate::convert(
        &back,
        &out,
        &crate::ConvertOptions::default(),
        &mut |_, _| true,
    )
    .unwrap();
    let again = ModelFolder::open(&out).unwrap();
    let difference = largest_difference(
        &logits(&*models::load(&again).unwrap()),
        &logits(&*models::load(&back).unwrap()),
    );
    assert_eq!(difference, 0.0);
    assert!(out.join("tokenizer.json").is_file());
}

fn model(metadata: &GgufMetadata) -> Result<GgufModel> {
    let mut bytes = Vec::new();
    let table = Array::zeros([8, 4], Dtype::Float32).unwrap();
    write_gguf(&mut bytes, [("token_embd.weight", table)], metadata).unwrap();
    GgufModel::new(Gguf::from_bytes(bytes)?)
}

/// The tokenizer of metadata alone.
fn rebuilt(metadata: &GgufMetadata) -> Tokenizer {
    let mut metadata = metadata.clone();
    metadata.insert(ARCHITECTURE.to_owned(), "llama".into());
    let json = model(&metadata).unwrap().tokenizer().unwrap();
    Tokenizer::parse("x.gguf".as_ref(), &json).unwrap()
}

#[test]
fn tokenizers_come_back_and_do_the_same() {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/olivine-tiny-stories");
    let shipped = fs::read_to_string(shipped.join("tokenizer.json")).unwrap();
    let shipped = Tokenizer::parse("shipped".as_ref(), &shipped).unwrap();
    let qwen = {
        let mut json: Value = serde_json::from_str(&test_tokenizers::byte_level().json()).unwrap();
        let cut = pre::named("qwen2").unwrap().cuts[0];
        json["pre_tokenizer"] = json!({"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": cut}, "behavior": "Isolated", "invert": false},
            {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false}]});
        json["normalizer"] = json!({"type": "NFC"});
        Tokenizer::parse("qwen".as_ref(), &json.to_string()).unwrap()
    };
    for (name, tokenizer, model, cut) in [
        ("shipped", shipped, "gpt2", "gpt-2"),
        ("byte level", test_tokenizers::byte_level(), "gpt2", "gpt-2"),
        ("qwen", qwen, "gpt2", "qwen2"),
        (
            "byte fallback",
            test_tokenizers::byte_fallback(),
            "llama",
            "default",
        ),
        (
            "metaspace",
            test_tokenizers::metaspace(),
            "llama",
            "default",
        ),
    ] {
        let (_keep, folder) = folder(&tokenizer, &json!({}));
        let config = folder.config().unwrap();
        let whole = save_tokenizer::metadata(&folder, &config, tokenizer.vocab_size()).unwrap();
        assert_eq!(
            whole["tokenizer.ggml.model"].as_str(),
            Some(model),
            "{name}"
        );
        assert_eq!(whole["tokenizer.ggml.pre"].as_str(), Some(cut), "{name}");
        assert_eq!(rebuilt(&whole).json(), tokenizer.json());
        let mut bare = whole.clone();
        bare.remove(tokenizer::WHOLE);
        let mut without_merges = bare.clone();
        if name == "byte fallback" {
            without_merges.remove(tokenizer::MERGES);
        }
        for metadata in [bare, without_merges] {
            let own = rebuilt(&metadata);
            assert_eq!(own.vocab_size(), tokenizer.vocab_size(), "{name}");
            for text in TEXTS {
                // A space where a text begins anew is one mark there, but two in sentencepiece.
                if name == "metaspace" && text.contains("> ") {
                    continue;
                }
                let expected = tokenizer.encode(text).unwrap();
                assert_eq!(own.encode(text).unwrap(), expected, "{name}: {text:?}");
                assert_eq!(
                    own.encode_prompt(text).unwrap(),
                    tokenizer.encode_prompt(text).unwrap(),
                    "{name}: {text:?}"
                );
                assert_eq!(
                    own.decode(&expected).unwrap(),
                    tokenizer.decode(&expected).unwrap(),
                    "{name}: {text:?}"
                );
            }
            for id in 0..tokenizer.vocab_size() as u32 {
                assert_eq!(own.id_to_token(id), tokenizer.id_to_token(id));
                assert_eq!(own.is_special(id), tokenizer.is_special(id), "{name}: {id}");
            }
        }
    }
}

#[test]
fn tokenizers_that_gguf_has_no_name_for_are_refused() {
    let (_keep, words) = folder(&test_tokenizers::word_piece(), &json!({}));
    let config = words.config().unwrap();
    let error = save_tokenizer::metadata(&words, &config, 1000).unwrap_err();
    assert!(error.to_string().contains("only BPE"), "{error}");
    let mut odd: Value = serde_json::from_str(&test_tokenizers::byte_level().json()).unwrap();
    odd["pre_tokenizer"] = json!({"type": "Sequence", "pretokenizers": [
        {"type": "Split", "pattern": {"Regex": "odd"}, "behavior": "Isolated", "invert": false},
        {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false}]});
    let odd = Tokenizer::parse("odd".as_ref(), &odd.to_string()).unwrap();
    let (_keep, odd) = folder(&odd, &json!({}));
    let error = save_tokenizer::metadata(&odd, &config, 1000).unwrap_err();
    assert!(error.to_string().contains("pre-tokenizer"), "{error}");
    // A table with fewer rows than there are tokens.
    let error = save_tokenizer::metadata(&odd, &config, 10).unwrap_err();
    assert!(error.to_string().contains("no token of 10"), "{error}");
}

fn sizes(architecture: &str) -> GgufMetadata {
    let mut metadata = GgufMetadata::from([(ARCHITECTURE.to_owned(), architecture.into())]);
    let mut put = |key: &str, value: GgufValue| {
        metadata.insert(format!("{architecture}.{key}"), value);
    };
    for (key, size) in [
        ("block_count", 2u32),
        ("embedding_length", 64),
        ("feed_forward_length", 96),
        ("context_length", 256),
        ("attention.head_count", 4),
        ("attention.head_count_kv", 2),
        ("attention.sliding_window", 32),
        ("rope.dimension_count", 8),
        ("expert_used_count", 2),
        ("expert_feed_forward_length", 48),
        ("expert_shared_feed_forward_length", 24),
    ] {
        put(key, size.into());
    }
    for (key, number) in [
        ("attention.layer_norm_rms_epsilon", 1e-5f32),
        ("attention.layer_norm_epsilon", 1e-5),
        ("rope.freq_base", 20_000.0),
        ("logit_scale", 0.25),
        ("attention.scale", 0.5),
        ("embedding_scale", 12.0),
        ("residual_scale", 0.22),
    ] {
        put(key, number.into());
    }
    if architecture.ends_with("moe") {
        put("expert_count", 8u32.into());
    }
    metadata
}

#[test]
fn every_architecture_has_a_configuration() {
    for (architecture, model_type, field, value) in [
        ("llama", "llama", "head_dim", json!(16)),
        ("qwen2", "qwen2", "rms_norm_eps", json!(1e-5)),
        ("qwen3", "qwen3", "rope_theta", json!(20_000.0)),
        (
            "qwen2moe",
            "qwen2_moe",
            "shared_expert_intermediate_size",
            json!(24),
        ),
        ("qwen3moe", "qwen3_moe", "moe_intermediate_size", json!(48)),
        ("gemma", "gemma", "vocab_size", json!(8)),
        ("gemma2", "gemma2", "query_pre_attn_scalar", json!(16.0)),
        (
            "gemma3",
            "gemma3_text",
            "rope_local_base_freq",
            json!(10_000.0),
        ),
        ("phi3", "phi3", "partial_rotary_factor", json!(0.5)),
        ("starcoder2", "starcoder2", "norm_epsilon", json!(1e-5)),
        ("stablelm", "stablelm", "use_qkv_bias", json!(false)),
        ("olmo2", "olmo2", "tie_word_embeddings", json!(true)),
        ("granite", "granite", "logits_scaling", json!(0.25)),
        ("cohere2", "cohere2", "sliding_window", json!(32)),
        ("smollm3", "smollm3", "num_key_value_heads", json!(2)),
        ("gpt2", "gpt2", "n_positions", json!(256)),
        ("gptneox", "gpt_neox", "rotary_pct", json!(0.5)),
    ] {
        let config = model(&sizes(architecture)).unwrap().config().unwrap();
        let config: Value = serde_json::from_str(&config).unwrap();
        assert_eq!(config["model_type"], model_type);
        assert_eq!(config[field], value, "{architecture}");
    }
    assert!(
        families::names()
            .iter()
            .all(|name| model(&sizes(name)).unwrap().config().is_ok())
    );
    let mut experts = sizes("llama");
    experts.insert("llama.expert_count".to_owned(), 8u32.into());
    let config = model(&experts).unwrap().config().unwrap();
    assert!(config.contains("mixtral"));
}

#[test]
fn what_is_not_supported_is_named() {
    let error = model(&sizes("whisper")).unwrap_err().to_string();
    assert!(
        error.contains("whisper") && error.contains("qwen3moe"),
        "{error}"
    );
    let mut split = sizes("llama");
    split.insert("split.count".to_owned(), 3u16.into());
    assert!(
        model(&split)
            .unwrap_err()
            .to_string()
            .contains("merge the parts")
    );
    let check = |key: &str, value: GgufValue, expected: &str| {
        let mut metadata = sizes("llama");
        metadata.insert("tokenizer.ggml.model".to_owned(), "gpt2".into());
        metadata.insert(
            "tokenizer.ggml.tokens".to_owned(),
            vec!["a".to_owned()].into(),
        );
        metadata.insert(
            "tokenizer.ggml.merges".to_owned(),
            Vec::<String>::new().into(),
        );
        metadata.insert(key.to_owned(), value);
        let model = model(&metadata).unwrap();
        let error = match model.config().and_then(|_| model.tokenizer()) {
            Err(error) => error.to_string(),
            Ok(_) => panic!("{key}"),
        };
        assert!(error.contains(key) && error.contains(expected), "{error}");
    };
    check(
        "tokenizer.ggml.model",
        "bert".into(),
        "supported: gpt2, llama",
    );
    check("tokenizer.ggml.model", 7u8.into(), "must be a text");
    check("tokenizer.ggml.pre", "odd".into(), "llama-bpe");
    check("tokenizer.ggml.tokens", true.into(), "list of texts");
    check(
        "tokenizer.ggml.token_type",
        vec![1i32, 1].into(),
        "2 entries for 1",
    );
    check(
        "tokenizer.ggml.merges",
        vec!["ab".to_owned()].into(),
        "no pair",
    );
    check("tokenizer.ggml.bos_token_id", "x".into(), "whole number");
    check("llama.attention.head_count", 0u32.into(), "zero");
    check("llama.attention.head_count", 7u32.into(), "does not divide");
    check(
        "llama.attention.head_count",
        vec![1u32, 2].into(),
        "all layers",
    );
    check(
        "llama.attention.head_count_kv",
        Vec::<u32>::new().into(),
        "empty",
    );
    check("llama.block_count", (-3i32).into(), "-3");
    check("llama.embedding_length", u64::MAX.into(), "whole number");
    check(
        "llama.attention.value_length",
        3u32.into(),
        "the same length",
    );
    check("llama.rope.freq_base", f32::NAN.into(), "finite");
    check(
        "llama.rope.scaling.type",
        "dynamic".into(),
        "none, linear, yarn",
    );
    check(
        "llama.attention.layer_norm_rms_epsilon",
        "x".into(),
        "finite",
    );
    let mut missing = sizes("llama");
    missing.remove("llama.embedding_length");
    let error = model(&missing).unwrap().config().unwrap_err().to_string();
    assert!(
        error.contains("`llama.embedding_length` is missing"),
        "{error}"
    );
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("x.gguf");
    let tensors = [
        (
            "token_embd.weight",
            Array::zeros([8, 64], Dtype::Float32).unwrap(),
        ),
        (
            "blk.0.odd.weight",
            Array::zeros([8, 64], Dtype::Float32).unwrap(),
        ),
    ];
    save_gguf(&path, tensors, &sizes("llama")).unwrap();
    let error = ModelFolder::open(&path)
        .unwrap()
        .tensors()
        .unwrap_err()
        .to_string();
    assert!(error.contains("blk.0.odd.weight"), "{error}");
}

/// Uses all of a file that opens; returns whether it made a model and a tokenizer.
fn exercise(bytes: Vec<u8>) -> bool {
    let Ok(model) = Gguf::from_bytes(bytes)
        .map_err(Error::from)
        .and_then(GgufModel::new)
    else {
        return false;
    };
    let path = Path::new("x.gguf");
    let config = model
        .config()
        .and_then(|text| ModelConfig::parse(path, &text));
    let tokenizer = model
        .tokenizer()
        .and_then(|text| Tokenizer::parse(path, &text));
    let others = model.tokenizer_config().is_ok()
        && match model.generation_config() {
            Ok(Some(text)) => GenerationConfig::parse(path, &text).is_ok(),
            other => other.is_ok(),
        };
    let built = match (&config, model.tensors()) {
        (Ok(config), Ok(tensors)) => {
            let weights = Weights::new("x.gguf", tensors);
            let weights = match &config.quantization {
                Some(packing) => weights.packed_as(packing.clone()),
                None => weights,
            };
            models::build(config, &weights).is_ok()
        }
        _ => false,
    };
    built
        && others
        && tokenizer
            .and_then(|tokenizer| tokenizer.encode("hello"))
            .is_ok()
}

#[test]
fn changed_bytes_never_panic() {
    let (_keep, original) = folder(&test_tokenizers::byte_fallback(), &json!({}));
    let (_file, back) = saved(&original, GgufKind::Q4_0);
    let file = olivine_io::load_gguf(back.path()).unwrap();
    // Without the copy of the whole tokenizer, and with few tokens, so that the test is quick.
    let mut metadata = file.metadata().clone();
    metadata.remove(tokenizer::WHOLE);
    for key in [tokenizer::MERGES, tokenizer::CHAT_TEMPLATE] {
        metadata.remove(key);
    }
    let tokens: Vec<String> = ["<s>", "</s>", "▁", "h", "e", "l", "o", "he", "ll", "▁he"]
        .map(str::to_owned)
        .to_vec();
    metadata.insert(tokenizer::TYPES.to_owned(), vec![1i32; tokens.len()].into());
    metadata.insert(
        tokenizer::SCORES.to_owned(),
        vec![0.5f32; tokens.len()].into(),
    );
    metadata.insert(tokenizer::TOKENS.to_owned(), tokens.into());
    let mut whole = Vec::new();
    write_gguf(&mut whole, file.arrays().unwrap(), &metadata).unwrap();
    assert!(exercise(whole.clone()));
    let data = whole.len()
        - file
            .names()
            .map(|name| file.info(name).unwrap().bytes)
            .sum::<usize>();
    let mut random = StdRng::seed_from_u64(1);
    let mut failures = 0;
    for at in (0..data.min(whole.len())).step_by(2) {
        let mut bytes = whole.clone();
        bytes[at] = match at % 3 {
            0 => 0xff,
            1 => 0,
            _ => random.random(),
        };
        failures += usize::from(!exercise(bytes));
    }
    assert!(failures > 100, "{failures} changes were noticed");
    for length in (0..data).step_by(97) {
        assert!(!exercise(whole[..length].to_vec()), "{length}");
    }
}
