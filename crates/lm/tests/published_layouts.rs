//! Loads models as their makers publish them, with other names and layouts than MLX's, and
//! compares them with the same models as MLX has them.

use std::{collections::BTreeMap, path::Path};

use olivine_core::{
    Array, Dtype, Tolerance, concatenate,
    quantized::Quantization,
    random::{self, uniform},
    stack,
};
use olivine_cpu as _;
use olivine_io::save_safetensors;
use olivine_lm::{LanguageModel, ModelConfig, ModelFolder, Sequences, Weights, models};
use olivine_nn::Module;
use serde_json::{Value, json};

type Tensors = BTreeMap<String, Array>;

/// The small configuration of that name, which the recordings use too.
fn config(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../conformance/scripts/models")
        .join(format!("{name}.json"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Random tensors of a model as MLX has them.
fn tensors(config: &Value) -> Tensors {
    random::seed(7);
    let parsed = ModelConfig::parse(Path::new("config.json"), &config.to_string()).unwrap();
    let model = models::build(&parsed, &Weights::random()).unwrap();
    let scattered = |(name, value): (String, Array)| {
        // Fresh norms are all ones, and fresh corrections all zeros.
        let value = match value.ndim() {
            1 => value
                .add(
                    uniform(value.shape().clone())
                        .unwrap()
                        .multiply(0.5)
                        .unwrap(),
                )
                .unwrap(),
            _ => value,
        };
        (name, value)
    };
    model.parameters().into_iter().map(scattered).collect()
}

fn load(config: &Value, tensors: Tensors) -> Box<dyn LanguageModel> {
    try_load(config, tensors).unwrap()
}

fn try_load(config: &Value, tensors: Tensors) -> olivine_lm::Result<Box<dyn LanguageModel>> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    save_safetensors(
        folder.path().join("model.safetensors"),
        tensors,
        &BTreeMap::new(),
    )
    .unwrap();
    models::load(&ModelFolder::open(folder.path()).unwrap())
}

fn logits(model: &dyn LanguageModel) -> Array {
    let tokens = Array::from_slice(&[5u32, 80, 3, 17, 42, 9, 64, 1], [1, 8]).unwrap();
    let hidden = model.hidden(&tokens, &mut Sequences::forgotten()).unwrap();
    model.logits(&hidden).unwrap()
}

fn assert_same(name: &str, own: &dyn LanguageModel, published: &dyn LanguageModel) {
    let (own, published) = (logits(own), logits(published));
    let tolerance = Tolerance {
        relative: 1e-4,
        absolute: 1e-5,
        ..Tolerance::default()
    };
    let same = own.allclose(&published, tolerance).unwrap();
    assert!(same.item::<bool>().unwrap(), "{name}");
    assert!(own.abs().unwrap().max(..).unwrap().item::<f32>().unwrap() > 0.01);
}

/// `switch` of each layer, cut into `experts.N` under the names that `rename` gives.
fn cut_experts(tensors: Tensors, switch: &str, rename: &dyn Fn(&str) -> String) -> Tensors {
    let mut cut = Tensors::new();
    for (name, value) in tensors {
        match name.split_once(&format!(".{switch}.")) {
            Some((layer, rest)) => {
                let (part, kind) = rest.split_once('.').unwrap();
                for (number, one) in value.unstack(0).unwrap().into_iter().enumerate() {
                    let part = rename(part);
                    cut.insert(format!("{layer}.experts.{number}.{part}.{kind}"), one);
                }
            }
            None => {
                cut.insert(name, value);
            }
        }
    }
    cut
}

fn map(tensors: Tensors, change: impl Fn(&str, Array) -> Array) -> Tensors {
    let changed = |(name, value): (String, Array)| {
        let value = change(&name, value);
        (name, value)
    };
    tensors.into_iter().map(changed).collect()
}

/// Convolutions as PyTorch has them.
fn turn_convolutions(tensors: Tensors) -> Tensors {
    map(tensors, |name, value| match name {
        _ if name.ends_with("conv1d.weight") || name.ends_with("conv.conv.weight") => {
            value.swapaxes(1, 2).unwrap().contiguous().unwrap()
        }
        _ => value,
    })
}

#[test]
fn single_experts_are_stacked() {
    let usual = |part: &str| part.to_owned();
    for name in [
        "qwen3_moe",
        "qwen2_moe",
        "olmoe",
        "glm4_moe",
        "ernie4_5_moe",
        "deepseek_v2",
    ] {
        let config = config(name);
        let own = tensors(&config);
        let published = cut_experts(own.clone(), "switch_mlp", &usual);
        assert!(published.keys().any(|name| name.contains(".experts.0.")));
        assert_same(name, &*load(&config, own), &*load(&config, published));
    }
}

#[test]
fn mixtral_has_numbers_for_names() {
    let config = config("mixtral");
    let own = tensors(&config);
    let numbered = |part: &str| match part {
        "gate_proj" => "w1".to_owned(),
        "down_proj" => "w2".to_owned(),
        _ => "w3".to_owned(),
    };
    let published = cut_experts(own.clone(), "switch_mlp", &numbered);
    assert_same("mixtral", &*load(&config, own), &*load(&config, published));
}

#[test]
fn convolutions_are_turned() {
    for name in ["mamba2", "lfm2"] {
        let config = config(name);
        let own = tensors(&config);
        let published = turn_convolutions(own.clone());
        assert_same(name, &*load(&config, own), &*load(&config, published));
    }
}

#[test]
fn experts_of_nemotron_are_stacked_under_other_names() {
    let config = config("nemotron_h_moe");
    let own = tensors(&config);
    let named = |part: &str| match part {
        "fc1" => "up_proj".to_owned(),
        _ => "down_proj".to_owned(),
    };
    let mut published = turn_convolutions(cut_experts(own.clone(), "switch_mlp", &named));
    published.insert(
        "mtp.layers.0.weight".to_owned(),
        Array::ones([2], Dtype::Float32).unwrap(),
    );
    assert_same(
        "nemotron_h",
        &*load(&config, own),
        &*load(&config, published),
    );
}

#[test]
fn norms_of_qwen3_next_lack_one() {
    let config = config("qwen3_next");
    let own = tensors(&config);
    let published = cut_experts(own.clone(), "switch_mlp", &|part| part.to_owned());
    let published = map(turn_convolutions(published), |name, value| {
        let plain = name.ends_with("linear_attn.norm.weight") || !name.contains("norm");
        if plain {
            value
        } else {
            value.subtract(1.0).unwrap()
        }
    });
    assert_same(
        "qwen3_next",
        &*load(&config, own),
        &*load(&config, published),
    );
}

#[test]
fn one_matrix_of_deepseek_v3_makes_keys_and_values() {
    for name in ["deepseek_v3", "deepseek_v3_plain"] {
        let config = config(name);
        let own = tensors(&config);
        let mut published = cut_experts(own.clone(), "switch_mlp", &|part| part.to_owned());
        let layers: Vec<String> = own
            .keys()
            .filter_map(|name| name.strip_suffix(".embed_q.weight"))
            .map(str::to_owned)
            .collect();
        assert!(!layers.is_empty());
        for layer in layers {
            let mut part = |name: &str| published.remove(&format!("{layer}.{name}.weight"));
            let keys = part("embed_q").unwrap().swapaxes(1, 2).unwrap();
            let both = concatenate(&[keys, part("unembed_out").unwrap()], 1).unwrap();
            let both = both.flatten(0, 1).unwrap();
            published.insert(format!("{layer}.kv_b_proj.weight"), both);
        }
        // What predicts further tokens is left out.
        let last = config["num_hidden_layers"].as_u64().unwrap();
        published.insert(
            format!("model.layers.{last}.eh_proj.weight"),
            Array::ones([2], Dtype::Float32).unwrap(),
        );
        assert_same(name, &*load(&config, own), &*load(&config, published));
    }
}

#[test]
fn experts_of_llama_4_are_two_matrices_the_other_way_round() {
    let config = config("llama4");
    let own = tensors(&config);
    let mut published = Tensors::new();
    for (name, value) in own.clone() {
        let turned = || value.swapaxes(1, 2).unwrap();
        match name.split_once(".feed_forward.experts.") {
            Some((layer, "gate_proj.weight")) => {
                let up = &own[&format!("{layer}.feed_forward.experts.up_proj.weight")];
                let both = concatenate(&[turned(), up.swapaxes(1, 2).unwrap()], 2).unwrap();
                published.insert(format!("{layer}.feed_forward.experts.gate_up_proj"), both);
            }
            Some((layer, "down_proj.weight")) => {
                let name = format!("{layer}.feed_forward.experts.down_proj");
                published.insert(name, turned().contiguous().unwrap());
            }
            Some(_) => {}
            None => {
                published.insert(name, value);
            }
        }
    }
    let picture = Array::ones([2], Dtype::Float32).unwrap();
    published.insert("vision_model.weight".to_owned(), picture);
    assert_same("llama4", &*load(&config, own), &*load(&config, published));
}

/// Rows of gates and of the other projections, taking turns.
fn alternating(gate: &Array, up: &Array) -> Array {
    stack(&[gate, up], 2).unwrap().flatten(1, 2).unwrap()
}

#[test]
fn blocks_of_gpt_oss_are_the_same_as_packed_matrices() {
    let plain = config("gpt_oss");
    let mut own = Tensors::new();
    let mut published = Tensors::new();
    let all = tensors(&plain);
    for (name, value) in &all {
        let Some((layer, part)) = name.split_once(".experts.") else {
            own.insert(name.clone(), value.clone());
            published.insert(name.clone(), value.clone());
            continue;
        };
        let name = |part: &str| format!("{layer}.experts.{part}");
        let packed = |part: &str| {
            let weight = &all[&name(&format!("{part}.weight"))];
            weight.quantize(Quantization::MXFP4, None).unwrap()
        };
        // Words of eight codes, as blocks of sixteen bytes.
        let blocks = |codes: &Array| {
            let bytes = codes.view(Dtype::Uint8).unwrap();
            bytes.unflatten(-1, [-1, 16]).unwrap().contiguous().unwrap()
        };
        match part {
            "gate_proj.weight" => {
                let (gate, up) = (packed("gate_proj"), packed("up_proj"));
                let codes = alternating(&blocks(&gate.codes), &blocks(&up.codes));
                let scales = alternating(&gate.scales, &up.scales);
                published.insert(name("gate_up_proj_blocks"), codes);
                published.insert(name("gate_up_proj_scales"), scales);
            }
            "gate_proj.bias" => {
                let up = &all[&name("up_proj.bias")];
                let both = stack(&[value, up], 2).unwrap().flatten(1, 2).unwrap();
                published.insert(name("gate_up_proj_bias"), both);
            }
            "down_proj.weight" => {
                let down = packed("down_proj");
                published.insert(name("down_proj_blocks"), blocks(&down.codes));
                published.insert(name("down_proj_scales"), down.scales);
            }
            "down_proj.bias" => {
                published.insert(name("down_proj_bias"), value.clone());
            }
            _ => {}
        }
        match part.split_once('.') {
            Some((layer, "weight")) => {
                let packed = packed(layer);
                own.insert(name(part), packed.codes);
                own.insert(name(&format!("{layer}.scales")), packed.scales);
            }
            _ => {
                own.insert(name(part), value.clone());
            }
        }
    }
    let (mut mlx, mut makers) = (plain.clone(), plain);
    mlx["quantization"] = json!({"group_size": 32, "bits": 4, "mode": "mxfp4"});
    makers["quantization_config"] = json!({"quant_method": "mxfp4"});
    assert_same("gpt_oss", &*load(&mlx, own), &*load(&makers, published));
}

#[test]
fn plain_experts_of_gpt_oss_are_turned() {
    let config = config("gpt_oss");
    let own = tensors(&config);
    let mut published = Tensors::new();
    for (name, value) in &own {
        let Some((layer, part)) = name.split_once(".experts.") else {
            published.insert(name.clone(), value.clone());
            continue;
        };
        let name = |part: &str| format!("{layer}.experts.{part}");
        let turned = |x: &Array| x.swapaxes(1, 2).unwrap().contiguous().unwrap();
        match part {
            "gate_proj.weight" | "gate_proj.bias" => {
                let kind = part.strip_prefix("gate_proj").unwrap();
                let both = alternating(value, &own[&name(&format!("up_proj{kind}"))]);
                match kind {
                    ".weight" => published.insert(name("gate_up_proj"), turned(&both)),
                    _ => published.insert(name("gate_up_proj_bias"), both),
                };
            }
            "down_proj.weight" => {
                published.insert(name("down_proj"), turned(value));
            }
            "down_proj.bias" => {
                published.insert(name("down_proj_bias"), value.clone());
            }
            _ => {}
        }
    }
    assert_same("gpt_oss", &*load(&config, own), &*load(&config, published));
}

/// The same tensors under the names that `rename` gives.
fn renamed(tensors: Tensors, rename: impl Fn(&str) -> String) -> Tensors {
    let pairs = tensors.into_iter();
    pairs.map(|(name, value)| (rename(&name), value)).collect()
}

#[test]
fn matrices_of_gpt_2_are_turned() {
    let config = config("gpt2");
    let own = tensors(&config);
    let mut published = map(own.clone(), |name, value| match value.ndim() {
        2 if name.starts_with("model.h.") => value.swapaxes(0, 1).unwrap().contiguous().unwrap(),
        _ => value,
    });
    published = renamed(published, |name| name.replacen("model.", "", 1));
    let mask = Array::ones([1, 1, 4, 4], Dtype::Float32).unwrap();
    published.insert("h.0.attn.bias".to_owned(), mask);
    assert_same("gpt2", &*load(&config, own), &*load(&config, published));
}

#[test]
fn gpt_neox_has_layers_of_another_name() {
    let config = config("gpt_neox");
    let own = tensors(&config);
    let mut published = renamed(own.clone(), |name| match name.strip_prefix("model.h.") {
        Some(rest) => format!("gpt_neox.layers.{rest}"),
        None if name.contains("embed_out") => name.replace("model.", ""),
        None => name.replace("model.", "gpt_neox."),
    });
    let mask = Array::ones([1, 1, 4, 4], Dtype::Float32).unwrap();
    published.insert("gpt_neox.layers.0.attention.bias".to_owned(), mask);
    assert_same("gpt_neox", &*load(&config, own), &*load(&config, published));
}

#[test]
fn towers_beside_gemma_are_left_out() {
    for (name, tower) in [
        ("gemma3", "vision_tower.weight"),
        ("gemma3n", "model.audio_tower.weight"),
    ] {
        let config = config(name);
        let own = tensors(&config);
        let mut published = renamed(own.clone(), |name| {
            name.replace("language_model.model.", "model.language_model.")
                .replace("language_model.lm_head.", "lm_head.")
        });
        let picture = Array::ones([2], Dtype::Float32).unwrap();
        published.insert(tower.to_owned(), picture);
        assert_same(name, &*load(&config, own), &*load(&config, published));
    }
}

/// A matrix as GPTQ packs it, and its plain numbers.
fn gptq(outputs: usize, groups: &[usize], zero_offset: u32, seed: &mut u32) -> (Tensors, Array) {
    let mut draw = |below: u32| {
        *seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (*seed >> 16) % below
    };
    let (inputs, count) = (groups.len(), groups.iter().max().unwrap() + 1);
    let codes: Vec<u32> = (0..inputs * outputs).map(|_| draw(16)).collect();
    let zeros: Vec<u32> = (0..count * outputs).map(|_| draw(15) + 1).collect();
    let scales: Vec<f32> = (0..count * outputs)
        .map(|_| 0.002 + draw(100) as f32 * 1e-4)
        .collect();
    let mut plain = vec![0.0; outputs * inputs];
    let mut words = vec![0u32; inputs / 8 * outputs];
    for (input, &group) in groups.iter().enumerate() {
        for output in 0..outputs {
            let (code, place) = (codes[input * outputs + output], group * outputs + output);
            plain[output * inputs + input] = (code as f32 - zeros[place] as f32) * scales[place];
            words[input / 8 * outputs + output] |= code << (4 * (input % 8));
        }
    }
    let mut zero_words = vec![0u32; count * outputs / 8];
    for (place, zero) in zeros.iter().enumerate() {
        zero_words[place / 8] |= (zero - zero_offset) << (4 * (place % 8));
    }
    let signed = |words: &[u32], shape: [usize; 2]| {
        let words: Vec<i32> = words.iter().map(|&word| word as i32).collect();
        Array::from_slice(&words, shape).unwrap()
    };
    let groups: Vec<i32> = groups.iter().map(|&group| group as i32).collect();
    let packed = [
        ("qweight", signed(&words, [inputs / 8, outputs])),
        ("qzeros", signed(&zero_words, [count, outputs / 8])),
        (
            "scales",
            Array::from_slice(&scales, [count, outputs]).unwrap(),
        ),
        ("g_idx", Array::from_slice(&groups, [inputs]).unwrap()),
    ];
    let packed = packed.map(|(name, value)| (name.to_owned(), value));
    let plain = Array::from_slice(&plain, [outputs, inputs]).unwrap();
    (packed.into(), plain)
}

#[test]
fn gptq_takes_inputs_in_any_order() {
    let mut plain_config = config("llama");
    plain_config["hidden_size"] = json!(64);
    plain_config["intermediate_size"] = json!(96);
    let all = tensors(&plain_config);
    let build = |group_of: &dyn Fn(usize, usize) -> usize, zero_offset| {
        let (mut own, mut published, mut seed) = (Tensors::new(), Tensors::new(), 7);
        for (name, value) in &all {
            let Some(layer) = name.strip_suffix("_proj.weight") else {
                own.insert(name.clone(), value.clone());
                published.insert(name.clone(), value.clone());
                continue;
            };
            let &[outputs, inputs] = value.shape().dims() else {
                panic!("{name} is no matrix")
            };
            let groups: Vec<usize> = (0..inputs).map(|i| group_of(i, inputs)).collect();
            let (packed, plain) = gptq(outputs, &groups, zero_offset, &mut seed);
            own.insert(name.clone(), plain);
            for (part, value) in packed {
                published.insert(format!("{layer}_proj.{part}"), value);
            }
        }
        (own, published)
    };
    let mut packed_config = plain_config.clone();
    let settings = |act: bool, format: &str| {
        json!({"quant_method": "gptq", "bits": 4, "group_size": 32, "desc_act": act,
            "checkpoint_format": format})
    };
    let is_packed = |model: &dyn LanguageModel| {
        let parameters = model.parameters();
        parameters.keys().any(|name| name.ends_with("_proj.scales"))
    };
    // Every input of a group comes from elsewhere: 37 and the widths have no common divisor.
    let scattered = |input: usize, inputs: usize| input * 37 % inputs / 32;
    let (own, published) = build(&scattered, 1);
    packed_config["quantization_config"] = settings(true, "gptq");
    let model = load(&packed_config, published.clone());
    assert!(!is_packed(&*model));
    assert_same("scattered", &*load(&plain_config, own), &*model);

    // Damaged groups, and none where there must be some.
    for (value, problem) in [(Some(9), "names group 9"), (None, "g_idx is missing")] {
        let mut damaged = published.clone();
        for (name, groups) in &mut damaged {
            if let (Some(value), true) = (value, name.ends_with("g_idx")) {
                *groups = Array::full(groups.shape().clone(), value).unwrap();
            }
        }
        damaged.retain(|name, _| value.is_some() || !name.ends_with("g_idx"));
        let error = try_load(&packed_config, damaged).err().unwrap();
        assert!(error.to_string().contains(problem), "{error}");
    }

    // Groups in order stay packed, whatever the configuration calls them.
    let (own, published) = build(&|input, _| input / 32, 0);
    for act in [true, false] {
        packed_config["quantization_config"] = settings(act, "gptq_v2");
        let model = load(&packed_config, published.clone());
        assert!(is_packed(&*model));
        assert_same("in order", &*load(&plain_config, own.clone()), &*model);
    }
}
