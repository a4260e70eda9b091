//! Owns conversion: a model written as another folder, packed, unpacked or cast, tensor by tensor.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

use olivine_core::{Array, Dtype, quantized::Quantization};
use olivine_io::{Metadata, write_safetensors};
use serde_json::{Map, Value, json};

use crate::{Change, Error, ModelFolder, Recipe, Result, Weights, models};

/// What to convert a model to, and how large its files may be.
///
/// ```
/// use olivine_lm::ConvertOptions;
/// assert_eq!(ConvertOptions::default().shard_bytes, 5 << 30);
/// ```
#[derive(Clone, Debug)]
pub struct ConvertOptions {
    /// What is done with the weights.
    pub change: Change,
    /// Files hold at most so many bytes of tensors, or one tensor.
    pub shard_bytes: usize,
    /// Weights are random, for trying out a model's speed and memory; the folder needs none.
    pub random: bool,
}

impl Default for ConvertOptions {
    fn default() -> Self {
        ConvertOptions {
            change: Change::default(),
            shard_bytes: 5 << 30,
            random: false,
        }
    }
}

/// What a conversion made.
///
/// ```
/// use olivine_lm::ConvertSummary;
/// let made = ConvertSummary { parameters: 1000, bytes: 500, files: 1 };
/// assert_eq!(made.bits_per_weight(), 4.0);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvertSummary {
    /// The number of weights, packed ones counted as what they stand for.
    pub parameters: u64,
    /// The bytes of all tensors.
    pub bytes: u64,
    /// The number of weight files.
    pub files: usize,
}

impl ConvertSummary {
    /// The bits that a weight takes, scales and biases of packed ones included.
    ///
    /// ```
    /// use olivine_lm::ConvertSummary;
    /// assert_eq!(ConvertSummary { parameters: 8, bytes: 16, files: 1 }.bits_per_weight(), 16.0);
    /// ```
    pub fn bits_per_weight(&self) -> f64 {
        8.0 * self.bytes as f64 / self.parameters.max(1) as f64
    }
}

/// Writes the model of a folder to the new folder `out`, in MLX's layout.
///
/// Tensors are read, changed and written one by one, so the model need not fit into memory. The
/// folder appears under its name when it is complete. `progress` is told the bytes written so far
/// and those of all; false stops the conversion, and nothing is left of it.
///
/// # Errors
/// `out` exists already, or cannot be written; whatever is wrong with the model.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::quantized::Quantization;
/// use olivine_lm::{Change, ConvertOptions, ModelFolder, Recipe, convert, models};
/// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
/// # let place = tempfile::tempdir()?;
/// let folder = ModelFolder::open(path)?;
/// let out = place.path().join("stories-4bit");
/// let change = Change { quantize: Some(Recipe::uniform(Quantization::default())), ..Change::default() };
/// let made = convert(&folder, &out, &ConvertOptions { change, ..Default::default() }, &mut |_, _| true)?;
/// assert!(made.bits_per_weight() < 4.7);
/// assert!(models::load(&ModelFolder::open(out)?).is_ok());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn convert(
    folder: &ModelFolder,
    out: &Path,
    options: &ConvertOptions,
    progress: &mut dyn FnMut(u64, u64) -> bool,
) -> Result<ConvertSummary> {
    if out.exists() {
        return Err(Error::OutputExists {
            path: out.to_owned(),
        });
    }
    let config = folder.config()?;
    let change = Change {
        for_mlx: true,
        ..options.change.clone()
    };
    let (model, weights) = if options.random {
        let weights = Weights::random().changed(change);
        (models::build(&config, &weights)?, weights)
    } else {
        models::load_changed(folder, change)?
    };
    let packing = weights.packing();
    let mut parameters = model.parameters();
    let count = count(&parameters, packing.as_ref());
    let mut fields = config.to_json();
    for field in ["quantization", "quantization_config"] {
        fields.remove(field);
        if let Some(packing) = &packing {
            fields.insert(field.to_owned(), packing.to_json());
        }
    }
    // Tensors are freed as they are written, which takes that nobody else holds them.
    drop((model, weights));

    let bytes: usize = parameters.values().map(Array::nbytes).sum();
    let shards = shards(&mut parameters, options.shard_bytes);
    let place = Unfinished::beside(out)?;
    let metadata = Metadata::from([("format".to_owned(), "mlx".to_owned())]);
    let files = shards.len();
    let mut map = Map::new();
    let mut counter = Counter {
        written: 0,
        all: bytes as u64,
        stopped: false,
        progress,
    };
    for (number, shard) in shards.into_iter().enumerate() {
        let name = match files {
            1 => "model.safetensors".to_owned(),
            _ => format!("model-{:05}-of-{files:05}.safetensors", number + 1),
        };
        map.extend(
            shard
                .iter()
                .map(|(tensor, _)| (tensor.clone(), Value::from(name.clone()))),
        );
        let path = place.path.join(&name);
        let failed = |source| Error::WriteFile {
            path: path.clone(),
            source,
        };
        let mut file = File::create(&path).map_err(failed)?;
        let mut writer = BufWriter::with_capacity(
            1 << 20,
            Counted {
                file: &mut file,
                counter: &mut counter,
            },
        );
        let written = write_safetensors(&mut writer, shard, &metadata);
        let flushed = writer.flush();
        drop(writer);
        if counter.stopped {
            return Err(Error::Stopped);
        }
        written.map_err(|error| unwritten(&path, error))?;
        flushed.map_err(failed)?;
        file.sync_all().map_err(failed)?;
    }
    map.sort_keys();
    let index = json!({
        "metadata": {"total_size": bytes, "total_parameters": count},
        "weight_map": map,
    });
    fields.sort_keys();
    place.write("model.safetensors.index.json", &pretty(&index))?;
    place.write("config.json", &pretty(&Value::Object(fields)))?;
    for (name, contents) in folder.other_files()? {
        place.write(&name, &contents)?;
    }
    place.finish(out)?;
    Ok(ConvertSummary {
        parameters: count,
        bytes: bytes as u64,
        files,
    })
}

