//! Owns finding a model's files, in a folder, a GGUF file or the program, without trusting their names.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use olivine_core::{Array, quantized::Activations};

use crate::config::ModelConfig;
use crate::embed::{SentenceModules, sentence_modules};
use crate::error::{Error, Result};
use crate::generation_config::GenerationConfig;
use crate::gguf::GgufModel;
use crate::json::Object;

const CONFIG: &str = "config.json";
const GENERATION_CONFIG: &str = "generation_config.json";
const TOKENIZER: &str = "tokenizer.json";
const TOKENIZER_CONFIG: &str = "tokenizer_config.json";
const CHAT_TEMPLATE: &str = "chat_template.jinja";
const CHAT_TEMPLATE_JSON: &str = "chat_template.json";
const WEIGHTS: &str = "model.safetensors";
const WEIGHT_INDEX: &str = "model.safetensors.index.json";

// Tokenizers of 256k tokens are about 35 MB; configurations are kilobytes, indices megabytes.
const MAX_TEXT_BYTES: u64 = 512 << 20;

/// A file of a model that is part of the program: its name and its bytes.
pub type EmbeddedFile = (&'static str, &'static [u8]);

/// Where the files of a model live.
#[derive(Debug, Clone)]
enum ModelSource {
    Directory(PathBuf),
    Embedded(&'static [EmbeddedFile]),
    Gguf(Arc<GgufModel>),
}

/// A model in the layout of the Hugging Face hub: configuration, tokenizer and weights; or in one
/// GGUF file, which is read as if it were such a folder.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_lm::ModelFolder;
/// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
/// let folder = ModelFolder::open(path)?;
/// assert_eq!(folder.config()?.model_type, "llama");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct ModelFolder {
    source: ModelSource,
    activations: Activations,
}

/// One file of weights.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_lm::ModelFolder;
/// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
/// let folder = ModelFolder::open(path)?;
/// use olivine_lm::WeightFile;
/// let files = folder.weights()?.files;
/// assert!(matches!(&files[0], WeightFile::Path(path) if path.ends_with("model.safetensors")));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WeightFile {
    /// A file to be memory-mapped.
    Path(PathBuf),
    /// Bytes that are already in memory.
    Embedded(&'static str, &'static [u8]),
}

/// All files of weights of a model.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_lm::ModelFolder;
/// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
/// let folder = ModelFolder::open(path)?;
/// let weights: olivine_lm::WeightFiles = folder.weights()?;
/// // One file, so nobody has to say where a tensor is.
/// assert_eq!((weights.files.len(), weights.tensors), (1, None));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WeightFiles {
    /// The files, each once, in the order of their names.
    pub files: Vec<WeightFile>,
    /// For a sharded model, the position in `files` of the file that holds each tensor.
    pub tensors: Option<BTreeMap<String, usize>>,
}

