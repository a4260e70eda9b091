//! Owns the search for bytes that make the GGUF reader panic or read out of bounds.

#![no_main]

use libfuzzer_sys::fuzz_target;
use olivine_io::Gguf;

fuzz_target!(|bytes: &[u8]| {
    let Ok(file) = Gguf::from_bytes(bytes.to_vec()) else {
        return;
    };
    let mut total = 0;
    for name in file.names() {
        let info = file.info(name).expect("names have entries");
        total += info.bytes;
        if let Ok(array) = file.array(name) {
            assert_eq!(array.shape(), info.shape);
            let data = array.data().expect("values that are known need no backend");
            // SAFETY: the array claims that this many bytes are there; the sanitizer checks it.
            let bytes = unsafe {
                let start = data.buffer.host().as_ptr().add(data.offset);
                std::slice::from_raw_parts(start, array.nbytes())
            };
            std::hint::black_box(bytes.iter().fold(0u8, |sum, &byte| sum ^ byte));
        }
        let _ = file.packed(name);
    }
    assert!(total <= bytes.len(), "tensors share bytes");
});
