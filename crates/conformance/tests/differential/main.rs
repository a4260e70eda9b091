//! Replays random calls of the reference package: the committed ones always, and those of the file
//! that `OLIVINE_DIFFERENTIAL` names without its extension, which `cargo xtask test` makes.
//!
//! `OLIVINE_OP` restricts both to one operation.

mod calls;
mod differences;
mod products;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use olivine_conformance::{
    Report, Tensor, Tolerance, Value, golden, layout::Layout, tolerance::epsilon,
};
use olivine_core::{Array, Dtype, bf16, ops::ops};
use olivine_io::{GgufMetadata, Metadata, load_npz};
use serde_json::Value as Json;

use self::{
    calls::Args,
    differences::{DIFFERENCES, NOT_ASKED, RANK_0, computed_in, least, slack},
};

/// The cases of a file, and the values of their arrays.
struct Cases {
    file: Json,
    values: BTreeMap<Dtype, Vec<Value>>,
}

impl Cases {
    fn read(stem: &Path) -> Cases {
        let text = stem.with_extension("json");
        let text = std::fs::read_to_string(&text)
            .unwrap_or_else(|error| panic!("{}: {error}", text.display()));
        let mut values = BTreeMap::new();
        let store = load_npz(stem.with_extension("npz")).unwrap_or_else(|error| panic!("{error}"));
        for item in store.arrays() {
            let (name, array) = item.unwrap_or_else(|error| panic!("{error}"));
            let dtype = golden::dtype(&Json::from(name));
            values.insert(dtype, elements(dtype, &array));
        }
        Cases {
            file: serde_json::from_str(&text).expect("the script writes JSON"),
            values,
        }
    }

    /// The array of an entry `[dtype, shape, start]`.
    fn tensor(&self, entry: &Json) -> Tensor {
        let dtype = golden::dtype(&entry[0]);
        let shape: Vec<usize> = entry[1]
            .as_array()
            .expect("a shape")
            .iter()
            .map(|n| n.as_u64().expect("a size") as usize)
            .collect();
        let start = entry[2].as_u64().expect("a position") as usize;
        let end = start + shape.iter().product::<usize>();
        Tensor::new(dtype, shape, self.values[&dtype][start..end].to_vec())
    }

    fn tensors(&self, list: &Json) -> Vec<Tensor> {
        let list = list.as_array().expect("a list of arrays");
        list.iter().map(|entry| self.tensor(entry)).collect()
    }
}

fn elements(dtype: Dtype, array: &Array) -> Vec<Value> {
    if dtype == Dtype::BFloat16 {
        // NumPy has none, so the file holds their bits.
        let bits = array.to_vec::<u16>().expect("the script stores bits");
        let real = |bits| Value::Real(bf16::from_bits(bits).to_f64());
        return bits.into_iter().map(real).collect();
    }
    let tensor = Tensor::from_array(array).expect("loaded arrays have values");
    assert_eq!(tensor.dtype, dtype);
    tensor.values
}

fn layout(name: &Json) -> Layout {
    match name.as_str().expect("a layout") {
        "transposed" => Layout::Transposed,
        "stepped" => Layout::Stepped,
        "reversed" => Layout::Reversed,
        "broadcast" => Layout::Broadcast,
        "held" => Layout::Held,
        other => panic!("there is no layout {other}"),
    }
}

/// Replays one case. An operation that is not known here is an error: nothing is passed over in silence.
fn replay(cases: &Cases, case: &Json) -> Result<(), String> {
    let op = case["op"].as_str().expect("a name");
    let inputs = cases.tensors(&case["in"]);
    let entries = case["in"].as_array().expect("a list");
    let arrays: Result<Vec<Array>, _> = inputs
        .iter()
        .zip(entries)
        .map(|(tensor, entry)| layout(&entry[3]).lay(tensor))
        .collect();
    let arrays = arrays.expect("plain arrays can be laid out");
    let results = match calls::call(op, &Args(&case["args"]), &arrays) {
        Some(Ok(results)) => results,
        Some(Err(error)) => return Err(format!("refused: {error}")),
        None => return Err("the replay does not know the operation".to_owned()),
    };
    let expected = cases.tensors(&case["out"]);
    if results.len() != expected.len() {
        let (got, due) = (results.len(), expected.len());
        return Err(format!("{got} results where {due} were expected"));
    }
    let mut pairs = results.iter().zip(&expected);
    pairs.try_for_each(|(result, expected)| compare(op, &inputs, result, expected))
}

fn compare(op: &str, inputs: &[Tensor], got: &Array, expected: &Tensor) -> Result<(), String> {
    let got = Tensor::from_array(got).map_err(|error| error.to_string())?;
    // Rounding errors are as large as the largest numbers that were added up.
    let largest = inputs
        .iter()
        .flat_map(|tensor| &tensor.values)
        .map(|value| value.complex().norm())
        .filter(|norm| *norm < 1e4)
        .fold(1.0, f64::max);
    let dtypes: Vec<Dtype> = inputs.iter().map(|tensor| tensor.dtype).collect();
    let dtype = computed_in(op, &dtypes, expected.dtype);
    let steps = slack(op, dtype) * epsilon(dtype);
    let tolerance = Tolerance {
        relative: steps,
        absolute: least(op, dtype).unwrap_or(steps * largest),
    };
    tolerance.check(&got, expected)
}

