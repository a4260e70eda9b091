//! Owns the search for GGUF files that make reading a model from them panic.

#![no_main]

use libfuzzer_sys::fuzz_target;
use olivine_io::Gguf;
use olivine_lm::{ChatTemplate, ModelFolder, Tokenizer};

fuzz_target!(|bytes: &[u8]| {
    let Ok(file) = Gguf::from_bytes(bytes.to_vec()) else {
        return;
    };
    let Ok(folder) = ModelFolder::from_gguf(file) else {
        return;
    };
    let generation = folder.generation_config();
    if let (Ok(config), Ok(generation)) = (folder.config(), generation)
        && let Ok(tokenizer) = Tokenizer::load(&folder, &config, &generation)
    {
        let _ = tokenizer.encode_prompt("a few words");
    }
    let _ = ChatTemplate::load(&folder);
    // Arrays are described only: computing them takes a backend.
    let _ = folder.tensors();
});
