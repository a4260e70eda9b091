//! Owns the search for texts that make reading a `config.json` panic.

#![no_main]

use libfuzzer_sys::fuzz_target;
use olivine_lm::ModelConfig;

fuzz_target!(|text: &str| {
    let Ok(config) = ModelConfig::parse("config.json".as_ref(), text) else {
        return;
    };
    let _ = config.rope();
    if let Ok(part) = config.text() {
        let _ = part.rope();
    }
});
