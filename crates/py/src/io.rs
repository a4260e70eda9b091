//! Owns files of arrays as Python sees them: by path, or by objects that read and write bytes.

use std::path::PathBuf;

use olivine::{
    Array,
    io::{
        self, Compression, Contents, Format, GgufMetadata, GgufValue, GgufValues, Loaded, Metadata,
        Source,
    },
};
use pyo3::{
    prelude::*,
    types::{PyBytes, PyDict, PyList, PyString, PyTuple},
};

use crate::{
    array::PyArray,
    device::On,
    error::{OrRaise, file_exception, type_error, value_error},
    transforms::eval::compute,
};

/// Where a file is: at a path, or behind an object that reads or writes bytes.
enum Place<'py> {
    Path(PathBuf),
    Object(Bound<'py, PyAny>),
}

impl<'py> Place<'py> {
    fn new(file: &Bound<'py, PyAny>, method: &str) -> PyResult<Self> {
        if file.is_instance_of::<PyString>() || file.hasattr("__fspath__")? {
            return Ok(Place::Path(file.extract()?));
        }
        if file.hasattr(method)? {
            return Ok(Place::Object(file.clone()));
        }
        let class = file.get_type();
        Err(value_error(format!(
            "a file is a path, or an object with the method `{method}`, not {}",
            class.name()?
        )))
    }

    /// As [`Place::new`], for writing; a path gets an extension that it lacks.
    fn to_write(file: &Bound<'py, PyAny>, extension: &str) -> PyResult<Self> {
        Ok(match Place::new(file, "write")? {
            Place::Path(path) if path.extension().is_none_or(|given| given != extension) => {
                let mut longer = path.into_os_string();
                longer.push(".");
                longer.push(extension);
                Place::Path(longer.into())
            }
            place => place,
        })
    }

    /// Writes a file that appears whole or not at all, or gives all its bytes to the object.
    fn write(
        &self,
        py: Python<'py>,
        to_path: impl FnOnce(&PathBuf) -> io::Result<()> + Send,
        to_memory: impl FnOnce(&mut Vec<u8>) -> io::Result<()> + Send,
    ) -> PyResult<()> {
        match self {
            Place::Path(path) => py.detach(|| to_path(path)).map_err(file_exception),
            Place::Object(object) => {
                let mut bytes = Vec::new();
                py.detach(|| to_memory(&mut bytes))
                    .map_err(file_exception)?;
                object.call_method1("write", (PyBytes::new(py, &bytes),))?;
                Ok(())
            }
        }
    }
}

fn format_named(name: &str) -> PyResult<Format> {
    Format::of_path(format!("file.{name}")).ok_or_else(|| {
        value_error(format!(
            "[load] Unknown file format {name}; there are npy, npz, safetensors and gguf"
        ))
    })
}

