//! Owns files of traced functions: a safetensors file whose tensors are what the functions captured,
//! and whose metadata has their steps as JSON under the key `olivine_function`.

use std::{
    borrow::Borrow,
    collections::HashMap,
    hash::{DefaultHasher, Hasher},
    io::{self, Write},
    path::{Path, PathBuf},
};

use olivine_core::{Array, Dtype, Shape, graph::Program};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    Error, FileProblem, Metadata, Result, SafeTensors, load_safetensors, save_safetensors,
    write::{WriteProblem, atomically, write_elements},
};

/// Where the metadata has the functions.
const KEY: &str = "olivine_function";

/// Where the metadata has the text that is stored with the functions.
const NOTE: &str = "olivine_note";

/// The version of the format. Files of other versions are refused.
const VERSION: u32 = 2;

/// What the metadata holds.
#[derive(Serialize, Deserialize)]
struct Stored {
    version: u32,
    traces: Vec<StoredTrace>,
}

#[derive(Serialize, Deserialize)]
struct StoredTrace {
    /// The names of the last arguments, which may be given by name.
    keywords: Vec<String>,
    /// The tensor of each constant.
    constants: Vec<String>,
    program: Program,
}

/// Traces a function for one or more signatures and writes a file that another process can call.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::array;
/// use olivine_io::{Exporter, import_function};
/// # let folder = tempfile::tempdir()?;
/// let path = folder.path().join("scale.safetensors");
/// let weight = array!([2.0, 3.0]);
/// let mut exporter = Exporter::new(|x| Ok(vec![x[0].multiply(&weight)?]));
/// exporter.trace(&[array!([0.0, 0.0])])?;
/// exporter.trace(&[array!([[0.0, 0.0]])])?;
/// exporter.save(&path)?;
/// let scale = import_function(&path)?;
/// assert_eq!(scale.call(&[array!([1.0, 1.0])])?[0].to_vec::<f32>()?, [2.0, 3.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Exporter<F> {
    f: F,
    traces: Traces,
}

impl<F: Fn(&[Array]) -> olivine_core::Result<Vec<Array>>> Exporter<F> {
    /// Prepares to export `f`.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{array, Array};
    /// use olivine_io::{Exporter, ImportedFunction};
    /// let mut exporter = Exporter::new(|x: &[Array]| Ok(vec![x[0].exp()?]));
    /// exporter.trace(&[array!([1.0])])?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(f: F) -> Self {
        let traces = Traces::default();
        Exporter { f, traces }
    }

    /// Lets the file's functions take arguments of other shapes, of the same ranks and dtypes.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{array, Array};
    /// use olivine_io::{Exporter, import_function};
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("sum.safetensors");
    /// let mut exporter = Exporter::new(|x: &[Array]| Ok(vec![x[0].sum(..)?])).shapeless();
    /// exporter.trace(&[array!([0.0, 0.0])])?;
    /// exporter.save(&path)?;
    /// let f = import_function(&path)?;
    /// assert_eq!(f.call(&[array!([1.0, 2.0, 3.0])])?[0].item::<f32>()?, 6.0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn shapeless(mut self) -> Self {
        self.traces.shapeless = true;
        self
    }

    /// Traces the function for arguments like `examples`, whose values do not matter.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{array, Array};
    /// use olivine_io::{Exporter, import_function};
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("sum.safetensors");
    /// let mut exporter = Exporter::new(|x: &[Array]| Ok(vec![x[0].sum(..)?]));
    /// exporter.trace(&[array!([0.0, 0.0])])?;
    /// exporter.save(&path)?;
    /// let f = import_function(&path)?;
    /// // Only what was traced can be called.
    /// assert!(f.call(&[array!([1.0, 2.0, 3.0])]).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn trace(&mut self, examples: &[Array]) -> Result<()> {
        self.trace_named(examples, &[])
    }

    /// As [`Exporter::trace`], with arguments after the others that have names.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{array, Array};
    /// use olivine_io::{Exporter, import_function};
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("scale.safetensors");
    /// let mut exporter = Exporter::new(|x: &[Array]| Ok(vec![x[0].multiply(&x[1])?]));
    /// exporter.trace_named(&[array!([1.0])], &[("factor", array!(2.0))])?;
    /// exporter.save(&path)?;
    /// let named = [("factor", array!(3.0))];
    /// let results = import_function(&path)?.call_named(&[array!([5.0])], &named)?;
    /// assert_eq!(results[0].item::<f32>()?, 15.0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn trace_named(&mut self, examples: &[Array], named: &[(&str, Array)]) -> Result<()> {
        self.traces.add(&self.f, examples, named)
    }

    /// Writes the file, whole or not at all.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        self.traces.save(path)
    }
}

