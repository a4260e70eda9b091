//! Checks tensors exchanged with other libraries: what is shared, what is copied, what is freed and
//! what is refused.

use std::{
    ffi::c_void,
    ptr::NonNull,
    sync::atomic::{AtomicUsize, Ordering},
};

use olivine_core::{
    Array, Complex64, Dtype, Error, Result, array, bf16,
    dlpack::{
        DLDataType, DLDevice, DLManagedTensor, DLManagedTensorVersioned, DLPackVersion, DLTensor,
        Dlpack, IS_COPIED, READ_ONLY,
    },
    memory, step,
};
use olivine_cpu as _;

/// A tensor of another library. Its deleter counts.
struct Foreign {
    bytes: Box<[u64]>,
    shape: Vec<i64>,
    strides: Option<Vec<i64>>,
    dtype: DLDataType,
    offset: u64,
    device: i32,
    version: u32,
    freed: &'static AtomicUsize,
}

impl Foreign {
    fn new(bytes: &[u8], shape: &[i64], dtype: Dtype, freed: &'static AtomicUsize) -> Self {
        let mut words = vec![0u64; bytes.len().div_ceil(8) + 1];
        for (word, chunk) in words.iter_mut().zip(bytes.chunks(8)) {
            let mut whole = [0; 8];
            whole[..chunk.len()].copy_from_slice(chunk);
            *word = u64::from_ne_bytes(whole);
        }
        Foreign {
            bytes: words.into(),
            shape: shape.to_vec(),
            strides: None,
            dtype: dtype.into(),
            offset: 0,
            device: 1,
            version: 1,
            freed,
        }
    }

    fn export(mut self) -> Dlpack {
        let strides = self.strides.as_mut();
        let tensor = DLTensor {
            data: self.bytes.as_mut_ptr().cast(),
            device: DLDevice {
                device_type: self.device,
                device_id: 0,
            },
            ndim: self.shape.len() as i32,
            dtype: self.dtype,
            shape: self.shape.as_mut_ptr(),
            strides: strides.map_or(std::ptr::null_mut(), Vec::as_mut_ptr),
            byte_offset: self.offset,
        };
        let managed = Box::new(DLManagedTensorVersioned {
            version: DLPackVersion {
                major: self.version,
                minor: 0,
            },
            manager_ctx: Box::into_raw(Box::new(self)).cast::<c_void>(),
            deleter: Some(delete),
            flags: 0,
            dl_tensor: tensor,
        });
        // SAFETY: the tensor is whole, or wrong in a way that the test expects to be refused.
        unsafe { Dlpack::from_raw(NonNull::from(Box::leak(managed))) }
    }
}

unsafe extern "C" fn delete(tensor: *mut DLManagedTensorVersioned) {
    // SAFETY: both were boxes when the tensor was exported.
    unsafe {
        let managed = Box::from_raw(tensor);
        let foreign = Box::from_raw(managed.manager_ctx.cast::<Foreign>());
        foreign.freed.fetch_add(1, Ordering::SeqCst);
    }
}

fn bytes_of(values: &[i32]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_ne_bytes())
        .collect()
}

#[test]
fn imported_memory_is_shared_and_freed_once_with_its_last_array() -> Result<()> {
    static FREED: AtomicUsize = AtomicUsize::new(0);
    let foreign = Foreign::new(
        &bytes_of(&[1, 2, 3, 4, 5, 6]),
        &[2, 3],
        Dtype::Int32,
        &FREED,
    );
    let address = foreign.bytes.as_ptr() as usize;
    let x = Array::from_dlpack(foreign.export(), Some(false))?;
    assert_eq!(x.data()?.buffer.host().as_ptr() as usize, address);
    let row = x.index(1)?;
    row.eval()?;
    drop(x);
    assert_eq!(FREED.load(Ordering::SeqCst), 0);
    assert_eq!(row.add(1)?.to_vec::<i32>()?, [5, 6, 7]);
    drop(row);
    assert_eq!(FREED.load(Ordering::SeqCst), 1);
    Ok(())
}

#[test]
fn a_copy_frees_the_tensor_at_once() -> Result<()> {
    static FREED: AtomicUsize = AtomicUsize::new(0);
    let foreign = Foreign::new(&bytes_of(&[1, 2]), &[2], Dtype::Int32, &FREED);
    let x = Array::from_dlpack(foreign.export(), Some(true))?;
    assert_eq!(FREED.load(Ordering::SeqCst), 1);
    assert_eq!(x.to_vec::<i32>()?, [1, 2]);
    Ok(())
}

#[test]
fn strides_of_every_sign_are_kept() -> Result<()> {
    static FREED: AtomicUsize = AtomicUsize::new(0);
    for copy in [Some(false), Some(true)] {
        let mut foreign = Foreign::new(
            &bytes_of(&[0, 1, 2, 3, 4, 5]),
            &[2, 2, 3],
            Dtype::Int32,
            &FREED,
        );
        // Columns backwards, rows forwards, and an axis that repeats.
        foreign.strides = Some(vec![3, 0, -1]);
        foreign.offset = 8;
        let x = Array::from_dlpack(foreign.export(), copy)?;
        assert_eq!(x.to_vec::<i32>()?, [2, 1, 0, 2, 1, 0, 5, 4, 3, 5, 4, 3]);
        assert_eq!(x.sum(..)?.item::<i32>()?, 30);
    }
    assert_eq!(FREED.load(Ordering::SeqCst), 2);
    Ok(())
}