/// Loads an array file: npy, npz, safetensors or GGUF.
///
/// Args:
///     file: A path, or an object with the method ``read`` that gives bytes.
///     format: ``"npy"``, ``"npz"``, ``"safetensors"`` or ``"gguf"``. By default the extension tells it,
///         or the first bytes.
///     return_metadata: Whether to return what the file says about itself too.
///     stream: Where an npy file is read, when its values are needed; others are mapped into memory.
///
/// Returns:
///     An array from an npy file, otherwise a dictionary of arrays by name. With ``return_metadata``, a
///     pair of that dictionary and one of the metadata.
///
/// Raises:
///     ValueError: If the file is not what it should be; it is a ``RuntimeError`` as well.
///     FileNotFoundError: If there is no such file; it is a ``RuntimeError`` as well.
///
/// Example:
///     >>> import io
///     >>> import olivine.core as mx
///     >>> file = io.BytesIO()
///     >>> mx.save(file, mx.array([1.0, 2.0]))
///     >>> mx.load(io.BytesIO(file.getvalue()))
///     array([1, 2], dtype=float32)
#[pyfunction]
#[pyo3(signature = (file, /, format=None, return_metadata=false, *, stream=None))]
fn load<'py>(
    file: &Bound<'py, PyAny>,
    format: Option<&str>,
    return_metadata: bool,
    stream: Option<On>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = file.py();
    let format = format.map(format_named).transpose()?;
    let loaded = match Place::new(file, "read")? {
        Place::Path(path) => py.detach(|| {
            let format = format.or_else(|| Format::of_path(&path));
            let source = Source::open(path)?;
            stream
                .unwrap_or_default()
                .run(|| io::load_later(source, format))
        }),
        Place::Object(object) => {
            let name = match object
                .getattr("name")
                .and_then(|name| name.extract::<PathBuf>())
            {
                Ok(name) => name,
                Err(_) => PathBuf::from("<bytes>"),
            };
            let bytes = object.call_method0("read")?;
            let bytes = bytes
                .cast::<PyBytes>()
                .map_err(|_| value_error("[load] a file object has to be opened in binary mode"))?;
            let bytes = bytes.as_bytes().to_vec();
            py.detach(|| io::load_as(Source::from_named_bytes(bytes, &name), format))
        }
    };
    let loaded = loaded.map_err(file_exception)?;
    if return_metadata && matches!(loaded.format, Format::Npy | Format::Npz) {
        return Err(value_error(format!(
            "[load] metadata not supported for format {:?}",
            loaded.format
        )));
    }
    let Loaded {
        contents, metadata, ..
    } = loaded;
    let arrays = match contents {
        Contents::One(array) => Bound::new(py, PyArray::from(array))?.into_any(),
        Contents::Many(arrays) => {
            let dict = PyDict::new(py);
            for (name, array) in arrays {
                dict.set_item(name, PyArray::from(array))?;
            }
            dict.into_any()
        }
    };
    if !return_metadata {
        return Ok(arrays);
    }
    let dict = PyDict::new(py);
    for (name, value) in metadata {
        dict.set_item(name, metadata_value(py, &value)?)?;
    }
    Ok(PyTuple::new(py, [arrays, dict.into_any()])?.into_any())
}

/// A value of metadata as Python has it: a text, a list of them, or an array.
fn metadata_value<'py>(py: Python<'py>, value: &GgufValue) -> PyResult<Bound<'py, PyAny>> {
    Ok(match value {
        GgufValue::String(text) => PyString::new(py, text).into_any(),
        GgufValue::Array(GgufValues::String(texts)) => PyList::new(py, texts)?.into_any(),
        value => match value.to_array() {
            Some(array) => Bound::new(py, PyArray::from(array.or_raise()?))?.into_any(),
            None => py.None().into_bound(py),
        },
    })
}

/// The array that an argument is.
fn array(object: &Bound<'_, PyAny>, what: &str) -> PyResult<Array> {
    let class = object.get_type();
    match object.cast::<PyArray>() {
        Ok(array) => Ok(array.get().get()),
        Err(_) => Err(type_error(format!(
            "[{what}] an array is needed, not {}",
            class.name()?
        ))),
    }
}

/// The arrays of a dictionary, computed.
fn named(arrays: &Bound<'_, PyDict>, what: &str) -> PyResult<Vec<(String, Array)>> {
    let mut list = Vec::with_capacity(arrays.len());
    for (name, item) in arrays.iter() {
        let name = name
            .extract()
            .map_err(|_| type_error(format!("[{what}] names are texts, not {name}")))?;
        list.push((name, array(&item, what)?));
    }
    let all: Vec<&Array> = list.iter().map(|(_, array)| array).collect();
    compute(arrays.py(), &all)?;
    Ok(list)
}

/// Saves an array in NumPy's format.
///
/// Args:
///     file: A path, which gets the extension ``.npy`` if it lacks it, or an object with the method
///         ``write``.
///     arr: An array of any shape.
///
/// Example:
///     >>> import pathlib, tempfile
///     >>> import olivine.core as mx
///     >>> with tempfile.TemporaryDirectory() as folder:
///     ...     path = pathlib.Path(folder) / "x.npy"
///     ...     mx.save(path, mx.array([[1, 2]]))
///     ...     mx.load(path).shape
///     (1, 2)
#[pyfunction]
fn save(file: &Bound<'_, PyAny>, arr: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = file.py();
    let place = Place::to_write(file, "npy")?;
    let x = array(arr, "save")?;
    compute(py, &[&x])?;
    place.write(
        py,
        |path| io::save_npy(path, &x),
        |bytes| io::write_npy(bytes, &x),
    )
}