/// Traced functions on their way into a file: what an [`Exporter`] collects, for functions that differ from
/// trace to trace.
#[derive(Debug, Default)]
pub struct Traces {
    /// Whether the file's functions take arguments of other shapes, of the same ranks and dtypes.
    pub shapeless: bool,
    /// A text to store with the functions.
    pub note: String,
    list: Vec<(Vec<String>, Program)>,
}

impl Traces {
    /// No traces yet, for functions that are shapeless or not, and a text to store with them.
    pub fn new(shapeless: bool, note: impl Into<String>) -> Self {
        Traces {
            shapeless,
            note: note.into(),
            list: Vec::new(),
        }
    }

    /// Traces `f` for arguments like `examples` and then, in the order of their names, `named`.
    pub fn add(
        &mut self,
        f: impl FnOnce(&[Array]) -> olivine_core::Result<Vec<Array>>,
        examples: &[Array],
        named: &[(&str, Array)],
    ) -> Result<()> {
        let mut named: Vec<_> = named.to_vec();
        named.sort_by(|a, b| a.0.cmp(b.0));
        let all: Vec<Array> = examples
            .iter()
            .chain(named.iter().map(|(_, x)| x))
            .cloned()
            .collect();
        let mut program = if self.shapeless {
            Program::trace_shapeless(&all, f)?
        } else {
            Program::trace(&all, f)?
        };
        program.tidy();
        let keywords = named.into_iter().map(|(name, _)| name.to_owned()).collect();
        self.list.push((keywords, program));
        Ok(())
    }

    /// Takes over the traces of others.
    pub fn append(&mut self, mut others: Traces) {
        self.list.append(&mut others.list);
    }

    /// Each trace: the names of its last arguments, and what it does.
    pub fn programs(&self) -> impl Iterator<Item = (&[String], &Program)> {
        self.list
            .iter()
            .map(|(keywords, program)| (keywords.as_slice(), program))
    }

    /// Writes the file, whole or not at all.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{array, Array};
    /// use olivine_io::{Exporter, import_function};
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("sum.safetensors");
    /// let mut exporter = Exporter::new(|x: &[Array]| Ok(vec![x[0].sum(..)?]));
    /// exporter.trace(&[array!([0.0, 0.0])])?;
    /// exporter.save(&path)?;
    /// let f = import_function(&path)?;
    /// assert_eq!(f.call(&[array!([1.0, 2.0])])?[0].item::<f32>()?, 3.0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        // Signatures share the arrays that they captured, and equal ones are stored once.
        let mut names: HashMap<usize, String> = HashMap::new();
        let mut tensors = Tensors::default();
        let mut traces = Vec::new();
        for (keywords, program) in &self.list {
            let mut constants = Vec::new();
            for constant in &program.constants {
                let name = match names.get(&constant.id()) {
                    Some(name) => name.clone(),
                    None => tensors.place(constant, path)?,
                };
                names.insert(constant.id(), name.clone());
                constants.push(name);
            }
            let (keywords, program) = (keywords.clone(), program.clone());
            traces.push(StoredTrace {
                keywords,
                constants,
                program,
            });
        }
        let version = VERSION;
        let stored = serde_json::to_value(Stored { version, traces })
            .map_err(|error| malformed(path, error.to_string()))?;
        let text = stored.to_string();
        let mut metadata = Metadata::from([(KEY.to_owned(), text)]);
        if !self.note.is_empty() {
            metadata.insert(NOTE.to_owned(), self.note.clone());
        }
        save_safetensors(path, tensors.list, &metadata)
    }
}

/// The hash of what is written.
struct Digest(DefaultHasher);

