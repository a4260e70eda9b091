//! Owns lazy arrays, operations, evaluation and transforms; knows no kernel.

// Tests and doctests run on the CPU backend, which registers itself when linked.
#[cfg(test)]
use olivine_cpu as _;

mod array;
pub mod constants;
mod device;
pub mod dlpack;
mod dtype;
mod error;
pub mod graph;
pub mod ops;
pub mod shape;
pub mod transforms;

pub use array::{
    Array, ArrayIterator, Ellipsis, Index, IntoIndex, IntoIndices, IntoOperand, Nested, NewAxis,
    PrintOptions, Stepped, get_printoptions, printoptions, set_printoptions, step,
};
#[doc(hidden)]
pub use array::{array_literal, has_plain_float};
pub use device::{
    Backend, Buffer, Call, Data, Device, DeviceInfo, Event, HostBuffer, KernelTable, Operand,
    Registration, Stream, ThreadLocalStream, backend, clear_streams, device_count, device_info,
    is_available, memory, new_thread_local_stream, new_thread_unsafe_stream, synchronize,
};
pub use dtype::{Complex64, Dtype, Element, Kind};
pub use error::{Error, Result};
pub use graph::{async_eval, eval, eval_until};
pub use half::{bf16, f16};
pub use ops::{
    arrange::{Indexing, broadcast_arrays, broadcast_shapes, meshgrid},
    at::At,
    compare::Tolerance,
    concatenate::{concatenate, concatenate as concat, stack},
    cumulative::Walk,
    custom::{CustomFunction, depends},
    deferred::Elements,
    dtypes::{
        DtypeCategory, DtypeKind, FloatInfo, IntegerInfo, can_cast, finfo, iinfo, isdtype,
        issubdtype, result_type,
    },
    einsum::{EinsumPath, einsum, einsum_path},
    fast, fft, linalg,
    numbers::Finite,
    quantized, random,
    unique::Unique,
};
pub use shape::{Axes, Shape, keep};
pub use transforms::{
    BatchAxes, CompileOptions, LeafAxes, Trace, Tree, checkpoint, compile, compile_with,
    compile_with_state, disable_compile, enable_compile, grad, is_exporting, jvp, runs_untraced,
    stop_gradient, value_and_grad, vjp, vmap, with_integer_derivatives,
};
