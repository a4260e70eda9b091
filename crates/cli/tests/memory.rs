//! Checks that weights are used where the file system put them, not copied.

use std::{path::Path, process::Command};

use olivine::{
    Dtype,
    io::{Metadata, save_safetensors},
    nn::Module,
};
use olivine_lm::{ModelConfig, Weights, models::llama::Llama};

const CONFIG: &str = r#"{
    "model_type": "llama", "vocab_size": 2048, "hidden_size": 1024, "num_hidden_layers": 8,
    "num_attention_heads": 16, "num_key_value_heads": 4, "intermediate_size": 4096,
    "rms_norm_eps": 1e-5, "tie_word_embeddings": true, "torch_dtype": "bfloat16"
}"#;

#[test]
fn one_token_of_a_bfloat16_model_needs_little_more_memory_than_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/olivine-tiny-stories");
    for name in ["tokenizer.json", "tokenizer_config.json"] {
        std::fs::copy(shipped.join(name), folder.path().join(name)).unwrap();
    }
    std::fs::write(folder.path().join("config.json"), CONFIG).unwrap();
    let config = ModelConfig::parse("config.json".as_ref(), CONFIG).unwrap();
    let mut model = Llama::new(&config, &Weights::random()).unwrap();
    model.set_dtype(Dtype::BFloat16).unwrap();
    let file = folder.path().join("model.safetensors");
    save_safetensors(&file, model.parameters(), &Metadata::new()).unwrap();
    let size = file.metadata().unwrap().len();
    assert!(size > 200 << 20, "{size}");

    let output = Command::new(env!("CARGO_BIN_EXE_olivine"))
        .args([
            "generate",
            "--max-tokens",
            "1",
            "--json",
            "--ignore-chat-template",
            "--model",
        ])
        .arg(folder.path())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let result: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let Some(peak) = result["stats"]["peak_memory_bytes"].as_u64() else {
        return;
    };
    let allowed = size * 115 / 100;
    assert!(
        peak < allowed,
        "{peak} bytes were resident, {allowed} allowed for {size}"
    );
}