impl Write for Digest {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The arrays of a file, each under a name.
#[derive(Default)]
struct Tensors {
    list: Vec<(String, Array)>,
    /// Where arrays of a dtype, shape and hash of their bytes are.
    places: HashMap<(Dtype, Shape, u64), Vec<usize>>,
}

impl Tensors {
    /// The name of an array of the same elements, which is added if there is none.
    fn place(&mut self, array: &Array, path: &Path) -> Result<String> {
        let name = format!("constant.{}", self.list.len());
        let mut digest = Digest(DefaultHasher::new());
        let failed = |problem: WriteProblem| problem.of_tensor(path, &name);
        write_elements(&mut digest, array).map_err(failed)?;
        let key = (array.dtype(), array.shape().clone(), digest.0.finish());
        let places = self.places.entry(key).or_default();
        for &place in places.iter() {
            let (known, other) = &self.list[place];
            let (mut bytes, mut others) = (Vec::new(), Vec::new());
            write_elements(&mut bytes, array).map_err(failed)?;
            write_elements(&mut others, other).map_err(failed)?;
            if bytes == others {
                return Ok(known.clone());
            }
        }
        places.push(self.list.len());
        self.list.push((name.clone(), array.clone()));
        Ok(name)
    }
}

/// Traces `f` for arguments like `examples` and writes a file that another process can call.
///
/// What `f` captures goes into the file. Evaluating an argument inside `f` is an error; the rules of
/// custom functions are left behind.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::array;
/// use olivine_io::{export_function, import_function};
/// # let folder = tempfile::tempdir()?;
/// let path = folder.path().join("norm.safetensors");
/// export_function(&path, |x| Ok(vec![x[0].square()?.sum(..)?.sqrt()?]), &[array!([0.0, 0.0])])?;
/// let norm = import_function(&path)?;
/// assert_eq!(norm.call(&[array!([3.0, 4.0])])?[0].item::<f32>()?, 5.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn export_function(
    path: impl AsRef<Path>,
    f: impl Fn(&[Array]) -> olivine_core::Result<Vec<Array>>,
    examples: &[Array],
) -> Result<()> {
    let mut exporter = Exporter::new(f);
    exporter.trace(examples)?;
    exporter.save(path)
}

/// A function that was read from a file.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, Array};
/// use olivine_io::{Exporter, import_function};
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("sum.safetensors");
/// let mut exporter = Exporter::new(|x: &[Array]| Ok(vec![x[0].sum(..)?]));
/// exporter.trace(&[array!([0.0, 0.0])])?;
/// exporter.save(&path)?;
/// let f = import_function(&path)?;
/// let f: olivine_io::ImportedFunction = f;
/// assert_eq!(f.signatures(), ["(float32 (2,))"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ImportedFunction {
    path: PathBuf,
    note: String,
    traces: Vec<(Vec<String>, Program)>,
}

/// Reads a file that [`export_function`] or an [`Exporter`] wrote; captured arrays view it in place.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, Array};
/// use olivine_io::{Exporter, import_function};
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("sum.safetensors");
/// let mut exporter = Exporter::new(|x: &[Array]| Ok(vec![x[0].sum(..)?]));
/// exporter.trace(&[array!([0.0, 0.0])])?;
/// exporter.save(&path)?;
/// let f = import_function(&path)?;
/// assert_eq!(f.call(&[array!([3.0, 4.0])])?[0].item::<f32>()?, 7.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn import_function(path: impl AsRef<Path>) -> Result<ImportedFunction> {
    let path = path.as_ref();
    read(path, &load_safetensors(path)?)
}

