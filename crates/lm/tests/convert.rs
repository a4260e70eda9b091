//! Compares conversions with those of mlx-lm, byte by byte, and tries what can go wrong.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use olivine_core::{Array, Dtype, quantized::Quantization};
use olivine_cpu as _;
use olivine_io::load_safetensors;
use olivine_lm::{
    Change, ConvertOptions, Error, MixedBits, ModelFolder, Recipe, Sequences, convert, dtype_of,
    models,
};
use serde::Deserialize;
use serde_json::Value;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../conformance/golden")
        .join(name)
}

#[derive(Deserialize)]
struct Recorded {
    tensors: BTreeMap<String, String>,
    quantization: Value,
}

/// A hash (FNV-1a) of an array's bytes.
fn hash(array: &Array) -> String {
    let bytes = match array.dtype() {
        Dtype::Uint8 => array.to_vec::<u8>().unwrap(),
        dtype => {
            let flat = array.reshape([array.size()]).unwrap();
            assert_ne!(dtype, Dtype::Bool);
            flat.view(Dtype::Uint8).unwrap().to_vec::<u8>().unwrap()
        }
    };
    let hash = bytes
        .into_iter()
        .fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3)
        });
    format!("{hash:016x}")
}

fn recipe(way: &str, group_size: usize, bits: usize) -> Recipe {
    if way.starts_with("mixed") {
        return way
            .parse::<MixedBits>()
            .unwrap()
            .recipe(2, group_size)
            .unwrap();
    }
    let some = |size: usize| (size > 0).then_some(size);
    let scheme = Quantization::new(way.parse().unwrap(), some(group_size), some(bits)).unwrap();
    Recipe::uniform(scheme)
}

fn quantized(quantize: Recipe) -> ConvertOptions {
    let change = Change {
        quantize: Some(quantize),
        ..Change::default()
    };
    ConvertOptions {
        change,
        ..ConvertOptions::default()
    }
}

#[test]
fn every_packing_has_the_bytes_of_mlx_lm() {
    let text = std::fs::read_to_string(golden("convert.json")).unwrap();
    let recorded: BTreeMap<String, Recorded> = serde_json::from_str(&text).unwrap();
    let folder = ModelFolder::open(golden("llama")).unwrap();
    for (way, recorded) in recorded {
        let parts: Vec<&str> = way.split(' ').collect();
        let (bits, group_size) = (parts[1].parse().unwrap(), parts[2].parse().unwrap());
        let quantize = Some(recipe(parts[0], group_size, bits));
        let change = Change {
            quantize,
            dequantize: false,
            dtype: dtype_of(parts[3]),
            ..Change::default()
        };
        let place = tempfile::tempdir().unwrap();
        let out = place.path().join("out");
        let options = ConvertOptions {
            change,
            ..ConvertOptions::default()
        };
        convert(&folder, &out, &options, &mut |_, _| true).unwrap();

        let tensors = load_safetensors(out.join("model.safetensors")).unwrap();
        let names: Vec<&String> = recorded.tensors.keys().collect();
        let mut own: Vec<String> = tensors.names().map(str::to_owned).collect();
        own.sort();
        assert_eq!(own.iter().collect::<Vec<_>>(), names, "{way}");
        for (name, expected) in &recorded.tensors {
            assert_eq!(
                &hash(&tensors.array(name).unwrap()),
                expected,
                "{way}: {name}"
            );
        }
        let config: Value =
            serde_json::from_str(&std::fs::read_to_string(out.join("config.json")).unwrap())
                .unwrap();
        for (field, value) in recorded.quantization.as_object().unwrap() {
            match value {
                // The reference names layers that are packed as all others, too.
                Value::Object(layer) => {
                    let own = config["quantization"]
                        .get(field)
                        .unwrap_or(&config["quantization"]);
                    assert_eq!(own["bits"], layer["bits"], "{way}: {field}");
                }
                // Its default is four bits for mixed ones, which no layer has.
                _ if parts[0].starts_with("mixed") => {}
                value => assert_eq!(&config["quantization"][field], value, "{way}: {field}"),
            }
        }
        models::load(&ModelFolder::open(&out).unwrap()).unwrap();
    }
}