fn save_archive(
    file: &Bound<'_, PyAny>,
    args: &Bound<'_, PyTuple>,
    kwargs: Option<&Bound<'_, PyDict>>,
    compression: Compression,
) -> PyResult<()> {
    let py = file.py();
    let place = Place::to_write(file, "npz")?;
    let all = match kwargs {
        Some(kwargs) => kwargs.copy()?,
        None => PyDict::new(py),
    };
    for (i, item) in args.iter().enumerate() {
        let name = format!("arr_{i}");
        if all.contains(&name)? {
            return Err(value_error(format!(
                "[savez] Cannot use un-named variables and keyword {name}"
            )));
        }
        all.set_item(name, item)?;
    }
    let arrays = named(&all, "savez")?;
    let pairs = || arrays.iter().map(|(name, array)| (name, array));
    place.write(
        py,
        |path| match compression {
            Compression::Stored => io::savez(path, pairs()),
            Compression::Deflated => io::savez_compressed(path, pairs()),
        },
        |bytes| io::write_npz(bytes, pairs(), compression),
    )
}

/// Saves arrays in an archive that NumPy reads.
///
/// Args:
///     file: A path, which gets the extension ``.npz`` if it lacks it, or an object with the method
///         ``write``.
///     *args: Arrays, which are named ``arr_0``, ``arr_1`` and so on.
///     **kwargs: Arrays by name.
///
/// Example:
///     >>> import io
///     >>> import olivine.core as mx
///     >>> file = io.BytesIO()
///     >>> mx.savez(file, mx.array(1), b=mx.array([2, 3]))
///     >>> sorted(mx.load(io.BytesIO(file.getvalue())))
///     ['arr_0', 'b']
#[pyfunction]
#[pyo3(signature = (file, *args, **kwargs))]
#[expect(clippy::doc_link_with_quotes, reason = "it is what Python prints")]
fn savez(
    file: &Bound<'_, PyAny>,
    args: &Bound<'_, PyTuple>,
    kwargs: Option<&Bound<'_, PyDict>>,
) -> PyResult<()> {
    save_archive(file, args, kwargs, Compression::Stored)
}

/// Saves arrays in a compressed archive that NumPy reads; see :func:`savez`.
///
/// Args:
///     file: A path, which gets the extension ``.npz`` if it lacks it, or an object with the method
///         ``write``.
///     *args: Arrays, which are named ``arr_0``, ``arr_1`` and so on.
///     **kwargs: Arrays by name.
///
/// Example:
///     >>> import io
///     >>> import olivine.core as mx
///     >>> file = io.BytesIO()
///     >>> mx.savez_compressed(file, zeros=mx.zeros((1000,)))  # 4,000 bytes
///     >>> len(file.getvalue()) < 400
///     True
#[pyfunction]
#[pyo3(signature = (file, *args, **kwargs))]
fn savez_compressed(
    file: &Bound<'_, PyAny>,
    args: &Bound<'_, PyTuple>,
    kwargs: Option<&Bound<'_, PyDict>>,
) -> PyResult<()> {
    save_archive(file, args, kwargs, Compression::Deflated)
}

/// Saves arrays in the format of safetensors.
///
/// Args:
///     file: A path, which gets the extension ``.safetensors`` if it lacks it, or an object with the
///         method ``write``.
///     arrays: A dictionary of arrays by name.
///     metadata: A dictionary of texts to store with them.
///
/// Example:
///     >>> import io
///     >>> import olivine.core as mx
///     >>> file = io.BytesIO()
///     >>> mx.save_safetensors(file, {"w": mx.zeros((2, 3))}, {"made by": "hand"})
///     >>> arrays, metadata = mx.load(io.BytesIO(file.getvalue()), return_metadata=True)
///     >>> arrays["w"].shape, metadata
///     ((2, 3), {'made by': 'hand'})
#[pyfunction]
#[pyo3(signature = (file, arrays, metadata=None))]
fn save_safetensors(
    file: &Bound<'_, PyAny>,
    arrays: &Bound<'_, PyDict>,
    metadata: Option<&Bound<'_, PyDict>>,
) -> PyResult<()> {
    let py = file.py();
    let place = Place::to_write(file, "safetensors")?;
    let metadata: Metadata = match metadata {
        None => Metadata::new(),
        Some(metadata) => metadata.extract().map_err(|_| {
            value_error(
                "[save_safetensors] Metadata must be a dictionary with string keys and values",
            )
        })?,
    };
    let arrays = named(arrays, "save_safetensors")?;
    let pairs = || arrays.iter().map(|(name, array)| (name.as_str(), array));
    place.write(
        py,
        |path| io::save_safetensors(path, pairs(), &metadata),
        |bytes| io::write_safetensors(bytes, pairs(), &metadata),
    )
}

