//! Owns the tests of finding a model's files.

use std::fs;

use super::*;

const CONFIG_TEXT: &str = r#"{"model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2,
    "num_attention_heads": 4, "intermediate_size": 128, "vocab_size": 1000}"#;

fn folder(files: &[(&str, &[u8])]) -> (tempfile::TempDir, ModelFolder) {
    let directory = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        fs::write(directory.path().join(name), bytes).unwrap();
    }
    let folder = ModelFolder::open(directory.path()).unwrap();
    (directory, folder)
}

#[test]
fn paths_that_are_no_folder_say_what_they_are() {
    let directory = tempfile::tempdir().unwrap();
    let absent = ModelFolder::open(directory.path().join("absent")).unwrap_err();
    assert!(absent.to_string().contains("does not exist"), "{absent}");
    let file = directory.path().join("model.pth");
    fs::write(&file, b"PK").unwrap();
    let error = ModelFolder::open(&file).unwrap_err();
    assert!(error.to_string().contains("it is a file"), "{error}");
    assert!(error.help().is_some());
}

#[test]
fn an_empty_folder_names_each_file_it_lacks() {
    let (_keep, folder) = folder(&[]);
    let missing = |error: Error| match error {
        Error::MissingFile { file, .. } => file,
        other => panic!("{other}"),
    };
    assert_eq!(missing(folder.config().unwrap_err()), "config.json");
    assert_eq!(
        missing(folder.tokenizer_json().unwrap_err()),
        "tokenizer.json"
    );
    assert_eq!(missing(folder.weights().unwrap_err()), "model.safetensors");
    assert_eq!(
        folder.generation_config().unwrap(),
        GenerationConfig::default()
    );
    assert!(folder.tokenizer_config().unwrap().is_none());
    assert!(folder.chat_template().unwrap().is_none());
}

#[test]
fn a_directory_in_place_of_a_file_is_an_io_error() {
    let (directory, folder) = folder(&[]);
    fs::create_dir(directory.path().join("config.json")).unwrap();
    let error = folder.config().unwrap_err();
    assert!(
        matches!(&error, Error::Io { path, .. } if path.ends_with("config.json")),
        "{error}"
    );
}

#[test]
fn bytes_that_are_not_utf8_are_refused_with_their_offset() {
    let (_keep, folder) = folder(&[("config.json", b"{\"a\": \"\xff\"}")]);
    let error = folder.config().unwrap_err();
    assert!(matches!(error, Error::NotUtf8 { offset: 7, .. }), "{error}");
}

#[test]
fn a_single_weight_file_wins_over_an_index() {
    let (directory, folder) = folder(&[
        ("model.safetensors", b""),
        ("model.safetensors.index.json", b"not even json"),
    ]);
    let weights = folder.weights().unwrap();
    assert_eq!(
        weights.files,
        [WeightFile::Path(directory.path().join("model.safetensors"))]
    );
    assert_eq!(weights.tensors, None);
}

#[test]
fn shards_are_listed_once_and_tensors_point_at_them() {
    let (directory, folder) = folder(&[
        ("b.safetensors", b""),
        ("a.safetensors", b""),
        (
            "model.safetensors.index.json",
            br#"{"metadata": {"total_size": 3}, "weight_map":
               {"x": "b.safetensors", "y": "a.safetensors", "z": "b.safetensors"}}"#,
        ),
    ]);
    let weights = folder.weights().unwrap();
    let path = |name| WeightFile::Path(directory.path().join(name));
    assert_eq!(
        weights.files,
        [path("a.safetensors"), path("b.safetensors")]
    );
    let tensors = weights.tensors.unwrap();
    assert_eq!((tensors["x"], tensors["y"], tensors["z"]), (1, 0, 1));
}

#[test]
fn all_missing_shards_are_named() {
    let (_keep, folder) = folder(&[
        ("b.safetensors", b""),
        (
            "model.safetensors.index.json",
            br#"{"weight_map": {"x": "a.safetensors", "y": "b.safetensors", "z": "c.safetensors"}}"#,
        ),
    ]);
    let error = folder.weights().unwrap_err();
    assert!(
        matches!(&error, Error::MissingShards { missing, .. }
            if missing == &["a.safetensors", "c.safetensors"]),
        "{error}"
    );
}

