//! Functions whose description in a file was tampered with: each of its numbers is changed to what
//! kernels must not believe. Such a function is refused with an error, or it computes something.

use std::panic::{AssertUnwindSafe, catch_unwind};

use olivine_conformance::{Tensor, report, report::Report};
use olivine_core::{
    Array, Dtype, Error, eval,
    graph::{Program, Spec},
    ops::{OpInfo, Sample},
};
use serde_json::{Number, Value};

use crate::values::{inputs, text};

/// What numbers are changed to.
fn hostile() -> Vec<Number> {
    let mut numbers: Vec<Number> = [0, 1, 2, 3, -1, 77, 1 << 31, i64::MAX, i64::MIN]
        .into_iter()
        .map(Number::from)
        .collect();
    numbers.extend([Number::from(u64::MAX), Number::from(1u64 << 62)]);
    numbers.extend([0.5, -1e300].into_iter().filter_map(Number::from_f64));
    numbers
}

/// Calls `f` with the value after each change of one of its numbers, and of each list's length.
fn for_each_change(value: &Value, f: &mut impl FnMut(&str, &Value)) {
    let mut paths = Vec::new();
    collect(value, &mut String::new(), &mut paths);
    let mut changed = value.clone();
    for path in paths {
        let Some(old) = changed.pointer(&path).cloned() else {
            continue;
        };
        let news: Vec<Value> = match &old {
            Value::Number(_) => hostile().into_iter().map(Value::Number).collect(),
            Value::Bool(value) => vec![Value::Bool(!value)],
            Value::Array(list) => {
                let mut fewer = list.clone();
                fewer.pop();
                let mut more = list.clone();
                more.extend(list.last().cloned());
                vec![Value::Array(fewer), Value::Array(more)]
            }
            _ => Vec::new(),
        };
        for new in news.into_iter().filter(|new| *new != old) {
            let name = format!("{path} = {new}");
            if let Some(place) = changed.pointer_mut(&path) {
                *place = new;
            }
            f(&name, &changed);
        }
        if let Some(place) = changed.pointer_mut(&path) {
            *place = old;
        }
    }
}

/// The places of all numbers, truth values and lists.
fn collect(value: &Value, path: &mut String, paths: &mut Vec<String>) {
    let length = path.len();
    let mut inside = |key: &str, value: &Value| {
        path.push('/');
        path.push_str(key);
        collect(value, path, paths);
        path.truncate(length);
    };
    match value {
        Value::Array(list) => {
            for (i, value) in list.iter().enumerate() {
                inside(&i.to_string(), value);
            }
        }
        Value::Object(fields) => {
            for (key, value) in fields {
                inside(key, value);
            }
        }
        Value::Number(_) | Value::Bool(_) | Value::Null | Value::String(_) => {}
    }
    if matches!(value, Value::Array(_) | Value::Number(_) | Value::Bool(_)) {
        paths.push(path.clone());
    }
}

/// Whether all arrays of a program are small enough to be computed by the thousand.
fn small(program: &Program) -> bool {
    let size = |spec: &Spec| {
        let sizes = spec.shape.iter();
        sizes.fold(1usize, |count, &size| count.saturating_mul(size))
    };
    let specs = program.steps.iter().flat_map(|step| &step.specs);
    specs
        .chain(&program.inputs)
        .all(|spec| size(spec) <= 1 << 16)
}

/// Reads a program and runs it, as `import_function` and a call do. A defect is reported.
fn tried(text: &str, constants: &[Array], arguments: &[Array]) -> Result<bool, String> {
    let Ok(mut program) = serde_json::from_str::<Program>(text) else {
        return Ok(false);
    };
    program.constants = constants.to_vec();
    if program.check().is_err() || !small(&program) {
        return Ok(false);
    }
    program.simplify();
    let own: Vec<Array> = program
        .inputs
        .iter()
        .map(|spec| Array::ones(&spec.shape, spec.dtype))
        .collect::<Result<_, _>>()
        .map_err(|error| error.to_string())?;
    for arguments in [arguments, &own] {
        let outcome = program.call(arguments).and_then(|outputs| eval(&outputs));
        if let Err(error @ Error::Internal { .. }) = outcome {
            return Err(error.to_string());
        }
    }
    Ok(true)
}

/// Tampers with one sample; returns how many changes were made, and how many of them still ran.
fn tamper(op: &OpInfo, sample: &Sample, report: &mut Report) -> Result<[usize; 2], String> {
    let dtype = if op.accepts(Dtype::Float32) {
        Dtype::Float32
    } else {
        Dtype::Int32
    };
    let arrays: Vec<Array> = inputs(op, sample, dtype)
        .iter()
        .map(Tensor::to_array)
        .collect::<Result<_, _>>()
        .map_err(text)?;
    let mut program = Program::trace(&arrays, |x| (sample.call)(x)).map_err(text)?;
    program.tidy();
    let stored = serde_json::to_value(&program).map_err(|error| error.to_string())?;
    let mut counts = [0, 0];
    for_each_change(&stored, &mut |change, value| {
        let text = value.to_string();
        let run = || tried(&text, &program.constants, &arrays);
        let outcome = catch_unwind(AssertUnwindSafe(run));
        let outcome = outcome.unwrap_or_else(|_| Err("it panicked".to_owned()));
        counts[0] += 1;
        counts[1] += usize::from(outcome == Ok(true));
        let name = format!("{} ({}) {change}", op.name, sample.label);
        report.case(name, outcome.map(|_| ()));
    });
    Ok(counts)
}

#[test]
fn tampered_functions_are_refused_or_run() {
    let mut report = Report::default();
    let (mut changes, mut ran) = (0, 0);
    for op in report::ops() {
        for sample in (op.samples)().iter().take(2) {
            match tamper(op, sample, &mut report) {
                Ok(counts) => {
                    changes += counts[0];
                    ran += counts[1];
                }
                Err(error) => report.case(op.name, Err(error)),
            }
        }
    }
    println!("{changes} changes, of which {ran} left a function that runs");
    report.finish(10_000);
    assert!(ran > 100 || changes < 10_000, "only {ran} of {changes} ran");
}
