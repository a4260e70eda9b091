//! Owns the front door: loading and saving whatever the format.

#[cfg(all(test, not(miri)))]
mod tests;

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
};

use olivine_core::Array;

use crate::{
    Error, FileProblem, GgufMetadata, GgufValue, Metadata, Result, SafeTensors, Source,
    gguf::{Gguf, save_gguf},
    npy::{read_npy, read_npy_later, save_npy},
    npz::{Npz, savez},
    safetensors::save_safetensors,
};

/// A format of array files.
///
/// ```
/// use olivine_io::Format;
/// assert_eq!(Format::of_path("weights.safetensors"), Some(Format::SafeTensors));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// One array, as NumPy writes it.
    Npy,
    /// Several arrays in a zip archive, as NumPy writes it.
    Npz,
    /// Several arrays, and metadata of texts.
    SafeTensors,
    /// Several arrays, maybe quantized, and typed metadata.
    Gguf,
}

impl Format {
    /// The format that a path's extension names, if it names one.
    ///
    /// ```
    /// use olivine_io::Format;
    /// assert_eq!(Format::of_path("weights/a.NPZ"), Some(Format::Npz));
    /// assert_eq!(Format::of_path("weights.bin"), None);
    /// ```
    pub fn of_path(path: impl AsRef<Path>) -> Option<Format> {
        let extension = path.as_ref().extension()?.to_str()?.to_ascii_lowercase();
        match &*extension {
            "npy" => Some(Format::Npy),
            "npz" => Some(Format::Npz),
            "safetensors" => Some(Format::SafeTensors),
            "gguf" => Some(Format::Gguf),
            _ => None,
        }
    }

    /// The format that a file's first bytes show, if they show one.
    ///
    /// ```
    /// use olivine_io::Format;
    /// assert_eq!(Format::of_bytes(b"GGUF\x03\0\0\0"), Some(Format::Gguf));
    /// assert_eq!(Format::of_bytes(b"hello"), None);
    /// ```
    pub fn of_bytes(bytes: &[u8]) -> Option<Format> {
        match bytes {
            [0x93, b'N', b'U', b'M', b'P', b'Y', ..] => Some(Format::Npy),
            // The second is an archive without members.
            [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => Some(Format::Npz),
            [b'G', b'G', b'U', b'F', ..] => Some(Format::Gguf),
            // A header's length, then an object in JSON.
            [_, _, _, _, _, _, 0, 0, b'{', ..] => Some(Format::SafeTensors),
            _ => None,
        }
    }
}

/// One array, or several by name.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::array;
/// use olivine_io::Contents;
/// assert!(matches!(Contents::from(array!([1.0])), Contents::One(_)));
/// let Contents::Many(arrays) = Contents::from([("x", array!([1.0]))]) else {
///     unreachable!("it has a name")
/// };
/// assert_eq!(arrays[0].0, "x");
/// ```
#[derive(Clone, Debug)]
pub enum Contents {
    /// One array.
    One(Array),
    /// Arrays with their names, in the order of the file.
    Many(Vec<(String, Array)>),
}

impl From<Array> for Contents {
    fn from(array: Array) -> Self {
        Contents::One(array)
    }
}

impl From<&Array> for Contents {
    fn from(array: &Array) -> Self {
        Contents::One(array.clone())
    }
}

macro_rules! several {
    ($([$($bounds:tt)*] $ty:ty;)*) => {$(
        impl<N: Into<String>, $($bounds)*> From<$ty> for Contents {
            fn from(arrays: $ty) -> Self {
                let arrays = arrays.into_iter();
                Contents::Many(arrays.map(|(name, array)| (name.into(), array)).collect())
            }
        }
    )*};
}

several! {
    [] Vec<(N, Array)>;
    [const COUNT: usize] [(N, Array); COUNT];
    [] BTreeMap<N, Array>;
    [S] HashMap<N, Array, S>;
}

/// What a file holds.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::array;
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("x.npy");
/// use olivine_io::{Format, Loaded, load, save};
/// save(&path, &array!([1.0]))?;
/// let file: Loaded = load(&path)?;
/// assert_eq!(file.format, Format::Npy);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The file's format.
    pub format: Format,
    /// Its arrays.
    pub contents: Contents,
    /// What it says about itself; texts only in safetensors files, nothing in NumPy's.
    pub metadata: GgufMetadata,
    path: PathBuf,
}