/// Packs a model, converts it again, and checks that it is plain then and has the same logits.
fn check_unpacked(scheme: Quantization, change: Change) {
    let place = tempfile::tempdir().unwrap();
    let (packed, plain) = (place.path().join("packed"), place.path().join("plain"));
    let folder = ModelFolder::open(golden("llama")).unwrap();
    let options = quantized(Recipe::uniform(scheme));
    convert(&folder, &packed, &options, &mut |_, _| true).unwrap();
    let options = ConvertOptions {
        change,
        ..ConvertOptions::default()
    };
    let packed = ModelFolder::open(packed).unwrap();
    let packing = packed.config().unwrap().quantization.unwrap();
    assert_eq!(packing.default, scheme);
    convert(&packed, &plain, &options, &mut |_, _| true).unwrap();
    let plain = ModelFolder::open(plain).unwrap();
    assert!(plain.config().unwrap().quantization.is_none());
    let logits = |folder: &ModelFolder| {
        let model = models::load(folder).unwrap();
        let tokens = Array::from_slice(&[1, 2, 3], [1, 3]).unwrap();
        let hidden = model.hidden(&tokens, &mut Sequences::forgotten()).unwrap();
        model.logits(&hidden).unwrap().to_vec::<f32>().unwrap()
    };
    for (a, b) in logits(&packed).into_iter().zip(logits(&plain)) {
        assert!((a - b).abs() < 1e-4, "{scheme:?}: {a} against {b}");
    }
}

#[test]
fn unpacking_gives_the_logits_of_the_packed_model() {
    let change = Change {
        dequantize: true,
        ..Change::default()
    };
    check_unpacked(Quantization::default(), change);
}

#[test]
fn what_mlx_cannot_read_is_unpacked() {
    for bits in [2, 4, 6, 8] {
        check_unpacked(Quantization::affine(16, bits).unwrap(), Change::default());
    }
}

#[test]
fn large_models_are_split_into_files_that_the_index_names() {
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("out");
    let folder = ModelFolder::open(golden("llama")).unwrap();
    let options = ConvertOptions {
        shard_bytes: 50_000,
        ..ConvertOptions::default()
    };
    let (mut calls, mut last) = (0, (0, 1));
    let made = convert(&folder, &out, &options, &mut |done, all| {
        calls += 1;
        assert!(done >= last.0 && done <= all);
        last = (done, all);
        true
    })
    .unwrap();
    assert!(made.files > 2 && calls > 2);
    assert_eq!(last.0, last.1);
    let out = ModelFolder::open(out).unwrap();
    assert_eq!(out.weights().unwrap().files.len(), made.files);
    let (a, b) = (models::load(&folder).unwrap(), models::load(&out).unwrap());
    for (name, value) in a.parameters() {
        assert_eq!(hash(&value), hash(&b.parameters()[&name]), "{name}");
    }
}

#[test]
fn nothing_is_left_behind_where_a_conversion_fails() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("in");
    std::fs::create_dir(&folder).unwrap();
    for name in ["config.json", "model.safetensors"] {
        std::fs::copy(golden("llama").join(name), folder.join(name)).unwrap();
    }
    let weights = std::fs::read(folder.join("model.safetensors")).unwrap();
    std::fs::write(
        folder.join("model.safetensors"),
        &weights[..weights.len() / 2],
    )
    .unwrap();
    let out = place.path().join("out");
    let source = ModelFolder::open(&folder).unwrap();
    let error = convert(&source, &out, &ConvertOptions::default(), &mut |_, _| true).unwrap_err();
    assert!(!error.to_string().contains('\n'), "{error}");
    let whole = ModelFolder::open(golden("llama")).unwrap();
    let stop = convert(&whole, &out, &ConvertOptions::default(), &mut |_, _| false).unwrap_err();
    assert!(matches!(stop, Error::Stopped) && !out.exists());
    // A folder that is there already is not touched.
    std::fs::write(&out, "mine").unwrap();
    let error = convert(&source, &out, &ConvertOptions::default(), &mut |_, _| true).unwrap_err();
    assert!(matches!(error, Error::OutputExists { .. }), "{error}");
    assert_eq!(std::fs::read_to_string(&out).unwrap(), "mine");
    let names: Vec<_> = std::fs::read_dir(place.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names.len(), 2, "{names:?}");
}

#[test]
fn random_models_need_a_configuration_only() {
    let place = tempfile::tempdir().unwrap();
    std::fs::copy(
        golden("llama").join("config.json"),
        place.path().join("config.json"),
    )
    .unwrap();
    let out = place.path().join("out");
    let folder = ModelFolder::open(place.path()).unwrap();
    let options = ConvertOptions {
        random: true,
        ..quantized(Recipe::uniform(Quantization::default()))
    };
    let made = convert(&folder, &out, &options, &mut |_, _| true).unwrap();
    let model = models::load(&ModelFolder::open(out).unwrap()).unwrap();
    let plain = models::load(&ModelFolder::open(golden("llama")).unwrap()).unwrap();
    assert_eq!(made.parameters, plain.num_parameters() as u64);
    assert!(
        model
            .parameters()
            .contains_key("model.layers.0.mlp.up_proj.scales")
    );
}
