//! Owns the files that tests are fed with, built by hand so that they can be wrong in any way.

use std::sync::Arc;

use olivine_core::{Array, Dtype, Element, HostBuffer};

use super::SafeTensors;
use crate::{Error, FileProblem, TensorProblem};

/// A file of this header and data, whether they fit each other or not.
pub(crate) fn file(header: impl AsRef<[u8]>, data: &[u8]) -> Vec<u8> {
    let header = header.as_ref();
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend_from_slice(header);
    file.extend_from_slice(data);
    file
}

/// The same, with the header padded so that data is aligned.
pub(crate) fn aligned_file(header: &str, data: &[u8]) -> Vec<u8> {
    file(
        format!("{header:width$}", width = header.len().next_multiple_of(8)),
        data,
    )
}

/// The description of one tensor.
pub(crate) fn tensor(name: &str, dtype: &str, shape: &[u64], range: [u64; 2]) -> String {
    format!(r#""{name}":{{"dtype":"{dtype}","shape":{shape:?},"data_offsets":{range:?}}}"#)
}

/// A header of several descriptions.
pub(crate) fn header(entries: &[String]) -> String {
    format!("{{{}}}", entries.join(","))
}

/// Bytes that start at a multiple of 64, as a mapped file does, plus `shift`.
pub(super) struct Aligned {
    words: Vec<[u64; 8]>,
    shift: usize,
    bytes: usize,
}

impl Aligned {
    pub(super) fn new(bytes: &[u8], shift: usize) -> Aligned {
        let mut words = vec![[0u64; 8]; (bytes.len() + shift).div_ceil(64)];
        let flat = words.as_flattened_mut();
        for (i, &byte) in bytes.iter().enumerate() {
            let at = i + shift;
            flat[at / 8] |= u64::from(byte) << (8 * (at % 8));
        }
        Aligned {
            words,
            shift,
            bytes: bytes.len(),
        }
    }
}

impl AsRef<[u8]> for Aligned {
    fn as_ref(&self) -> &[u8] {
        let start = self.words.as_ptr().cast::<u8>();
        // SAFETY: the words are initialised and hold `shift + bytes` bytes.
        unsafe { std::slice::from_raw_parts(start.add(self.shift), self.bytes) }
    }
}

/// Opens bytes that lie at an aligned address.
pub(crate) fn open(bytes: &[u8]) -> crate::Result<SafeTensors> {
    SafeTensors::from_bytes(Aligned::new(bytes, 0))
}

/// What is wrong with a file as a whole.
pub(crate) fn file_problem(bytes: &[u8]) -> FileProblem {
    match open(bytes).expect_err("the file is wrong") {
        Error::File { file, problem } => {
            assert_eq!(file.to_str(), Some("<bytes>"));
            problem
        }
        other => panic!("{other}"),
    }
}

/// Which tensor of a file is wrong, and why.
pub(crate) fn tensor_problem(bytes: &[u8]) -> (String, TensorProblem) {
    match open(bytes).expect_err("the file is wrong") {
        Error::Tensor {
            tensor, problem, ..
        } => (tensor, problem),
        other => panic!("{other}"),
    }
}

/// An array over the test's own memory; unlike `Array::from_slice` it needs no backend.
pub(crate) fn array<T: Element>(values: &[T], shape: &[usize]) -> Array {
    // SAFETY: elements are numbers and truth values, which have no padding.
    let bytes =
        unsafe { std::slice::from_raw_parts(values.as_ptr().cast::<u8>(), size_of_val(values)) };
    let owner = Arc::new(Aligned::new(bytes, 0));
    let start = std::ptr::NonNull::from((*owner).as_ref()).cast();
    // SAFETY: the bytes are never changed and live as long as the buffer.
    let buffer = unsafe { HostBuffer::share(start, bytes.len(), Box::new(owner.clone())) };
    // SAFETY: the buffer holds elements of this dtype.
    unsafe { Array::from_buffer(buffer, 0, shape, T::DTYPE) }.unwrap()
}

/// The bytes of an array's elements in row-major order, whatever its dtype.
pub(crate) fn bytes_of(array: &Array) -> Vec<u8> {
    let data = array.data().unwrap();
    assert!(olivine_core::shape::is_contiguous(
        array.shape(),
        &data.strides
    ));
    // SAFETY: the data is evaluated and row-major.
    unsafe {
        let start = data.buffer.host().as_ptr().add(data.offset);
        std::slice::from_raw_parts(start, array.nbytes()).to_vec()
    }
}

/// A row-major array of any dtype with elements that differ.
pub(crate) fn any_array(dtype: Dtype, shape: &[usize]) -> Array {
    let count: usize = shape.iter().product();
    olivine_core::dispatch!(all, dtype, T => {
        let bytes = (0..count * size_of::<T>()).map(|i| match dtype {
            Dtype::Bool => (i % 3 == 0) as u8,
            _ => (i * 37 + 11) as u8 & 0x3f,
        });
        let mut values = vec![T::default(); count];
        for (i, byte) in bytes.enumerate() {
            // SAFETY: the byte lies inside the vector, and every element stays a valid number:
            // truth values are 0 or 1.
            unsafe { values.as_mut_ptr().cast::<u8>().add(i).write(byte) };
        }
        array(&values, shape)
    })
}
