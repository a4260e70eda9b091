//! Owns the proof that the front door picks the right format.

use olivine_core::Dtype;

use super::*;
use crate::safetensors::samples::{any_array, bytes_of};

fn several() -> Vec<(String, Array)> {
    let a = any_array(Dtype::Float32, &[2, 3]);
    let b = any_array(Dtype::Int16, &[4]);
    vec![("a".into(), a), ("b".into(), b)]
}

#[test]
fn several_arrays_go_into_every_format_that_has_names() {
    let folder = tempfile::tempdir().unwrap();
    for (name, format) in [
        ("x.npz", Format::Npz),
        ("x.safetensors", Format::SafeTensors),
        ("x.gguf", Format::Gguf),
    ] {
        let path = folder.path().join(name);
        save(&path, several()).unwrap();
        let loaded = load(&path).unwrap();
        assert_eq!(loaded.format, format);
        let arrays = loaded.arrays().unwrap();
        assert_eq!(arrays.len(), 2);
        for (name, array) in several() {
            assert_eq!(bytes_of(&arrays[&name]), bytes_of(&array));
        }
        assert!(load(&path).unwrap().array().is_err());
    }
}

#[test]
fn without_a_known_extension_the_content_decides() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["x.npy", "x.npz", "x.safetensors", "x.gguf"] {
        let path = folder.path().join(name);
        let format = Format::of_path(&path).unwrap();
        match format {
            Format::Npy => save(&path, any_array(Dtype::Bool, &[3])).unwrap(),
            _ => save(&path, several()).unwrap(),
        }
        let other = folder.path().join("blob");
        std::fs::rename(&path, &other).unwrap();
        assert_eq!(load(&other).unwrap().format, format);
        let reader = std::fs::File::open(&other).unwrap();
        let source = Source::from_reader(reader).unwrap();
        assert_eq!(load_source(source).unwrap().format, format);
    }
}

#[test]
fn what_does_not_fit_says_what_would() {
    let folder = tempfile::tempdir().unwrap();
    let one = any_array(Dtype::Float32, &[1]);
    for (name, contents, fix) in [
        ("x", Contents::from(&one), ".npy"),
        ("x.npz", Contents::from(&one), ".npy"),
        ("x.npy", several().into(), ".npz"),
    ] {
        let error = save(folder.path().join(name), contents).unwrap_err();
        assert!(error.to_string().contains(fix), "{error}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    let path = folder.path().join("notes.txt");
    std::fs::write(&path, "hello").unwrap();
    let error = load(&path).unwrap_err().to_string();
    assert!(
        error.contains("notes.txt") && error.contains(".safetensors"),
        "{error}"
    );
}