impl ModelFolder {
    /// Opens the model in a directory, or in a file whose name ends in `.gguf`.
    ///
    /// # Errors
    /// When the path does not exist or is another file; missing files are found by what needs them. A
    /// GGUF file that is damaged, or whose architecture is not known.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::ModelFolder;
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
    /// let folder = ModelFolder::open(path)?;
    /// assert!(folder.path().is_dir());
    /// assert!(ModelFolder::open("/nowhere").is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        match path.metadata() {
            Ok(data) if data.is_dir() => Ok(Self::of(ModelSource::Directory(path))),
            Ok(data) if data.is_file() && is_gguf(&path) => {
                Self::from_gguf(olivine_io::load_gguf(&path)?)
            }
            Ok(_) => Err(Error::NotAFolder {
                path,
                why: "it is a file",
            }),
            Err(source) if source.kind() == std::io::ErrorKind::NotFound => {
                Err(Error::NotAFolder {
                    path,
                    why: "it does not exist",
                })
            }
            Err(source) => Err(Error::Io { path, source }),
        }
    }

    /// Opens a model whose files are part of the program; see [`embed_model!`](crate::embed_model).
    ///
    /// ```
    /// use olivine_lm::ModelFolder;
    /// static FILE: &[u8] = br#"{"top_k": 5}"#;
    /// static FILES: &[olivine_lm::EmbeddedFile] = &[("generation_config.json", FILE)];
    /// let folder = ModelFolder::embedded(FILES);
    /// assert_eq!(folder.generation_config()?.top_k, Some(5));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn embedded(files: &'static [EmbeddedFile]) -> Self {
        Self::of(ModelSource::Embedded(files))
    }

    fn of(source: ModelSource) -> Self {
        ModelFolder {
            source,
            activations: Activations::default(),
        }
    }

    /// The same model, whose packed matrices are multiplied with such activations once it is loaded.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::quantized::Activations;
    /// use olivine_lm::{Model, ModelFolder};
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
    /// let folder = ModelFolder::open(path)?.with_activations(Activations::Int8);
    /// assert_eq!(folder.activations(), Activations::Int8);
    /// let fast = Model::from_folder(&folder)?;
    /// # assert!(fast.network.num_parameters() > 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn with_activations(self, activations: Activations) -> Self {
        ModelFolder {
            activations,
            ..self
        }
    }

    /// What packed matrices are multiplied with.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::quantized::Activations;
    /// use olivine_lm::ModelFolder;
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
    /// assert_eq!(ModelFolder::open(path)?.activations(), Activations::Exact);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn activations(&self) -> Activations {
        self.activations
    }

    /// Takes a GGUF file that is open already.
    ///
    /// # Errors
    /// An architecture that is not known.
    ///
    /// ```
    /// use olivine_io::{Gguf, GgufMetadata, write_gguf};
    /// use olivine_lm::ModelFolder;
    /// let mut bytes = Vec::new();
    /// let metadata = GgufMetadata::from([("general.architecture".into(), "abacus".into())]);
    /// write_gguf(&mut bytes, Vec::<(String, olivine_core::Array)>::new(), &metadata)?;
    /// let error = ModelFolder::from_gguf(Gguf::from_bytes(bytes)?).unwrap_err();
    /// assert!(error.to_string().contains("abacus"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_gguf(file: olivine_io::Gguf) -> Result<Self> {
        Ok(Self::of(ModelSource::Gguf(Arc::new(GgufModel::new(file)?))))
    }

    /// The folder as it appears in messages; `<embedded>` for a model inside the program.
    ///
    /// ```
    /// use olivine_lm::ModelFolder;
    /// assert_eq!(ModelFolder::embedded(&[]).path().to_str(), Some("<embedded>"));
    /// ```
    pub fn path(&self) -> &Path {
        match &self.source {
            ModelSource::Directory(path) => path,
            ModelSource::Embedded(_) => Path::new("<embedded>"),
            ModelSource::Gguf(model) => model.path(),
        }
    }

    /// The path of one of the folder's files, as it appears in messages; a GGUF file's own.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::ModelFolder;
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
    /// let folder = ModelFolder::open(path)?;
    /// assert!(folder.path_of("config.json").is_file());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn path_of(&self, name: &str) -> PathBuf {
        match &self.source {
            ModelSource::Directory(_) | ModelSource::Embedded(_) => self.path().join(name),
            // It is in there.
            ModelSource::Gguf(model) => model.path().to_owned(),
        }
    }

    /// Reads and validates `config.json`.
    ///
    /// # Errors
    /// A missing or unreadable file, and everything [`ModelConfig::parse`] refuses.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::ModelFolder;
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
    /// let folder = ModelFolder::open(path)?;
    /// assert_eq!(folder.config()?.model_type, "llama");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn config(&self) -> Result<ModelConfig> {
        let text = self.required_text(CONFIG)?;
        ModelConfig::parse(&self.path_of(CONFIG), &text)
    }

    /// Reads `generation_config.json`; all fields are absent when there is none.
    ///
    /// # Errors
    /// An unreadable file, and everything [`GenerationConfig::parse`] refuses.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::ModelFolder;
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
    /// let folder = ModelFolder::open(path)?;
    /// assert_eq!(folder.generation_config()?.top_k, Some(40));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn generation_config(&self) -> Result<GenerationConfig> {
        match self.text(GENERATION_CONFIG)? {
            Some(text) => GenerationConfig::parse(&self.path_of(GENERATION_CONFIG), &text),
            None => Ok(GenerationConfig::default()),
        }
    }

    /// Reads `tokenizer.json` as bytes, with the path to name in errors.
    pub(crate) fn tokenizer_json(&self) -> Result<(PathBuf, Cow<'static, str>)> {
        Ok((self.path_of(TOKENIZER), self.required_text(TOKENIZER)?))
    }

    /// Reads `tokenizer_config.json` where there is one.
    pub(crate) fn tokenizer_config(&self) -> Result<Option<Object>> {
        self.text(TOKENIZER_CONFIG)?
            .map(|text| Object::parse(&self.path_of(TOKENIZER_CONFIG), &text))
            .transpose()
    }

    /// Finds the chat template and the file it came from.
    ///
    /// `chat_template.jinja` comes first, then the field of `tokenizer_config.json`, then the older
    /// `chat_template.json`; of several named templates the one named `default` is taken.
    pub(crate) fn chat_template(&self) -> Result<Option<(PathBuf, String)>> {
        if let Some(text) = self.text(CHAT_TEMPLATE)? {
            return Ok(Some((self.path_of(CHAT_TEMPLATE), text.into_owned())));
        }
        if let Some(config) = self.tokenizer_config()?
            && let Some(template) = template_field(&config)?
        {
            return Ok(Some((self.path_of(TOKENIZER_CONFIG), template)));
        }
        let Some(text) = self.text(CHAT_TEMPLATE_JSON)? else {
            return Ok(None);
        };
        let path = self.path_of(CHAT_TEMPLATE_JSON);
        let template = template_field(&Object::parse(&path, &text)?)?;
        Ok(template.map(|template| (path, template)))
    }

    /// Finds the weights: one `model.safetensors`, or the shards its index names; or the GGUF file.
    ///
    /// # Errors
    /// No weights, an index that is malformed or points outside the folder, missing shards (all named).
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::ModelFolder;
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
    /// let folder = ModelFolder::open(path)?;
    /// assert_eq!(folder.weights()?.files.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn weights(&self) -> Result<WeightFiles> {
        if let ModelSource::Gguf(model) = &self.source {
            return Ok(WeightFiles {
                files: vec![WeightFile::Path(model.path().to_owned())],
                tensors: None,
            });
        }
        if let Some(file) = self.weight_file(WEIGHTS) {
            return Ok(WeightFiles {
                files: vec![file],
                tensors: None,
            });
        }
        let Some(text) = self.text(WEIGHT_INDEX)? else {
            return Err(Error::MissingFile {
                folder: self.path().to_owned(),
                file: WEIGHTS,
            });
        };
        self.shards(&text)
    }

    /// All tensors of the weight files, mapped into memory. Those of a GGUF file have the names and
    /// layouts that families take: packed ones are copied, and what has no packed form is unpacked.
    ///
    /// # Errors
    /// Whatever is wrong with the files.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::ModelFolder;
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
    /// let tensors = ModelFolder::open(path)?.tensors()?;
    /// assert!(tensors.iter().any(|(name, _)| name == "model.norm.weight"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn tensors(&self) -> Result<Vec<(String, Array)>> {
        if let ModelSource::Gguf(model) = &self.source {
            return model.tensors();
        }
        let mut all = Vec::new();
        for file in self.weights()?.files {
            let tensors = match file {
                WeightFile::Path(path) => olivine_io::load_safetensors(&path)?,
                WeightFile::Embedded(_, bytes) => olivine_io::SafeTensors::from_bytes(bytes)?,
            };
            for tensor in tensors.arrays() {
                let (name, value) = tensor?;
                all.push((name.to_owned(), value));
            }
        }
        Ok(all)
    }

    /// The dtype that weights are cast to unless another is asked for: a GGUF file mixes several.
    pub(crate) fn usual_dtype(&self, config: &ModelConfig) -> Option<olivine_core::Dtype> {
        match &self.source {
            ModelSource::Directory(_) | ModelSource::Embedded(_) => None,
            ModelSource::Gguf(_) => config.dtype.as_deref().and_then(crate::dtype_of),
        }
    }

    fn shards(&self, index: &str) -> Result<WeightFiles> {
        let path = self.path_of(WEIGHT_INDEX);
        let object = Object::parse(&path, index)?;
        let map = object.required("weight_map", object.object("weight_map")?)?;
        let mut shard_of: BTreeMap<&str, &str> = BTreeMap::new();
        let mut shards: BTreeMap<&str, usize> = BTreeMap::new();
        for (tensor, _) in map.entries() {
            let shard = map.required(tensor, map.string(tensor)?)?;
            if !is_plain_name(shard) {
                return Err(Error::UnsafePath {
                    path,
                    tensor: tensor.to_owned(),
                    entry: shard.escape_debug().to_string(),
                });
            }
            if Path::new(shard).extension() != Some("safetensors".as_ref()) {
                return Err(map.unsupported(tensor, "files named *.safetensors"));
            }
            shard_of.insert(tensor, shard);
            shards.insert(shard, 0);
        }
        if shards.is_empty() {
            return Err(object.bad("weight_map", "names no tensors"));
        }
        let mut files = Vec::with_capacity(shards.len());
        let mut missing = Vec::new();
        for (name, position) in &mut shards {
            match self.weight_file(name) {
                Some(file) => {
                    *position = files.len();
                    files.push(file);
                }
                None => missing.push((*name).to_owned()),
            }
        }
        if !missing.is_empty() {
            return Err(Error::MissingShards { path, missing });
        }
        let tensors = shard_of
            .into_iter()
            .map(|(tensor, shard)| (tensor.to_owned(), shards[shard]))
            .collect();
        Ok(WeightFiles {
            files,
            tensors: Some(tensors),
        })
    }

    /// What `modules.json` of sentence-transformers says, where there is one.
    pub(crate) fn sentence_modules(&self) -> Result<Option<SentenceModules>> {
        const MODULES: &str = "modules.json";
        let Some(text) = self.text(MODULES)? else {
            return Ok(None);
        };
        // The file is a list of objects, which are read as the fields of one.
        let path = self.path_of(MODULES);
        let failed = |source| Error::Json {
            path: path.clone(),
            source,
        };
        let list: Vec<serde_json::Value> = serde_json::from_str(&text).map_err(failed)?;
        let list = list
            .into_iter()
            .enumerate()
            .map(|(number, module)| (number.to_string(), module));
        let list = serde_json::Value::Object(list.collect());
        let list = Object::parse(&path, &list.to_string())?;
        let read = |name: &str| match self.text(name)? {
            Some(text) => Object::parse(&self.path_of(name), &text).map(Some),
            None => Ok(None),
        };
        sentence_modules(&list, &read).map(Some)
    }

    /// The small files that belong to a model beside its weights and `config.json`: the name and
    /// contents of each that is there.
    pub(crate) fn other_files(&self) -> Result<Vec<(String, Cow<'static, str>)>> {
        let names = [
            TOKENIZER,
            TOKENIZER_CONFIG,
            "special_tokens_map.json",
            "added_tokens.json",
            "vocab.json",
            "merges.txt",
            GENERATION_CONFIG,
            CHAT_TEMPLATE,
            CHAT_TEMPLATE_JSON,
        ];
        let mut files = Vec::new();
        for name in names {
            if let Some(text) = self.text(name)? {
                files.push((name.to_owned(), text));
            }
        }
        Ok(files)
    }

    fn weight_file(&self, name: &str) -> Option<WeightFile> {
        match &self.source {
            ModelSource::Directory(folder) => {
                let path = folder.join(name);
                path.is_file().then_some(WeightFile::Path(path))
            }
            ModelSource::Embedded(files) => files
                .iter()
                .find(|(embedded, _)| *embedded == name)
                .map(|(embedded, bytes)| WeightFile::Embedded(embedded, bytes)),
            ModelSource::Gguf(_) => None,
        }
    }

    fn required_text(&self, name: &'static str) -> Result<Cow<'static, str>> {
        self.text(name)?.ok_or_else(|| Error::MissingFile {
            folder: self.path().to_owned(),
            file: name,
        })
    }

    /// Reads a text file, or nothing when it does not exist.
    fn text(&self, name: &str) -> Result<Option<Cow<'static, str>>> {
        let not_utf8 = |error: std::str::Utf8Error| Error::NotUtf8 {
            path: self.path_of(name),
            offset: error.valid_up_to(),
        };
        match &self.source {
            ModelSource::Gguf(model) => {
                let text = match name {
                    CONFIG => Some(model.config()?),
                    GENERATION_CONFIG => model.generation_config()?,
                    TOKENIZER => Some(model.tokenizer()?),
                    TOKENIZER_CONFIG => Some(model.tokenizer_config()?),
                    _ => None,
                };
                Ok(text.map(Cow::Owned))
            }
            ModelSource::Embedded(files) => files
                .iter()
                .find(|(embedded, _)| *embedded == name)
                .map(|(_, bytes)| std::str::from_utf8(bytes).map(Cow::Borrowed))
                .transpose()
                .map_err(not_utf8),
            ModelSource::Directory(folder) => {
                let Some(bytes) = read_small(&folder.join(name))? else {
                    return Ok(None);
                };
                match String::from_utf8(bytes) {
                    Ok(text) => Ok(Some(Cow::Owned(text))),
                    Err(error) => Err(not_utf8(error.utf8_error())),
                }
            }
        }
    }
}