/// The error of tensors that could not be written to a file.
pub(crate) fn unwritten(path: &Path, error: olivine_io::Error) -> Error {
    match error {
        // The writer does not know where it writes to.
        olivine_io::Error::Io { source, .. } => Error::WriteFile {
            path: path.to_owned(),
            source: std::io::Error::new(source.kind(), source),
        },
        other => other.into(),
    }
}

/// The number of weights that the tensors stand for.
fn count(parameters: &BTreeMap<String, Array>, packing: Option<&crate::QuantizationConfig>) -> u64 {
    let mut count = 0;
    for (name, value) in parameters {
        let layer = name.rsplit_once('.').map_or("", |(layer, _)| layer);
        let packed = parameters.contains_key(&format!("{layer}.scales"));
        let size = value.size() as u64;
        count += match name.rsplit('.').next() {
            Some("scales" | "biases") if packed => 0,
            Some("weight") if packed => {
                let bits = packing
                    .and_then(|packing| packing.of(layer))
                    .map_or(4, Quantization::bits);
                size * 32 / bits as u64
            }
            _ => size,
        };
    }
    count
}

/// Splits tensors in the order of their names into files.
fn shards(parameters: &mut BTreeMap<String, Array>, limit: usize) -> Vec<Vec<(String, Array)>> {
    let mut shards: Vec<Vec<(String, Array)>> = Vec::new();
    let mut size = 0;
    for (name, value) in std::mem::take(parameters) {
        let own = value.nbytes();
        match shards.last_mut() {
            Some(shard) if size + own <= limit => {
                shard.push((name, value));
                size += own;
            }
            _ => {
                shards.push(vec![(name, value)]);
                size = own;
            }
        }
    }
    shards
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

/// How much of a file has been written.
pub(crate) struct Counter<'a> {
    pub(crate) written: u64,
    pub(crate) all: u64,
    pub(crate) stopped: bool,
    pub(crate) progress: &'a mut dyn FnMut(u64, u64) -> bool,
}

/// A file that tells how much has been written.
pub(crate) struct Counted<'a, 'b> {
    pub(crate) file: &'a mut File,
    pub(crate) counter: &'a mut Counter<'b>,
}

impl Write for Counted<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let count = self.file.write(bytes)?;
        let counter = &mut *self.counter;
        counter.written += count as u64;
        // Headers are not counted in what there is to write.
        if (counter.progress)(counter.written.min(counter.all), counter.all) {
            return Ok(count);
        }
        counter.stopped = true;
        Err(std::io::Error::other("stopped"))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

/// A folder under a name of its own that disappears unless it is finished.
pub(crate) struct Unfinished {
    pub(crate) path: PathBuf,
    done: bool,
}

