//! Owns the Python bindings that are made from the list of ops: those whose arguments are regular.

use std::fmt::Write as _;

use olivine_core::{
    Array, Dtype, Result,
    ops::{Domain, Family, OpInfo},
};
use olivine_cpu as _;

pub(crate) const PATH: &str = "crates/py/src/regular/list.rs";

/// Ops with regular arguments in Rust whose Python functions take more, so they are written by hand.
const BY_HAND: &[&str] = &["round", "positive", "minmax", "divmod", "argmax", "argmin"];

/// The functions that are methods of arrays too.
const METHODS: &[&str] = &[
    "abs",
    "all",
    "any",
    "conj",
    "cos",
    "cummax",
    "cummin",
    "cumprod",
    "cumsum",
    "exp",
    "log",
    "log10",
    "log1p",
    "log2",
    "logcumsumexp",
    "logsumexp",
    "max",
    "mean",
    "min",
    "prod",
    "reciprocal",
    "rsqrt",
    "sin",
    "sqrt",
    "square",
    "sum",
];

/// How an op takes its arguments.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Form {
    /// `f(a)`
    Unary,
    /// `f(a, b)`
    Binary,
    /// `f(a, axis=None, keepdims=False)`
    Reduction,
    /// `f(a, axis=None, reverse=False, inclusive=True)`
    Cumulative,
    /// `f(a, axis=None, reverse=False, inclusive=True, dtype=None)`
    RunningTotal,
    /// `f(a, axis=-1)`
    Sorting,
}

impl Form {
    pub(crate) const ALL: [Form; 6] = [
        Form::Unary,
        Form::Binary,
        Form::Reduction,
        Form::Cumulative,
        Form::RunningTotal,
        Form::Sorting,
    ];

    fn of(op: &OpInfo) -> Option<Form> {
        if BY_HAND.contains(&op.name) || op.name.contains('.') {
            return None;
        }
        let arguments = op.signature.strip_prefix(op.name)?;
        match (op.family, arguments) {
            (Family::Unary, "(x)") => Some(Form::Unary),
            (Family::Binary, "(a, b)") => Some(Form::Binary),
            (Family::Reduction, "(x, axis=None, keepdims=False)") => Some(Form::Reduction),
            (Family::Reduction, "(x, axis=None, reverse=False, inclusive=True)") => {
                Some(Form::Cumulative)
            }
            (Family::Reduction, "(x, axis=None, reverse=False, inclusive=True, dtype=None)") => {
                Some(Form::RunningTotal)
            }
            (Family::Sorting, "(x, axis=-1)") => Some(Form::Sorting),
            _ => None,
        }
    }

    /// The macro in the bindings that writes functions of this form.
    fn name(self) -> &'static str {
        match self {
            Form::Unary => "unary_ops",
            Form::Binary => "binary_ops",
            Form::Reduction => "reductions",
            Form::Cumulative => "cumulative_ops",
            Form::RunningTotal => "running_totals",
            Form::Sorting => "sorting_ops",
        }
    }
}

/// The ops of a form, by their names.
pub(crate) fn rows(ops: &[OpInfo], form: Form) -> Vec<&OpInfo> {
    let mut rows: Vec<&OpInfo> = ops.iter().filter(|op| Form::of(op) == Some(form)).collect();
    rows.sort_unstable_by_key(|op| op.name);
    rows
}

/// True if the function of an op is a method of arrays too.
pub(crate) fn is_method(op: &OpInfo) -> bool {
    METHODS.contains(&op.name)
}

/// A call as Python has it, and what it prints.
struct Example {
    call: String,
    result: String,
}

/// The call of one of an op's samples on a few numbers.
fn example(op: &OpInfo, form: Form) -> Result<Example> {
    let axis = |label: &str| {
        label.is_empty()
            || label
                .strip_prefix("axis=")
                .is_some_and(|n| n.parse::<i64>().is_ok())
    };
    let sample = (op.samples)()
        .into_iter()
        .find(|sample| axis(&sample.label))
        .expect("every op has a sample without parameters but an axis");
    let (mut written, mut inputs) = (Vec::new(), Vec::new());
    for (i, input) in sample.inputs.iter().enumerate() {
        let (text, array) = numbers(op, form, input.domain, i)?;
        written.push(format!("mx.array({text})"));
        inputs.push(array);
    }
    if !sample.label.is_empty() {
        written.push(sample.label.clone());
    }
    let results = (sample.call)(&inputs)?;
    Ok(Example {
        call: format!("mx.{}({})", op.name, written.join(", ")),
        result: unaligned(&results[0].to_string()),
    })
}