impl ImportedFunction {
    /// Reads a file that is in memory already.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{array, Array};
    /// use olivine_io::{Exporter, import_function};
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("sum.safetensors");
    /// let mut exporter = Exporter::new(|x: &[Array]| Ok(vec![x[0].sum(..)?]));
    /// exporter.trace(&[array!([0.0, 0.0])])?;
    /// exporter.save(&path)?;
    /// let f = import_function(&path)?;
    /// let f = olivine_io::ImportedFunction::from_bytes(std::fs::read(&path)?)?;
    /// assert_eq!(f.call(&[array!([3.0, 4.0])])?[0].item::<f32>()?, 7.0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_bytes(bytes: impl AsRef<[u8]> + Send + Sync + 'static) -> Result<Self> {
        read(Path::new("<bytes>"), &SafeTensors::from_bytes(bytes)?)
    }

    /// The text that was stored with the functions.
    pub fn note(&self) -> &str {
        &self.note
    }

    /// The results for arguments, by the first trace that takes their shapes and dtypes.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{array, Array};
    /// use olivine_io::{Exporter, import_function};
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("sum.safetensors");
    /// let mut exporter = Exporter::new(|x: &[Array]| Ok(vec![x[0].sum(..)?]));
    /// exporter.trace(&[array!([0.0, 0.0])])?;
    /// exporter.save(&path)?;
    /// let f = import_function(&path)?;
    /// assert_eq!(f.call(&[array!([3.0, 4.0])])?[0].item::<f32>()?, 7.0);
    /// let error = f.call(&[array!([3, 4])]).unwrap_err();
    /// // The message says what it takes.
    /// assert!(error.to_string().contains("(float32 (2,))"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn call<A: Borrow<Array>>(&self, arguments: &[A]) -> Result<Vec<Array>> {
        self.call_named(arguments, &[])
    }

    /// As [`ImportedFunction::call`], with arguments by name.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{array, Array};
    /// use olivine_io::{Exporter, import_function};
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("sum.safetensors");
    /// let mut exporter = Exporter::new(|x: &[Array]| Ok(vec![x[0].sum(..)?]));
    /// exporter.trace(&[array!([0.0, 0.0])])?;
    /// exporter.save(&path)?;
    /// let f = import_function(&path)?;
    /// let none: [(&str, Array); 0] = [];
    /// assert_eq!(f.call_named(&[array!([3.0, 4.0])], &none)?[0].item::<f32>()?, 7.0);
    /// assert!(f.call_named(&[array!([3.0, 4.0])], &[("axis", array!(0))]).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn call_named<A: Borrow<Array>>(
        &self,
        arguments: &[A],
        named: &[(&str, Array)],
    ) -> Result<Vec<Array>> {
        let mut named: Vec<_> = named.to_vec();
        named.sort_by(|a, b| a.0.cmp(b.0));
        let arguments = arguments.iter().map(Borrow::borrow);
        let all: Vec<Array> = arguments
            .chain(named.iter().map(|(_, x)| x))
            .cloned()
            .collect();
        for (keywords, program) in &self.traces {
            let same = keywords.len() == named.len()
                && keywords
                    .iter()
                    .zip(&named)
                    .all(|(keyword, (name, _))| keyword == name);
            if same && program.accepts(&all) {
                return Ok(program.call(&all)?);
            }
        }
        let given: Vec<String> = all
            .iter()
            .map(|x| format!("{} {}", x.dtype(), x.shape()))
            .collect();
        let reason = format!(
            "no function in {} takes ({}); it has {}",
            self.path.display(),
            given.join(", "),
            self.signatures().join(" and ")
        );
        let op = "call";
        Err(olivine_core::Error::Argument { op, reason }.into())
    }

    /// What arguments the file's functions take: dtypes, shapes and names.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{array, Array};
    /// use olivine_io::{Exporter, import_function};
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("sum.safetensors");
    /// let mut exporter = Exporter::new(|x: &[Array]| Ok(vec![x[0].sum(..)?])).shapeless();
    /// exporter.trace(&[array!([0.0, 0.0])])?;
    /// exporter.save(&path)?;
    /// let f = import_function(&path)?;
    /// assert_eq!(f.signatures(), ["(float32 of rank 1)"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn signatures(&self) -> Vec<String> {
        let signature = |(keywords, program): &(Vec<String>, Program)| {
            let first = program.inputs.len() - keywords.len();
            let each = program.inputs.iter().enumerate().map(|(i, spec)| {
                let shape = if program.shapeless {
                    format!("of rank {}", spec.shape.rank())
                } else {
                    spec.shape.to_string()
                };
                match i.checked_sub(first) {
                    Some(k) => format!("{}={} {shape}", keywords[k], spec.dtype),
                    None => format!("{} {shape}", spec.dtype),
                }
            });
            format!("({})", each.collect::<Vec<_>>().join(", "))
        };
        self.traces.iter().map(signature).collect()
    }
}

fn malformed(path: &Path, reason: String) -> Error {
    let problem = FileProblem::Malformed { reason };
    Error::File {
        file: path.to_owned(),
        problem,
    }
}