/// Saves arrays in the format GGUF.
///
/// Args:
///     file: A path, which gets the extension ``.gguf`` if it lacks it, or an object with the method
///         ``write``.
///     arrays: A dictionary of arrays by name.
///     metadata: A dictionary of what to store with them: arrays with one axis at most, texts, and
///         lists of texts.
///
/// Example:
///     >>> import io
///     >>> import olivine.core as mx
///     >>> file = io.BytesIO()
///     >>> mx.save_gguf(file, {"w": mx.zeros((2, 3))}, {"general.name": "tiny"})
///     >>> arrays, metadata = mx.load(io.BytesIO(file.getvalue()), return_metadata=True)
///     >>> metadata
///     {'general.name': 'tiny'}
#[pyfunction]
#[pyo3(signature = (file, arrays, metadata=None))]
fn save_gguf(
    file: &Bound<'_, PyAny>,
    arrays: &Bound<'_, PyDict>,
    metadata: Option<&Bound<'_, PyDict>>,
) -> PyResult<()> {
    let py = file.py();
    let place = Place::to_write(file, "gguf")?;
    let mut stored = GgufMetadata::new();
    if let Some(metadata) = metadata {
        for (key, value) in metadata.iter() {
            stored.insert(key.extract()?, gguf_value(&value)?);
        }
    }
    let arrays = named(arrays, "save_gguf")?;
    let pairs = || arrays.iter().map(|(name, array)| (name.as_str(), array));
    place.write(
        py,
        |path| io::save_gguf(path, pairs(), &stored),
        |bytes| io::write_gguf(bytes, pairs(), &stored),
    )
}

/// A value of metadata as the format has it.
fn gguf_value(value: &Bound<'_, PyAny>) -> PyResult<GgufValue> {
    use olivine::Dtype;
    if value.is_instance_of::<PyString>() {
        return Ok(GgufValue::String(value.extract()?));
    }
    if value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>() {
        let texts: Vec<String> = value
            .extract()
            .map_err(|_| value_error("[save_gguf] a list in the metadata holds texts"))?;
        return Ok(GgufValue::from(texts));
    }
    let x = array(value, "save_gguf")?;
    compute(value.py(), &[&x])?;
    if x.ndim() > 1 {
        return Err(value_error(
            "[save_gguf] arrays in the metadata have one axis at most",
        ));
    }
    macro_rules! stored {
        ($($dtype:ident $ty:ty),*) => {
            match x.dtype() {
                $(Dtype::$dtype => {
                    let mut values = x.to_vec::<$ty>().or_raise()?;
                    match values.pop() {
                        Some(one) if x.ndim() == 0 => GgufValue::from(one),
                        last => {
                            values.extend(last);
                            GgufValue::from(values)
                        }
                    }
                })*
                dtype @ (Dtype::Float16 | Dtype::BFloat16 | Dtype::Complex64) => {
                    return Err(value_error(format!(
                        "[save_gguf] metadata cannot hold arrays of {dtype}"
                    )));
                }
            }
        };
    }
    Ok(stored!(
        Bool bool, Uint8 u8, Uint16 u16, Uint32 u32, Uint64 u64, Int8 i8, Int16 i16, Int32 i32,
        Int64 i64, Float32 f32, Float64 f64
    ))
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(load, module)?)?;
    module.add_function(wrap_pyfunction!(save, module)?)?;
    module.add_function(wrap_pyfunction!(savez, module)?)?;
    module.add_function(wrap_pyfunction!(savez_compressed, module)?)?;
    module.add_function(wrap_pyfunction!(save_safetensors, module)?)?;
    module.add_function(wrap_pyfunction!(save_gguf, module)?)
}
