//! Checks that every public name of the reference package is an operation, another item, or left out
//! for a reason.

use std::collections::BTreeSet;

use olivine_core::{
    Stream,
    memory::MemoryPool,
    ops::{Family, ops},
};

/// Names that are no operations, and the items in their place, which the compiler looks up.
macro_rules! items {
    ($($($name:literal)+ => $first:ident $(:: $part:ident)+;)*) => {
        $(#[expect(unused_imports, reason = "naming it is the check")] use $first $(:: $part)+ as _;)*

        const ITEMS: &[&str] = &[$($($name,)+)*];
    };
}

items! {
    "Device" "DeviceType" => olivine_core::Device;
    "Dtype" => olivine_core::Dtype;
    "DtypeCategory" "complexfloating" "floating" "generic" "inexact" "integer" "number"
        "signedinteger" "unsignedinteger" => olivine_core::DtypeCategory;
    "FunctionExporter" "exporter" => olivine_io::Exporter;
    "PrintOptions" => olivine_core::PrintOptions;
    "Stream" "new_stream" => olivine_core::Stream;
    "ThreadLocalStream" => olivine_core::ThreadLocalStream;
    "array" => olivine_core::Array;
    "ArrayIterator" => olivine_core::ArrayIterator;
    "ArrayAt" => olivine_core::IntoIndices;
    "ArrayLike" => olivine_core::IntoOperand;
    "async_eval" => olivine_core::async_eval;
    "bfloat16" => olivine_core::Dtype::BFloat16;
    "bool_" => olivine_core::Dtype::Bool;
    "broadcast_shapes" => olivine_core::broadcast_shapes;
    "can_cast" => olivine_core::can_cast;
    "checkpoint" => olivine_core::checkpoint;
    "clear_streams" => olivine_core::clear_streams;
    "compile" => olivine_core::compile;
    "complex64" => olivine_core::Dtype::Complex64;
    "cpu" => olivine_core::Device::Cpu;
    "custom_function" => olivine_core::CustomFunction;
    "depends" => olivine_core::depends;
    "device_count" => olivine_core::device_count;
    "device_info" => olivine_core::device_info;
    "disable_compile" => olivine_core::disable_compile;
    "e" => std::f32::consts::E;
    "einsum_path" => olivine_core::einsum_path;
    "enable_compile" => olivine_core::enable_compile;
    "euler_gamma" => std::f32::consts::EULER_GAMMA;
    "eval" => olivine_core::eval;
    "export_function" => olivine_io::export_function;
    "export_to_dot" => olivine_io::export_to_dot;
    "fast" => olivine_core::fast;
    "fft" => olivine_core::fft;
    "finfo" => olivine_core::finfo;
    "float16" => olivine_core::Dtype::Float16;
    "float32" => olivine_core::Dtype::Float32;
    "float64" => olivine_core::Dtype::Float64;
    "gpu" => olivine_core::Device::Gpu;
    "from_dlpack" => olivine_core::dlpack::Dlpack;
    "get_array_buffer_size" => olivine_core::memory::array_buffer_size;
    "get_printoptions" => olivine_core::get_printoptions;
    "grad" => olivine_core::grad;
    "iinfo" => olivine_core::iinfo;
    "import_function" => olivine_io::import_function;
    "int16" => olivine_core::Dtype::Int16;
    "int32" => olivine_core::Dtype::Int32;
    "int64" => olivine_core::Dtype::Int64;
    "int8" => olivine_core::Dtype::Int8;
    "is_available" => olivine_core::is_available;
    "isdtype" => olivine_core::isdtype;
    "issubdtype" => olivine_core::issubdtype;
    "jvp" => olivine_core::jvp;
    "linalg" => olivine_core::linalg;
    "load" => olivine_io::load;
    "matrix_norm" => olivine_core::linalg::norm;
    "new_thread_local_stream" => olivine_core::new_thread_local_stream;
    "newaxis" => olivine_core::NewAxis;
    "pi" => std::f32::consts::PI;
    "printoptions" => olivine_core::printoptions;
    "random" => olivine_core::random;
    "random.key" => olivine_core::random::key;
    "random.seed" => olivine_core::random::seed;
    "result_type" => olivine_core::result_type;
    "save" => olivine_io::save;
    "save_gguf" => olivine_io::save_gguf;
    "save_safetensors" => olivine_io::save_safetensors;
    "savez" => olivine_io::savez;
    "savez_compressed" => olivine_io::savez_compressed;
    "set_printoptions" => olivine_core::set_printoptions;
    "synchronize" => olivine_core::synchronize;
    "uint16" => olivine_core::Dtype::Uint16;
    "uint32" => olivine_core::Dtype::Uint32;
    "uint64" => olivine_core::Dtype::Uint64;
    "uint8" => olivine_core::Dtype::Uint8;
    "value_and_grad" => olivine_core::value_and_grad;
    "vjp" => olivine_core::vjp;
    "vmap" => olivine_core::vmap;
}

/// Names whose place a method takes.
fn methods() -> Vec<(&'static str, &'static str)> {
    // Taking them as values is the check that they are there.
    let _ = (|stream: Stream| stream.scope(|| ()), Stream::current);
    let _ = (<dyn MemoryPool>::usage, <dyn MemoryPool>::clear_cache);
    let _ = (
        <dyn MemoryPool>::reset_peak,
        <dyn MemoryPool>::set_cache_limit,
    );
    let _ = <dyn MemoryPool>::set_memory_limit;
    let _ = olivine_core::new_thread_unsafe_stream;
    let _ = (f32::INFINITY, f32::NAN);
    vec![
        ("StreamContext", "Stream::scope"),
        ("clear_cache", "MemoryPool::clear_cache"),
        ("default_device", "Stream::current"),
        ("default_stream", "Stream::current"),
        ("get_active_memory", "MemoryPool::usage"),
        ("get_cache_memory", "MemoryPool::usage"),
        ("get_memory_limit", "MemoryPool::usage"),
        ("get_peak_memory", "MemoryPool::usage"),
        ("inf", "f32::INFINITY"),
        ("nan", "f32::NAN"),
        ("new_thread_unsafe_stream", "new_thread_unsafe_stream"),
        ("reset_peak_memory", "MemoryPool::reset_peak"),
        ("set_cache_limit", "MemoryPool::set_cache_limit"),
        ("set_default_device", "Stream::scope"),
        ("set_default_stream", "Stream::scope"),
        ("set_memory_limit", "MemoryPool::set_memory_limit"),
        ("stream", "Stream::scope"),
    ]
}

/// What is left out, and why: only what is for GPUs alone or for several machines.
const EXCLUDED: &[(&str, &str)] = &[
    ("cuda", "GPU only"),
    ("metal", "GPU only"),
    ("fast.cuda_kernel", "GPU only"),
    ("fast.metal_kernel", "GPU only"),
    ("fast.precompiled_cuda_kernel", "GPU only"),
    (
        "set_wired_limit",
        "GPU only: memory that Metal keeps resident",
    ),
    ("distributed", "distributed"),
];

/// Names that are still to come. A name that exists may not stay here.
const NOT_YET: &[&str] = &[];

#[test]
fn every_name_of_the_reference_package_is_here_or_left_out_for_a_reason() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/golden/names.txt");
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let names: BTreeSet<&str> = text.lines().collect();
    assert!(names.len() > 350, "the list has only {} names", names.len());
    let fast: Vec<String> = ops()
        .iter()
        .filter(|op| op.family == Family::Fast)
        .map(|op| format!("fast.{}", op.name))
        .collect();
    let mut known: BTreeSet<&str> = fast.iter().map(String::as_str).collect();
    for op in ops() {
        // Names have no module, signatures do.
        known.insert(op.name);
        known.extend(op.signature.split('(').next());
    }
    known.extend(ITEMS);
    known.extend(methods().iter().map(|(name, _)| name));
    let excluded: BTreeSet<&str> = EXCLUDED.iter().map(|(name, _)| *name).collect();
    let later: BTreeSet<&str> = NOT_YET.iter().copied().collect();
    let missing: Vec<&&str> = names
        .iter()
        .filter(|name| !known.contains(*name) && !excluded.contains(*name))
        .filter(|name| !later.contains(*name))
        .collect();
    assert!(
        missing.is_empty(),
        "{} names are missing: {missing:?}",
        missing.len()
    );
    let arrived: Vec<&&str> = later.intersection(&known).collect();
    assert!(
        arrived.is_empty(),
        "these exist: take them from NOT_YET: {arrived:?}"
    );
    for name in excluded.iter().chain(&later) {
        assert!(
            names.contains(name),
            "{name} is no name of the reference package"
        );
        assert!(!known.contains(name), "{name} exists: it is not left out");
    }
    let both: Vec<&&str> = excluded.intersection(&later).collect();
    assert!(both.is_empty(), "left out and still to come: {both:?}");
    println!("still to come: {NOT_YET:?}");
}
