//! Owns the search for bytes that make the reader of NumPy's arrays panic or read out of bounds.

#![no_main]

use libfuzzer_sys::fuzz_target;
use olivine_io::{Source, read_npy};

fuzz_target!(|bytes: &[u8]| {
    let source = Source::from_bytes(bytes.to_vec());
    let Ok(array) = read_npy(&source) else { return };
    assert!(array.nbytes() < bytes.len(), "elements came from nowhere");
    // A transposed view is lazy and needs a backend; plain arrays are checked to their last byte.
    if array.is_evaluated() {
        let data = array.data().expect("values that are known need no backend");
        // SAFETY: the array claims that this many bytes are there; the sanitizer checks the claim.
        let bytes = unsafe {
            let start = data.buffer.host().as_ptr().add(data.offset);
            std::slice::from_raw_parts(start, array.nbytes())
        };
        std::hint::black_box(bytes.iter().fold(0u8, |sum, &byte| sum ^ byte));
    }
});