/// A printed array as Python shows it: the numbers of a line are not aligned with those of others.
fn unaligned(text: &str) -> String {
    let mut result = String::new();
    for (i, line) in text.lines().enumerate() {
        let body = line.trim_start();
        if i > 0 {
            result.push('\n');
            result.push_str(&line[..line.len() - body.len()]);
        }
        let mut before = '[';
        for letter in body.chars() {
            if letter != ' ' || !matches!(before, ' ' | '[') {
                result.push(letter);
            }
            before = if letter == ' ' && before == '[' {
                '['
            } else {
                letter
            };
        }
    }
    result
}

/// A few numbers within an op's domain, as text and as an array.
fn numbers(op: &OpInfo, form: Form, domain: Domain, i: usize) -> Result<(String, Array)> {
    let whole = !op.accepts(Dtype::Float32);
    let values: [f32; 4] = match (form, i, whole) {
        (Form::Unary | Form::Binary, 0, true) => [1.0, 2.0, 3.0, 4.0],
        (Form::Unary | Form::Binary, _, true) => [3.0, 1.0, 2.0, 1.0],
        (Form::Unary, ..) => match domain {
            Domain::Unit => [-0.5, 0.0, 0.25, 0.75],
            Domain::Positive => [0.25, 0.5, 1.0, 2.0],
            Domain::AboveOne => [1.0, 1.5, 2.0, 4.0],
            _ => [-1.5, 0.0, 0.5, 2.0],
        },
        (Form::Binary, 0, false) => [1.0, 2.0, 3.0, 4.0],
        (Form::Binary, ..) => [4.0, 2.0, 2.0, 0.5],
        _ => [3.0, 1.0, 2.0, 5.0],
    };
    let square = !matches!(form, Form::Unary | Form::Binary);
    let shape: &[usize] = if square { &[2, 2] } else { &[4] };
    let array = Array::from_slice(&values, shape)?;
    let array = if whole {
        array.astype(Dtype::Int32)?
    } else {
        array
    };
    let word = |value: &f32| {
        if whole {
            format!("{value}")
        } else {
            format!("{value:?}")
        }
    };
    let words: Vec<String> = values.iter().map(word).collect();
    let text = if square {
        format!("[[{}], [{}]]", words[..2].join(", "), words[2..].join(", "))
    } else {
        format!("[{}]", words.join(", "))
    };
    Ok((text, array))
}

/// The Rust source of the list of regular bindings.
pub(crate) fn source(ops: &[OpInfo]) -> Result<String> {
    let mut text = String::from(
        "//! Owns which ops have regular arguments.\n\
         //!\n\
         //! Made from the list of ops by `cargo xtask gen`; do not edit.\n\n\
         use pyo3::prelude::*;\n\n\
         use super::forms;\n\
         use crate::{\n    arg::{Ints, Operand, along, binary, cumulative, reduction, running_total, unary},\n    \
         array::PyArray,\n    device::On,\n    dtype::PyDtype,\n};\n",
    );
    for form in Form::ALL {
        let _ = write!(text, "\nforms::{}! {{\n", form.name());
        for op in rows(ops, form) {
            let method = if is_method(op) { " method" } else { "" };
            let Example { call, result } = example(op, form)?;
            let _ = writeln!(
                text,
                "    {}{method}: {:?},\n        {call:?}, {:?};",
                op.name,
                op.doc,
                result.replace('\n', "\n    ")
            );
        }
        text.push_str("}\n");
    }
    text.push_str("\npub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {\n");
    for form in Form::ALL {
        let _ = writeln!(text, "    {}(module)?;", form.name());
    }
    text.push_str("    Ok(())\n}\n");
    Ok(text)
}