/// Why a case differs on purpose, if it does.
fn known_difference(op: &str, case: &Json) -> Option<&'static str> {
    let has = |what: &str| {
        let fits = |entry: &Json| match what {
            RANK_0 => entry[1].as_array().is_some_and(Vec::is_empty),
            dtype => entry[0] == dtype,
        };
        case["in"]
            .as_array()
            .is_some_and(|list| list.iter().any(fits))
    };
    DIFFERENCES
        .iter()
        .find(|(name, what, _)| *name == op && has(what))
        .map(|(_, _, reason)| *reason)
}

fn run(stem: &Path, least: usize) {
    let cases = Cases::read(stem);
    let filter = std::env::var("OLIVINE_OP").unwrap_or_default();
    let seed = &cases.file["seed"];
    let mut report = Report::default();
    for case in cases.file["cases"].as_array().expect("a list of cases") {
        let op = case["op"].as_str().expect("a name");
        if !filter.is_empty() && filter != op || known_difference(op, case).is_some() {
            continue;
        }
        let arrays: Vec<String> = case["in"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|entry| format!("{} {} {}", entry[0], entry[1], entry[3]))
            .collect();
        let (number, args) = (&case["seed"], &case["args"]);
        let name = format!("{op} (seed {seed}, case {number}) {args} {arrays:?}");
        report.case(name, replay(&cases, case));
    }
    report.finish(least);
}

/// Writes the values of all cases in every format, for other programs to read.
fn exchange(stem: &Path) -> olivine_io::Result<()> {
    let folder = stem.with_file_name("exchange");
    std::fs::create_dir_all(&folder).expect("the folder of the cases is ours");
    let mut arrays = Vec::new();
    for item in load_npz(stem.with_extension("npz"))?.arrays() {
        let (name, array) = item?;
        let array = match name {
            "bfloat16" => {
                let bits = array.to_vec::<u16>()?.into_iter().map(bf16::from_bits);
                Array::from_slice(&bits.collect::<Vec<_>>(), array.shape())?
            }
            _ => array,
        };
        olivine_io::save(folder.join(format!("{name}.npy")), &array)?;
        arrays.push((name.to_owned(), array));
    }
    let named = || arrays.iter().map(|(name, array)| (name.clone(), array));
    olivine_io::savez(folder.join("all.npz"), named())?;
    olivine_io::savez_compressed(folder.join("packed.npz"), named())?;
    let metadata = Metadata::from([("made.by".into(), "olivine".into())]);
    // The reference cannot read doubles from such files.
    let kept = named().filter(|(_, array)| array.dtype() != Dtype::Float64);
    olivine_io::save_safetensors(folder.join("all.safetensors"), kept, &metadata)?;
    // The dtypes that GGUF has and the reference can read.
    let kept = [
        Dtype::Int8,
        Dtype::Int16,
        Dtype::Int32,
        Dtype::Float16,
        Dtype::Float32,
    ];
    let kept = named().filter(|(_, array)| kept.contains(&array.dtype()));
    let metadata = GgufMetadata::from([("made.by".into(), "olivine".into())]);
    olivine_io::save_gguf(folder.join("all.gguf"), kept, &metadata)
}

#[test]
fn committed_cases_agree_with_the_reference_package() {
    run(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/differential"),
        300,
    );
}

#[test]
fn fresh_cases_agree_with_the_reference_package() {
    // Without it there is no reference package to ask; `cargo xtask test` says so.
    if let Some(stem) = std::env::var_os("OLIVINE_DIFFERENTIAL") {
        let stem = PathBuf::from(stem);
        run(&stem, 2000);
        exchange(&stem).unwrap_or_else(|error| panic!("{error}"));
    }
}

#[test]
fn every_operation_has_committed_cases_or_a_reason_to_have_none() {
    let cases = Cases::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/differential"));
    let cases = cases.file["cases"].as_array().expect("a list of cases");
    let met: BTreeSet<&str> = cases
        .iter()
        .filter_map(|case| differences::entry(case["op"].as_str()?))
        .map(|info| info.signature)
        .collect();
    for info in ops() {
        let name = info.signature.split('(').next().expect("a name");
        let left_out = NOT_ASKED.iter().any(|(names, _)| names.contains(&name));
        let has = met.contains(info.signature);
        assert!(
            has || left_out,
            "{name}: no committed case, and no reason for that"
        );
        assert!(
            !(has && left_out),
            "{name}: there are cases, so the reason is out of date"
        );
    }
}

#[test]
fn differences_name_operations_that_exist() {
    for (op, dtype, reason) in DIFFERENCES {
        assert!(differences::entry(op).is_some(), "{op}: {reason}");
        let known = Dtype::ALL.iter().any(|known| known.name() == *dtype);
        assert!(known || *dtype == RANK_0, "{op}: {dtype}");
    }
}