fn read(path: &Path, file: &SafeTensors) -> Result<ImportedFunction> {
    let fail = |reason: String| malformed(path, reason);
    let text = file.metadata().get(KEY).ok_or_else(|| {
        fail(format!(
            "no functions: the metadata lacks `{KEY}`; write it with export_function"
        ))
    })?;
    let stored: Value = serde_json::from_str(text).map_err(|error| fail(error.to_string()))?;
    // The version is read first, since another version's traces may look different.
    let version = stored.get("version").and_then(Value::as_u64);
    let version = version.ok_or_else(|| fail("functions without a version".to_owned()))?;
    if version != u64::from(VERSION) {
        return Err(fail(format!(
            "functions of version {version}, and this is version {VERSION}; export them again"
        )));
    }
    let stored: Stored = serde_json::from_value(stored).map_err(|error| fail(error.to_string()))?;
    let mut traces = Vec::new();
    for StoredTrace {
        keywords,
        constants,
        mut program,
    } in stored.traces
    {
        program.constants = constants
            .iter()
            .map(|name| file.array(name))
            .collect::<Result<_>>()?;
        if keywords.len() > program.inputs.len() {
            return Err(fail("more names than arguments".to_owned()));
        }
        program.check().map_err(|error| fail(error.to_string()))?;
        program.simplify();
        traces.push((keywords, program));
    }
    Ok(ImportedFunction {
        path: path.to_owned(),
        note: file.metadata().get(NOTE).cloned().unwrap_or_default(),
        traces,
    })
}

/// Writes the graph of what is still to be computed for `arrays` to a file that Graphviz draws, for
/// instance with `dot -Tsvg`; see [`olivine_core::graph::to_dot`].
///
/// ```
/// # use olivine_cpu as _;
/// # let folder = tempfile::tempdir()?;
/// let path = folder.path().join("graph.dot");
/// olivine_io::export_to_dot(&path, &[olivine_core::array!([1.0]).exp()?])?;
/// assert!(std::fs::read_to_string(&path)?.contains("exp"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn export_to_dot(path: impl AsRef<Path>, arrays: &[Array]) -> Result<()> {
    let path = path.as_ref();
    let text = olivine_core::graph::to_dot(arrays);
    atomically(path, |writer| {
        writer
            .write_all(text.as_bytes())
            .map_err(|error| Error::io(path, "write", error))
    })
}

#[cfg(test)]
mod tests {
    use olivine_core::{
        CompileOptions, array, compile_with,
        fast::{self, AttentionMask, AttentionOptions},
        random,
    };

    use super::*;

    type Outcome = std::result::Result<(), Box<dyn std::error::Error>>;

    #[test]
    fn a_shapeless_function_takes_other_shapes_and_names_choose_a_trace() -> Outcome {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("f");
        let mut exporter = Exporter::new(|x: &[Array]| match x {
            [x] => Ok(vec![x.softmax(-1)?]),
            [x, scale] => Ok(vec![x.multiply(scale)?]),
            _ => Ok(vec![]),
        })
        .shapeless();
        exporter.trace(&[array!([0.0, 0.0])])?;
        exporter.trace_named(&[array!([0.0, 0.0])], &[("scale", array!(0.0))])?;
        exporter.save(&path)?;
        let f = import_function(&path)?;
        let x = random::normal([7])?;
        assert_eq!(
            f.call(&[&x])?[0].to_vec::<f32>()?,
            x.softmax(-1)?.to_vec::<f32>()?
        );
        let twice = f.call_named(&[&x], &[("scale", array!(2.0))])?;
        assert_eq!(twice[0].to_vec::<f32>()?, x.multiply(2.0)?.to_vec::<f32>()?);
        let error = f
            .call(&[array!([[1.0]])])
            .expect_err("a matrix is not taken")
            .to_string();
        assert!(
            error.contains("float32 of rank 1, scale=float32 of rank 0"),
            "{error}"
        );
        Ok(())
    }

    #[test]
    fn compiled_functions_and_draws_can_be_exported() -> Outcome {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("f");
        let inner = compile_with(CompileOptions::default(), |x: &Array| x.exp()?.add(1.0));
        let draw = |x: &[Array]| {
            let noise = random::Uniform::new([3]).key(&x[0]).sample()?;
            Ok(vec![inner(&noise)?])
        };
        export_function(&path, draw, &[random::key(1)])?;
        let key = random::key(8);
        let got = import_function(&path)?.call(&[&key])?;
        assert_eq!(got[0].to_vec::<f32>()?, draw(&[key])?[0].to_vec::<f32>()?);
        Ok(())
    }

