//! Owns the tests of the `olivine generate` process: its exit codes and what it prints where.

use std::path::Path;
use std::process::{Command, Output, Stdio};

/// The folder of the shipped model.
const SHIPPED: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../models/olivine-tiny-stories"
);

fn olivine(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_olivine"));
    command.args(arguments).stdin(Stdio::null());
    command
}

/// Runs a command that must fail with one error line and at most one line of help.
fn failure(arguments: &[&str]) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = olivine(arguments).output().unwrap();
    let stderr = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(1), "{arguments:?}: {stderr}");
    assert!(stdout.is_empty());
    let lines: Vec<&str> = stderr.lines().collect();
    assert!(lines.len() <= 2, "{stderr}");
    assert!(lines[0].starts_with("error: "), "{stderr}");
    assert!(
        lines.get(1).is_none_or(|line| line.starts_with("help: ")),
        "{stderr}"
    );
    stderr
}

fn folder_with(config: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("config.json"), config).unwrap();
    folder
}

fn model(path: &Path) -> [&str; 3] {
    ["generate", "--model", path.to_str().unwrap()]
}

#[test]
fn bad_model_paths_end_in_one_clear_line() {
    let absent = failure(&["generate", "--model", "/no/such/folder"]);
    assert!(absent.contains("/no/such/folder") && absent.contains("does not exist"));
    let file = failure(&["generate", "--model", env!("CARGO_BIN_EXE_olivine")]);
    assert!(file.contains("is a file"), "{file}");
    let empty = tempfile::tempdir().unwrap();
    assert!(failure(&model(empty.path())).contains("has no config.json"));
}

#[test]
fn impossible_models_end_in_one_clear_line() {
    let mamba = folder_with(r#"{"model_type": "mamba"}"#);
    let text = failure(&model(mamba.path()));
    assert!(text.contains("`mamba`") && text.contains("llama"), "{text}");
    let heads = folder_with(
        r#"{"model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 3, "intermediate_size": 128, "vocab_size": 9}"#,
    );
    let text = failure(&model(heads.path()));
    assert!(text.contains("num_key_value_heads"), "{text}");
    let cut = folder_with(r#"{"model_type": "lla"#);
    assert!(failure(&model(cut.path())).contains("not valid JSON"));
}

#[test]
fn bad_options_end_in_one_clear_line() {
    assert!(failure(&["generate", "--temp", "-1"]).contains("temperature"));
    assert!(failure(&["generate", "--top-p", "2"]).contains("top_p"));
    assert!(failure(&["generate", "--prompt", ""]).contains("prompt is empty"));
}

#[test]
fn prompts_over_the_context_end_in_one_clear_line() {
    let long = "word ".repeat(2000);
    let text = failure(&["generate", "--prompt", &long]);
    assert!(text.contains("the model sees 512 at most"), "{text}");
    // The latest tokens alone are fewer.
    let arguments = [
        "generate",
        "--max-kv-size",
        "64",
        "--max-tokens",
        "2",
        "--prompt",
    ];
    let status = olivine(&arguments).arg(&long).output().unwrap().status;
    assert!(status.success());
}

#[test]
fn the_shipped_model_writes_from_any_directory() {
    let elsewhere = tempfile::tempdir().unwrap();
    let output = olivine(&["generate", "--max-tokens", "5", "--seed", "1"])
        .current_dir(elsewhere.path())
        .output()
        .unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.trim().is_empty() && text.ends_with('\n'));
    let stats = String::from_utf8(output.stderr).unwrap();
    assert!(
        stats.contains("Prompt:") && stats.contains("Generation:"),
        "{stats}"
    );
}

#[test]
fn a_model_in_one_file_writes_what_its_folder_writes() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("stories.gguf");
    let file = file.to_str().unwrap();
    let made = olivine(&["convert", SHIPPED, "-o", file]).output().unwrap();
    let stderr = String::from_utf8(made.stderr).unwrap();
    assert!(made.status.success(), "{stderr}");
    let write = |arguments: &[&str]| {
        let common = [
            "--temp",
            "0",
            "--max-tokens",
            "20",
            "--prompt",
            "Once there was a",
        ];
        let output = olivine(&[arguments, &common].concat()).output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    let own = write(&["generate", "--model", file]);
    assert_eq!(own, write(&["generate"]));
    let again = failure(&["convert", SHIPPED, "-o", file]);
    assert!(again.contains("exists already"), "{again}");
    let other = place.path().join("other.gguf");
    let other = other.to_str().unwrap();
    let odd = failure(&["convert", SHIPPED, "-o", other, "--gguf-type", "q2_k"]);
    assert!(odd.contains("q8_0"), "{odd}");
    std::fs::write(other, b"GGUF").unwrap();
    assert!(failure(&["generate", "--model", other]).contains("truncated"));
}

#[test]
fn folders_that_mlx_cannot_read_are_not_made() {
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("packed");
    let mut convert = vec!["convert", SHIPPED, "-o", out.to_str().unwrap()];
    convert.extend(["-q", "--q-group-size", "16"]);
    assert!(failure(&convert).contains("32, 64 or 128"));
    assert!(!out.exists());
    convert.extend(["--q-mode", "nvfp4"]);
    assert!(olivine(&convert).output().unwrap().status.success());
}

#[test]
fn json_output_is_one_object_and_nothing_else() {
    let output = olivine(&["generate", "--max-tokens", "3", "--json"])
        .output()
        .unwrap();
    assert!(output.status.success() && output.stderr.is_empty());
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(json["text"].is_string());
    assert!(
        json["stats"]["generation_tokens"]
            .as_u64()
            .is_some_and(|count| count <= 3)
    );
}

#[test]
fn a_reader_that_leaves_is_not_an_error() {
    let mut child = olivine(&["generate", "--max-tokens", "50"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert!(
        output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