impl Loaded {
    /// The only array of the file.
    ///
    /// Fails for formats that hold several by name.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("x.npy");
    /// olivine_io::save(&path, &array!([1.0, 2.0]))?;
    /// assert_eq!(olivine_io::load(&path)?.array()?.to_vec::<f32>()?, [1.0, 2.0]);
    /// assert!(olivine_io::load(&path)?.arrays().is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn array(self) -> Result<Array> {
        match self.contents {
            Contents::One(array) => Ok(array),
            Contents::Many(_) => Err(self.wrong("several arrays by name", "ask for `arrays`")),
        }
    }

    /// The arrays of the file by name.
    ///
    /// Fails for a file of one array, which has no name.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("x.npz");
    /// olivine_io::save(&path, [("x", array!([1.0, 2.0]))])?;
    /// assert_eq!(olivine_io::load(&path)?.arrays()?["x"].to_vec::<f32>()?, [1.0, 2.0]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn arrays(self) -> Result<BTreeMap<String, Array>> {
        match self.contents {
            Contents::One(_) => Err(self.wrong("one array without a name", "ask for `array`")),
            Contents::Many(arrays) => Ok(arrays.into_iter().collect()),
        }
    }

    fn wrong(&self, holds: &'static str, fix: &'static str) -> Error {
        let format = "the file";
        let problem = FileProblem::WrongContents { format, holds, fix };
        Error::file(&self.path, problem)
    }
}

/// Loads a file of any format: npy, npz, safetensors or GGUF.
///
/// The extension tells the format, or the first bytes where there is no known extension. Arrays view
/// the file where its layout allows; while they do, nobody may shorten it or write to it.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::Array;
/// # let folder = tempfile::tempdir()?;
/// let path = folder.path().join("weights.safetensors");
/// olivine_io::save(&path, [("w", Array::scalar(1.5f32)), ("b", Array::scalar(0.5f32))])?;
/// let arrays = olivine_io::load(&path)?.arrays()?;
/// assert_eq!(arrays["w"].item::<f32>()?, 1.5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn load(path: impl AsRef<Path>) -> Result<Loaded> {
    let source = Source::open(path)?;
    let format = Format::of_path(source.path());
    load_as(source, format)
}

/// Loads what was opened, or given as bytes or a reader; its first bytes tell the format.
///
/// ```
/// # use olivine_cpu as _;
/// let mut bytes = Vec::new();
/// olivine_io::write_npy(&mut bytes, &olivine_core::Array::scalar(3u8))?;
/// let x = olivine_io::load_source(olivine_io::Source::from_bytes(bytes))?.array()?;
/// assert_eq!(x.item::<u8>()?, 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn load_source(source: Source) -> Result<Loaded> {
    load_as(source, None)
}

/// Loads what was opened, or given as bytes, in a format; with none, the first bytes tell it.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_io::{Format, Source, load_as, write_npy};
/// let mut bytes = Vec::new();
/// write_npy(&mut bytes, &olivine_core::Array::scalar(3u8))?;
/// let x = load_as(Source::from_bytes(bytes), Some(Format::Npy))?.array()?;
/// assert_eq!(x.item::<u8>()?, 3);
/// # Ok::<(), olivine_io::Error>(())
/// ```
pub fn load_as(source: Source, format: Option<Format>) -> Result<Loaded> {
    load_by(source, format, read_npy)
}