#[test]
fn elements_that_cannot_stay_are_copied_or_refused() -> Result<()> {
    static FREED: AtomicUsize = AtomicUsize::new(0);
    let truths = |copy| {
        let foreign = Foreign::new(&[0, 7, 1, 255], &[4], Dtype::Bool, &FREED);
        Array::from_dlpack(foreign.export(), copy)
    };
    assert_eq!(truths(None)?.to_vec::<bool>()?, [false, true, true, true]);
    assert!(matches!(truths(Some(false)), Err(Error::Argument { .. })));
    let apart = |copy| {
        let mut bytes = vec![9];
        bytes.extend(bytes_of(&[7, 8]));
        let mut foreign = Foreign::new(&bytes, &[2], Dtype::Int32, &FREED);
        foreign.offset = 1;
        Array::from_dlpack(foreign.export(), copy)
    };
    assert_eq!(apart(None)?.to_vec::<i32>()?, [7, 8]);
    assert!(matches!(apart(Some(false)), Err(Error::Argument { .. })));
    assert_eq!(FREED.load(Ordering::SeqCst), 4);
    Ok(())
}

#[test]
fn tensors_that_cannot_be_are_refused_and_freed() {
    static FREED: AtomicUsize = AtomicUsize::new(0);
    type Change = fn(&mut Foreign);
    let changes: [Change; 10] = [
        |tensor| tensor.device = 2,
        |tensor| tensor.version = 2,
        |tensor| tensor.shape = vec![-1],
        |tensor| tensor.shape = vec![i64::MAX],
        |tensor| tensor.shape = vec![1 << 40, 1 << 40],
        |tensor| tensor.shape = vec![1; 65],
        |tensor| tensor.strides = Some(vec![i64::MIN]),
        |tensor| tensor.offset = u64::MAX,
        |tensor| tensor.dtype.lanes = 4,
        |tensor| {
            tensor.dtype = DLDataType {
                code: 5,
                bits: 128,
                lanes: 1,
            }
        },
    ];
    for (i, change) in changes.into_iter().enumerate() {
        let mut foreign = Foreign::new(&bytes_of(&[1, 2]), &[2], Dtype::Int32, &FREED);
        change(&mut foreign);
        let result = Array::from_dlpack(foreign.export(), None);
        assert!(result.is_err(), "change {i} was taken");
        assert_eq!(FREED.load(Ordering::SeqCst), i + 1, "change {i}");
    }
}

#[test]
fn every_dtype_and_shape_makes_the_round_trip() -> Result<()> {
    let dtypes = [
        Dtype::Bool,
        Dtype::Uint8,
        Dtype::Uint16,
        Dtype::Uint32,
        Dtype::Uint64,
        Dtype::Int8,
        Dtype::Int16,
        Dtype::Int32,
        Dtype::Int64,
        Dtype::Float16,
        Dtype::BFloat16,
        Dtype::Float32,
        Dtype::Float64,
        Dtype::Complex64,
    ];
    for dtype in dtypes {
        let base = Array::arange(0, 12, 1)?.astype(dtype)?;
        let views = [
            base.clone(),
            base.reshape([3, 4])?.transpose(..)?,
            base.index(step(.., -2))?,
            base.index(3)?,
            base.index(5..5)?.reshape([0, 3])?,
            base.index(..1)?.broadcast_to([2, 3])?,
        ];
        for x in views {
            for copy in [false, true] {
                let tensor = x.to_dlpack::<DLManagedTensorVersioned>(copy)?;
                assert_eq!(
                    tensor.get()?.flags,
                    if copy { IS_COPIED } else { READ_ONLY }
                );
                let y = Array::from_dlpack(tensor, Some(false))?;
                let z = Array::from_dlpack(x.to_dlpack::<DLManagedTensor>(copy)?, None)?;
                for back in [&y, &z] {
                    assert_eq!((back.dtype(), back.shape()), (dtype, x.shape()));
                    assert!(back.array_equal(&x, false)?.item::<bool>()?);
                }
            }
        }
    }
    let x = array!([bf16::from_f32(1.5)]);
    let y = Array::from_dlpack(x.to_dlpack::<DLManagedTensor>(false)?, None)?;
    assert_eq!(y.to_vec::<bf16>()?, [bf16::from_f32(1.5)]);
    let x = array!([Complex64::new(1.0, -2.0)]);
    let y = Array::from_dlpack(x.to_dlpack::<DLManagedTensor>(false)?, None)?;
    assert_eq!(y.to_vec::<Complex64>()?, [Complex64::new(1.0, -2.0)]);
    Ok(())
}

#[test]
fn an_exported_tensor_keeps_its_values_while_the_array_is_worked_on() -> Result<()> {
    let x = Array::arange(0.0f32, 4096.0, 1.0)?.add(0.0)?;
    let tensor = x.to_dlpack::<DLManagedTensorVersioned>(false)?;
    // With the last handle gone, the sum could take over the memory, were the tensor not there.
    let y = x.add(1.0)?;
    drop(x);
    assert_eq!(y.index(0)?.item::<f32>()?, 1.0);
    let back = Array::from_dlpack(tensor, Some(false))?;
    assert_eq!(back.index(-1)?.item::<f32>()?, 4095.0);
    assert!(memory::array_buffer_size(&[&back])? >= 4 * 4096);
    Ok(())
}

#[test]
fn tensors_are_freed_on_any_thread() -> Result<()> {
    static FREED: AtomicUsize = AtomicUsize::new(0);
    let foreign = Foreign::new(&bytes_of(&[1, 2]), &[2], Dtype::Int32, &FREED);
    let x = Array::from_dlpack(foreign.export(), None)?;
    let sum = std::thread::spawn(move || x.sum(..)?.item::<i32>());
    assert_eq!(sum.join().expect("the thread does not panic")?, 3);
    assert_eq!(FREED.load(Ordering::SeqCst), 1);
    Ok(())
}