impl Unfinished {
    pub(crate) fn beside(out: &Path) -> Result<Self> {
        let Some(name) = out.file_name() else {
            let source = std::io::ErrorKind::InvalidFilename.into();
            return Err(Error::WriteFile {
                path: out.to_owned(),
                source,
            });
        };
        let path = out.with_file_name(format!(".{}.{}.tmp", name.display(), std::process::id()));
        // Left behind by an earlier process of the same number that was killed.
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).map_err(|source| Error::WriteFile {
            path: out.to_owned(),
            source,
        })?;
        Ok(Unfinished { path, done: false })
    }

    fn write(&self, name: &str, contents: &str) -> Result<()> {
        let path = self.path.join(name);
        std::fs::write(&path, contents).map_err(|source| Error::WriteFile { path, source })
    }

    fn finish(mut self, out: &Path) -> Result<()> {
        std::fs::rename(&self.path, out).map_err(|source| Error::WriteFile {
            path: out.to_owned(),
            source,
        })?;
        self.done = true;
        Ok(())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.done {
            // There is nobody to tell, and the error that brought us here matters more.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

/// How a model's layers can be packed with different numbers of bits: two for most, more for
/// those that matter most.
///
/// ```
/// use olivine_lm::MixedBits;
/// let mixed: MixedBits = "mixed_3_6".parse()?;
/// assert_eq!((mixed.low, mixed.high), (3, 6));
/// # Ok::<(), olivine_lm::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MixedBits {
    /// The bits of most layers.
    pub low: usize,
    /// The bits of the output table, and of the values' and down projections of some layers.
    pub high: usize,
}

impl MixedBits {
    /// The recipe for a model of so many layers, with groups of one size.
    ///
    /// ```
    /// use olivine_lm::MixedBits;
    /// let recipe = MixedBits { low: 2, high: 6 }.recipe(16, 64)?;
    /// assert_eq!(recipe.of("lm_head", 64).unwrap().bits(), 6);
    /// assert_eq!(recipe.of("model.layers.0.mlp.down_proj", 64).unwrap().bits(), 6);
    /// assert_eq!(recipe.of("model.layers.3.mlp.down_proj", 64).unwrap().bits(), 2);
    /// # Ok::<(), olivine_lm::Error>(())
    /// ```
    pub fn recipe(self, layers: usize, group_size: usize) -> Result<Recipe> {
        let low = Quantization::affine(group_size, self.low)?;
        let high = Quantization::affine(group_size, self.high)?;
        // The first and the last eighth, and every third between.
        let careful = move |number: usize| {
            let eighth = layers / 8;
            number < eighth || number >= 7 * layers / 8 || number.wrapping_sub(eighth) % 3 == 2
        };
        Ok(Recipe::new(low, move |layer, _| {
            let number = layer
                .split('.')
                .find_map(|part| part.parse().ok())
                .unwrap_or(0);
            let weighty = ["v_proj", "v_a_proj", "v_b_proj", "down_proj"];
            let weighty = weighty.iter().any(|name| layer.contains(name)) && careful(number);
            Some(if weighty || layer.contains("lm_head") {
                high
            } else {
                low
            })
        }))
    }
}

impl std::str::FromStr for MixedBits {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let known = [
            ("mixed_2_6", 2, 6),
            ("mixed_3_4", 3, 4),
            ("mixed_3_6", 3, 6),
            ("mixed_4_6", 4, 6),
        ];
        let found = known.into_iter().find(|(known, ..)| *known == name);
        let found = found.map(|(_, low, high)| MixedBits { low, high });
        found.ok_or_else(|| Error::Option {
            option: "recipe",
            value: name.to_owned(),
            expected: "mixed_2_6, mixed_3_4, mixed_3_6 or mixed_4_6",
        })
    }
}

/// The dtype that a configuration or a command line names.
///
/// ```
/// use olivine_core::Dtype;
/// assert_eq!(olivine_lm::dtype_of("bfloat16"), Some(Dtype::BFloat16));
/// assert_eq!(olivine_lm::dtype_of("int8"), None);
/// ```
pub fn dtype_of(name: &str) -> Option<Dtype> {
    match name {
        "float32" => Some(Dtype::Float32),
        "float16" => Some(Dtype::Float16),
        "bfloat16" => Some(Dtype::BFloat16),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_writing_name_the_file() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                Err(std::io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let one = [("x", Array::scalar(1.0f32))];
        let error = write_safetensors(Full, one, &Metadata::new()).unwrap_err();
        let error = unwritten(Path::new("out/model.safetensors"), error);
        let text = error.to_string();
        assert!(
            text.starts_with("cannot write out/model.safetensors: "),
            "{text}"
        );
        assert!(error.help().unwrap().contains("has room"));
    }
}