/// As [`load_as`], but the array of an npy file is read when it is evaluated; see [`read_npy_later`].
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::array;
/// use olivine_io::{Source, load_later, save_npy};
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("x.npy");
/// save_npy(&path, &array!([1, 2]))?;
/// let x = load_later(Source::open(&path)?, None)?.array()?;
/// assert!(!x.is_evaluated());
/// assert_eq!(x.to_vec::<i32>()?, [1, 2]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn load_later(source: Source, format: Option<Format>) -> Result<Loaded> {
    load_by(source, format, read_npy_later)
}

fn load_by(
    source: Source,
    format: Option<Format>,
    read_npy: fn(&Source) -> Result<Array>,
) -> Result<Loaded> {
    let path = source.path().to_owned();
    let Some(format) = format.or_else(|| Format::of_bytes(source.bytes())) else {
        return Err(source.invalid(FileProblem::UnknownFormat));
    };
    let mut metadata = GgufMetadata::new();
    let contents = match format {
        Format::Npy => Contents::One(read_npy(&source)?),
        Format::Npz => Contents::Many(named(Npz::new(source)?.arrays())?),
        Format::SafeTensors => {
            let file = SafeTensors::new(source)?;
            let pairs = file.metadata().iter();
            metadata = pairs
                .map(|(key, text)| (key.clone(), GgufValue::from(&**text)))
                .collect();
            Contents::Many(named(file.arrays())?)
        }
        Format::Gguf => {
            let file = Gguf::new(source)?;
            metadata.clone_from(file.metadata());
            Contents::Many(file.arrays()?)
        }
    };
    Ok(Loaded {
        format,
        contents,
        metadata,
        path,
    })
}

fn named<'a>(
    arrays: impl Iterator<Item = Result<(&'a str, Array)>>,
) -> Result<Vec<(String, Array)>> {
    arrays
        .map(|item| item.map(|(name, array)| (name.to_owned(), array)))
        .collect()
}

/// Saves one array as `.npy`, or several by name as `.npz`, `.safetensors` or `.gguf`.
///
/// The extension tells the format. The file appears whole or not at all. Fails if the format does not
/// hold what is given, or cannot store a dtype. See [`save_safetensors`] and [`save_gguf`] for metadata.
///
/// ```
/// # use olivine_cpu as _;
/// # let folder = tempfile::tempdir()?;
/// use olivine_core::Array;
/// let path = folder.path().join("x.npy");
/// olivine_io::save(&path, &Array::scalar(2i32))?;
/// assert_eq!(olivine_io::load(&path)?.array()?.item::<i32>()?, 2);
/// assert!(olivine_io::save(folder.path().join("x.bin"), &Array::scalar(2i32)).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn save(path: impl AsRef<Path>, contents: impl Into<Contents>) -> Result<()> {
    let path = path.as_ref();
    let wrong = |format, holds, fix| {
        let problem = FileProblem::WrongContents { format, holds, fix };
        Err(Error::file(path, problem))
    };
    let format = Format::of_path(path);
    match (contents.into(), format) {
        (_, None) => Err(Error::file(path, FileProblem::UnknownFormat)),
        (Contents::One(array), Some(Format::Npy)) => save_npy(path, &array),
        (Contents::One(_), Some(_)) => wrong(
            "this format",
            "arrays by name",
            "give the array a name, or name the file .npy",
        ),
        (Contents::Many(_), Some(Format::Npy)) => wrong(
            "an .npy file",
            "one array without a name",
            "name the file .npz, .safetensors or .gguf",
        ),
        (Contents::Many(arrays), Some(Format::Npz)) => savez(path, arrays),
        (Contents::Many(arrays), Some(Format::SafeTensors)) => {
            save_safetensors(path, arrays, &Metadata::new())
        }
        (Contents::Many(arrays), Some(Format::Gguf)) => {
            save_gguf(path, arrays, &GgufMetadata::new())
        }
    }
}