#[test]
fn an_index_that_points_outside_the_folder_is_refused() {
    for entry in [
        "../secret.safetensors",
        "/etc/secret.safetensors",
        "a/../../secret.safetensors",
        "sub/model.safetensors",
        "./model.safetensors",
        "..\\\\secret.safetensors",
        "C:\\\\secret.safetensors",
        "C:secret.safetensors",
        "\\\\\\\\host\\\\share.safetensors",
        "a\\u0000.safetensors",
        "..",
        ".",
        "",
    ] {
        let index = format!(r#"{{"weight_map": {{"t": "{entry}"}}}}"#);
        let (_keep, folder) = folder(&[("model.safetensors.index.json", index.as_bytes())]);
        let error = folder.weights().unwrap_err();
        assert!(
            matches!(&error, Error::UnsafePath { tensor, .. } if tensor == "t"),
            "{entry}: {error}"
        );
    }
}

#[test]
fn malformed_indices_are_typed_errors() {
    for index in [
        "{}",
        r#"{"weight_map": {}}"#,
        r#"{"weight_map": []}"#,
        r#"{"weight_map": {"t": 3}}"#,
        r#"{"weight_map": {"t": null}}"#,
    ] {
        let (_keep, folder) = folder(&[("model.safetensors.index.json", index.as_bytes())]);
        let error = folder.weights().unwrap_err();
        assert!(matches!(error, Error::Field { .. }), "{index}: {error}");
    }
    let pickled = br#"{"weight_map": {"t": "pytorch_model.bin"}}"#;
    let (_keep, other) = folder(&[("model.safetensors.index.json", pickled)]);
    assert!(matches!(
        other.weights().unwrap_err(),
        Error::UnsupportedSetting { .. }
    ));
    let (_keep, cut) = folder(&[("model.safetensors.index.json", b"{\"weight_map\": {")]);
    assert!(matches!(cut.weights().unwrap_err(), Error::Json { .. }));
}

#[test]
fn chat_templates_are_found_in_order_of_precedence() {
    let jinja: (&str, &[u8]) = ("chat_template.jinja", b"from jinja");
    let named: (&str, &[u8]) = (
        "tokenizer_config.json",
        br#"{"chat_template": [{"name": "tool_use", "template": "no"}, {"name": "default", "template": "from list"}]}"#,
    );
    let plain: (&str, &[u8]) = (
        "tokenizer_config.json",
        br#"{"chat_template": "from config"}"#,
    );
    let old: (&str, &[u8]) = ("chat_template.json", br#"{"chat_template": "from old"}"#);
    let bare: (&str, &[u8]) = ("tokenizer_config.json", b"{}");
    for (files, expected) in [
        (vec![jinja, plain, old], "from jinja"),
        (vec![plain, old], "from config"),
        (vec![named], "from list"),
        (vec![bare, old], "from old"),
    ] {
        let (_keep, folder) = folder(&files);
        assert_eq!(folder.chat_template().unwrap().unwrap().1, expected);
    }
    let nameless: &[u8] = br#"{"chat_template": [{"name": "rag", "template": "x"}]}"#;
    let (_keep, folder) = folder(&[("tokenizer_config.json", nameless)]);
    assert!(matches!(
        folder.chat_template().unwrap_err(),
        Error::Field { .. }
    ));
}

#[test]
fn embedded_models_read_like_folders() {
    static FILES: &[EmbeddedFile] = &[
        ("config.json", CONFIG_TEXT.as_bytes()),
        ("model.safetensors", b"weights"),
        ("generation_config.json", b"\xff"),
    ];
    let folder = ModelFolder::embedded(FILES);
    assert_eq!(folder.config().unwrap().model_type, "llama");
    assert_eq!(
        folder.weights().unwrap().files,
        [WeightFile::Embedded("model.safetensors", b"weights")]
    );
    assert!(matches!(
        folder.generation_config().unwrap_err(),
        Error::NotUtf8 { offset: 0, .. }
    ));
    let error = folder.tokenizer_json().unwrap_err();
    assert_eq!(error.to_string(), "<embedded> has no tokenizer.json");
}

#[test]
fn embedding_keeps_the_bytes_and_aligns_them() {
    let files = crate::embed_model!(env!("CARGO_MANIFEST_DIR"), ["Cargo.toml", "src/lib.rs"]);
    for (name, bytes) in files {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        assert_eq!(fs::read(path).unwrap(), *bytes);
        assert_eq!(bytes.as_ptr().addr() % 64, 0, "{name}");
    }
}