/// Whether a file's name says that it is a GGUF file.
fn is_gguf(path: &Path) -> bool {
    path.extension()
        .is_some_and(|end| end.eq_ignore_ascii_case("gguf"))
}

/// Reads a whole file, or nothing when it does not exist.
fn read_small(path: &Path) -> Result<Option<Vec<u8>>> {
    let failed = |source| Error::Io {
        path: path.to_owned(),
        source,
    };
    let data = match path.metadata() {
        Ok(data) => data,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    if !data.is_file() {
        // A named pipe would wait for ever and a device would never end.
        return Err(failed(std::io::Error::other("it is not a regular file")));
    }
    if data.len() > MAX_TEXT_BYTES {
        return Err(Error::TooLarge {
            path: path.to_owned(),
            bytes: data.len(),
            limit: MAX_TEXT_BYTES,
        });
    }
    std::fs::read(path).map(Some).map_err(failed)
}

/// Whether a name from an index is one file directly in the folder, on every operating system.
pub(crate) fn is_plain_name(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    matches!(parts.next(), Some(Component::Normal(part)) if part == name)
        && parts.next().is_none()
        && !name.contains(['\\', ':', '\0'])
}

/// The `chat_template` field: a string, or a list of named templates.
fn template_field(object: &Object) -> Result<Option<String>> {
    const FIELD: &str = "chat_template";
    let Some(list) = object.get(FIELD).and_then(|value| value.as_array()) else {
        return Ok(object.string(FIELD)?.map(str::to_owned));
    };
    let default = list.iter().find(|entry| entry["name"] == "default");
    match default.and_then(|entry| entry["template"].as_str()) {
        Some(template) => Ok(Some(template.to_owned())),
        None => Err(object.bad(FIELD, "is a list without a template named `default`")),
    }
}

/// Puts the files of a model folder into the program, aligned so that weights need no copy.
///
/// Takes the folder as an absolute path literal (usually made with `concat!` and
/// `env!("CARGO_MANIFEST_DIR")`) and the file names; gives a `&'static [EmbeddedFile]` for
/// [`ModelFolder::embedded`](crate::ModelFolder::embedded).
///
/// ```
/// use olivine_lm::{ModelFolder, embed_model};
/// let files = embed_model!(
///     concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories"),
///     ["config.json", "model.safetensors"]
/// );
/// assert_eq!(ModelFolder::embedded(files).config()?.model_type, "llama");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[macro_export]
macro_rules! embed_model {
    ($folder:expr, [$($name:literal),+ $(,)?]) => {{
        const FILES: &[$crate::EmbeddedFile] = &[$({
            // safetensors data is viewed in place, so it must start where any dtype may start.
            #[repr(C, align(64))]
            struct Aligned<Bytes: ?Sized>(Bytes);
            static FILE: &Aligned<[u8]> = &Aligned(*include_bytes!(concat!($folder, "/", $name)));
            ($name, &FILE.0)
        }),+];
        FILES
    }};
}

#[cfg(test)]
#[path = "folder_tests.rs"]
mod tests;
