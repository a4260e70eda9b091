//! Owns the Python bindings that are made from the list of ops: those whose arguments are regular.

use std::fmt::Write as _;

use olivine_core::ops::{Family, OpInfo};

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
enum Form {
    /// `f(a)`
    Unary,
    /// `f(a, b)`
    Binary,
    /// `f(a, axis=None, keepdims=False)`
    Reduction,
    /// `f(a, axis=None, reverse=False, inclusive=True)`
    Cumulative,
    /// `f(a, axis=-1)`
    Sorting,
}

impl Form {
    const ALL: [Form; 5] = [
        Form::Unary,
        Form::Binary,
        Form::Reduction,
        Form::Cumulative,
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
            Form::Sorting => "sorting_ops",
        }
    }
}

/// The Rust source of the list of regular bindings.
pub(crate) fn source(ops: &[OpInfo]) -> String {
    let mut text = String::from(
        "//! Owns which ops have regular arguments.\n\
         //!\n\
         //! Made from the list of ops by `cargo xtask gen`; do not edit.\n\n\
         use pyo3::prelude::*;\n\n\
         use super::forms;\n\
         use crate::{\n    arg::{Ints, Operand, along, binary, cumulative, reduction, unary},\n    \
         array::PyArray,\n    device::On,\n};\n",
    );
    for form in Form::ALL {
        let mut rows: Vec<&OpInfo> = ops.iter().filter(|op| Form::of(op) == Some(form)).collect();
        rows.sort_unstable_by_key(|op| op.name);
        let _ = write!(text, "\nforms::{}! {{\n", form.name());
        for op in rows {
            let method = if METHODS.contains(&op.name) {
                " method"
            } else {
                ""
            };
            let _ = writeln!(text, "    {}{method}: {:?};", op.name, op.doc);
        }
        text.push_str("}\n");
    }
    text.push_str("\npub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {\n");
    for form in Form::ALL {
        let _ = writeln!(text, "    {}(module)?;", form.name());
    }
    text.push_str("    Ok(())\n}\n");
    text
}