    #[test]
    fn infinite_and_other_special_parameters_are_kept() -> Outcome {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("f");
        let x = array!([[1.0, 2.0], [3.0, 5.0]]);
        let specials = [
            f32::INFINITY,
            f32::NEG_INFINITY,
            f32::NAN,
            -0.0,
            1e-45,
            f32::MAX,
            0.1,
        ];
        for special in specials {
            let f = |x: &[Array]| {
                let normed = fast::rms_norm(&x[0], None, special)?;
                let whole = x[0].reshape([1, 1, 2, 2])?;
                let options = AttentionOptions {
                    scale: special,
                    mask: AttentionMask::None,
                    sinks: None,
                };
                let attended =
                    fast::scaled_dot_product_attention(&whole, &whole, &whole, &options)?;
                Ok(vec![normed, attended])
            };
            export_function(&path, f, std::slice::from_ref(&x))?;
            let read = import_function(&path)?.call(std::slice::from_ref(&x))?;
            for (read, wanted) in read.iter().zip(f(std::slice::from_ref(&x))?) {
                let bits = |x: &Array| -> Result<Vec<u32>> {
                    let plain = |x: f32| if x.is_nan() { f32::NAN } else { x };
                    let values = x.to_vec::<f32>()?.into_iter();
                    Ok(values.map(|x| plain(x).to_bits()).collect())
                };
                assert_eq!(bits(read)?, bits(&wanted)?, "{special}");
            }
        }
        Ok(())
    }

    #[test]
    fn graphviz_draws_the_picture_of_a_graph_if_it_is_there() -> Outcome {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("graph.dot");
        let x = array!([1.0, 2.0]);
        let y = x.add(1.0)?.softmax(-1)?;
        export_to_dot(&path, &[y.clone(), y.split(2, 0)?.remove(1)])?;
        let text = std::fs::read_to_string(&path)?;
        assert_eq!(text.matches('{').count(), 1);
        assert_eq!(text.matches('"').count() % 2, 0);
        assert!(
            text.contains("label=\"softmax\"") && text.contains("float32 (2,)"),
            "{text}"
        );
        if let Ok(drawn) = std::process::Command::new("dot")
            .arg("-Tsvg")
            .arg(&path)
            .output()
        {
            assert!(
                drawn.status.success(),
                "{}",
                String::from_utf8_lossy(&drawn.stderr)
            );
        }
        Ok(())
    }

    #[test]
    fn broken_files_are_errors() -> Outcome {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("f");
        let f = |x: &[Array]| Ok(vec![x[0].sum(0)?.matmul(array!([[1.0], [2.0]]))?.exp()?]);
        export_function(&path, f, &[array!([[1.0, 2.0]])])?;
        let file = std::fs::read(&path)?;
        assert!(ImportedFunction::from_bytes(file.clone()).is_ok());
        let text = String::from_utf8_lossy(&file).into_owned();
        let at = text.find(KEY).expect("the metadata is there");
        let end = text.rfind('}').expect("the header is there");
        // Every digit and some letters of the description, changed one by one.
        let mut refused = 0;
        for i in at + KEY.len()..end {
            let mut broken = file.clone();
            broken[i] = match broken[i] {
                b'9' => b'1',
                digit @ b'0'..=b'8' => digit + 1,
                letter @ b'a'..=b'y' => letter + 1,
                _ => continue,
            };
            if let Ok(f) = ImportedFunction::from_bytes(broken) {
                // Another function may have come out, but not one that fails to hold together.
                let _ = f.call(&[array!([[1.0, 2.0]])]).map(|y| y[0].eval());
            } else {
                refused += 1;
            }
        }
        assert!(refused > 50, "{refused} broken files were refused");
        let version = br#"version\":"#;
        let at = file
            .windows(version.len())
            .position(|bytes| bytes == version);
        let mut newer = file.clone();
        newer[at.expect("the version is there") + version.len()] = b'7';
        let error = ImportedFunction::from_bytes(newer).expect_err("it is of another version");
        assert!(error.to_string().contains("version 7"), "{error}");
        Ok(())
    }
}
