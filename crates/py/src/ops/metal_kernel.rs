//! Owns kernels in Metal's language: they are described and stored here, and run where there is Metal.

use olivine::{
    Array, Device, Error, Result,
    graph::{Batched, Gradients, Jvp, Primitive, Spec, Specs, Tangents, Vjp, Vmap},
    is_exporting,
};
use pyo3::{
    exceptions::PyRuntimeError,
    prelude::*,
    types::{PyAny, PyList},
};
use serde::{Deserialize, Serialize};

use crate::{
    arg::{Input, Sizes},
    array::PyArray,
    device::kind_of,
    dtype::PyDtype,
    error::{OrRaise, value_error},
};

const OP: &str = "metal_kernel";

/// The source of a kernel, and how its arguments are called.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Source {
    name: String,
    input_names: Vec<String>,
    output_names: Vec<String>,
    body: String,
    header: String,
    ensure_row_contiguous: bool,
    atomic_outputs: bool,
    /// Options of the compiler, as Python shows them.
    compile_options: Option<String>,
}

/// One call of a kernel.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Launch {
    kernel: Source,
    outputs: Vec<Spec>,
    grid: [u32; 3],
    threadgroup: [u32; 3],
    /// Names and values of the template's arguments, as Python shows them.
    template: Vec<(String, String)>,
    init_value: Option<f32>,
}

olivine::stored!(Launch, "MetalKernel");

impl Primitive for Launch {
    fn name(&self) -> &'static str {
        OP
    }

    fn infer(&self, inputs: &[Array]) -> Result<Specs> {
        let (given, due) = (inputs.len(), self.kernel.input_names.len());
        if given != due {
            let reason = format!(
                "{given} inputs for the {due} names {:?}",
                self.kernel.input_names
            );
            return Err(Error::Argument { op: OP, reason });
        }
        Ok(self.outputs.iter().cloned().collect())
    }

    fn vjp(&self, vjp: &Vjp) -> Result<Gradients> {
        vjp.unsupported("what a kernel of Metal computes is not known; use custom_function")
    }

    fn jvp(&self, jvp: &Jvp) -> Result<Tangents> {
        jvp.unsupported("what a kernel of Metal computes is not known; use custom_function")
    }

    fn vmap(&self, vmap: &Vmap) -> Result<Batched> {
        vmap.unsupported("what a kernel of Metal computes is not known; use custom_function")
    }

    fn decompose(&self, _: &[Array]) -> Result<Vec<Array>> {
        let device = Device::Cpu;
        Err(Error::NoKernel { op: OP, device })
    }
}

/// A kernel in Metal's language; made by :func:`metal_kernel`.
#[pyclass(name = "MetalKernel", module = "olivine.core.fast", frozen)]
struct MetalKernel(Source);

#[pymethods]
impl MetalKernel {
    /// Runs the kernel.
    ///
    /// Args:
    ///     inputs: An array for each input name.
    ///     output_shapes: The shape of each output.
    ///     output_dtypes: The dtype of each output.
    ///     grid: How many threads there are along three axes.
    ///     threadgroup: How many threads of each group there are along three axes.
    ///     template: Pairs of names and values, which the kernel is compiled for.
    ///     init_value: What the outputs hold before the kernel runs.
    ///     verbose: Prints the whole source.
    ///     stream: Where to run it: a stream of the GPU.
    ///
    /// Raises:
    ///     RuntimeError: If there is no Metal device. A function that runs the kernel can still be exported.
    #[pyo3(signature = (*, inputs, output_shapes, output_dtypes, grid, threadgroup, template=None,
        init_value=None, verbose=false, stream=None))]
    #[expect(clippy::too_many_arguments, reason = "they are MLX's")]
    fn __call__<'py>(
        &self,
        py: Python<'py>,
        inputs: Vec<Input>,
        output_shapes: Vec<Sizes>,
        output_dtypes: Vec<PyDtype>,
        grid: [u32; 3],
        threadgroup: [u32; 3],
        template: Option<Vec<(String, Bound<'py, PyAny>)>>,
        init_value: Option<f32>,
        verbose: bool,
        stream: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyList>> {
        let _ = verbose;
        if !is_exporting() {
            return Err(PyRuntimeError::new_err(format!(
                "[{OP}] No Metal back-end."
            )));
        }
        if kind_of(stream.as_ref())? != Device::Gpu {
            return Err(value_error(format!("[{OP}] Only supports the GPU.")));
        }
        if output_shapes.len() != output_dtypes.len()
            || output_shapes.len() != self.0.output_names.len()
        {
            return Err(value_error(format!(
                "[{OP}] {} shapes and {} dtypes for the {} outputs {:?}",
                output_shapes.len(),
                output_dtypes.len(),
                self.0.output_names.len(),
                self.0.output_names
            )));
        }
        let mut shown = Vec::new();
        for (name, value) in template.unwrap_or_default() {
            shown.push((name, value.repr()?.to_string()));
        }
        let outputs = output_shapes.into_iter().zip(output_dtypes);
        let launch = Launch {
            kernel: self.0.clone(),
            outputs: outputs
                .map(|(Sizes(shape), dtype)| Spec::new(shape, dtype.into()))
                .collect(),
            grid,
            threadgroup,
            template: shown,
            init_value,
        };
        let inputs = inputs.into_iter().map(|Input(array)| array);
        let results = Array::apply(launch, inputs).or_raise()?;
        PyList::new(py, results.into_iter().map(PyArray::from))
    }

    fn __repr__(&self) -> String {
        format!("MetalKernel({:?})", self.0.name)
    }
}

/// A kernel in Metal's language, which is compiled where there is a Metal device.
///
/// Args:
///     name: The kernel's name.
///     input_names: What the source calls the inputs.
///     output_names: What the source calls the outputs.
///     source: The body of the kernel.
///     header: What stands before the kernel: includes and helping functions.
///     ensure_row_contiguous: Copies inputs that do not lie in row-major order.
///     atomic_outputs: Lets threads add to outputs at the same time.
///     compile_options: Options of the compiler.
///
/// Returns:
///     A function of the inputs. Calling it without a Metal device is a ``RuntimeError``.
///
/// Example:
///     >>> import olivine.core as mx
///     >>> mx.fast.metal_kernel("copy", list("a"), list("b"), "b[0] = a[0];")
///     MetalKernel("copy")
#[pyfunction]
#[pyo3(signature = (name, input_names, output_names, source, header=String::new(),
    ensure_row_contiguous=true, atomic_outputs=false, compile_options=None),
    text_signature = "(name, input_names, output_names, source, header='', ensure_row_contiguous=True, \
    atomic_outputs=False, compile_options=None)")]
#[expect(clippy::too_many_arguments, reason = "they are MLX's")]
fn metal_kernel(
    name: String,
    input_names: Vec<String>,
    output_names: Vec<String>,
    source: String,
    header: String,
    ensure_row_contiguous: bool,
    atomic_outputs: bool,
    compile_options: Option<Bound<'_, PyAny>>,
) -> PyResult<MetalKernel> {
    let compile_options = match compile_options {
        Some(options) => Some(options.repr()?.to_string()),
        None => None,
    };
    Ok(MetalKernel(Source {
        name,
        input_names,
        output_names,
        body: source,
        header,
        ensure_row_contiguous,
        atomic_outputs,
        compile_options,
    }))
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<MetalKernel>()?;
    module.add_function(wrap_pyfunction!(metal_kernel, module)?)
}
