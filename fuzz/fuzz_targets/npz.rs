//! Owns the search for bytes that make the reader of NumPy's archives panic or run out of memory.

#![no_main]

use libfuzzer_sys::fuzz_target;
use olivine_io::{Npz, Source};

fuzz_target!(|bytes: &[u8]| {
    let Ok(file) = Npz::new(Source::from_bytes(bytes.to_vec())) else {
        return;
    };
    for name in file.names() {
        let Ok(array) = file.array(name) else { continue };
        assert!(array.nbytes() <= 1032 * bytes.len(), "elements came from nowhere");
        if array.is_evaluated() {
            let data = array.data().expect("values that are known need no backend");
            // SAFETY: the array claims that this many bytes are there; the sanitizer checks it.
            let bytes = unsafe {
                let start = data.buffer.host().as_ptr().add(data.offset);
                std::slice::from_raw_parts(start, array.nbytes())
            };
            std::hint::black_box(bytes.iter().fold(0u8, |sum, &byte| sum ^ byte));
        }
    }
});
