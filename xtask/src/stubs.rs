//! Owns the part of the typed stubs that is made from the list of ops: functions and methods of arrays
//! whose arguments are regular.

use std::fmt::Write as _;

use olivine_core::ops::OpInfo;

use crate::bindings::{Form, is_method, rows};

pub(crate) const PATH: &str = "python/olivine/core/__init__.pyi";

/// What stands around each part that is made: first the methods, then the functions.
const BEGIN: &str = "# Made from the list of ops by `cargo xtask gen`:\n";
const END: &str = "# End of what is made.\n";

/// The line length of `pyproject.toml`.
const WIDTH: usize = 100;

/// What a function takes, or a method; `regular/mod.rs` of the bindings says the same in Rust.
fn arguments(form: Form, method: bool) -> Vec<&'static str> {
    let array: &[&str] = match form {
        _ if method => &["self"],
        Form::Binary => &["a: _Operand"],
        Form::Unary | Form::Reduction | Form::Cumulative | Form::RunningTotal | Form::Sorting => {
            &["a: _Operand", "/"]
        }
    };
    let others: &[&str] = match form {
        Form::Unary => &["*"],
        Form::Binary if method => &["b: _Operand", "*"],
        Form::Binary => &["b: _Operand"],
        Form::Reduction => &["axis: _Ints | None = None", "keepdims: bool = False", "*"],
        Form::Cumulative => &[
            "axis: int | None = None",
            "*",
            "reverse: bool = False",
            "inclusive: bool = True",
        ],
        Form::RunningTotal => &[
            "axis: int | None = None",
            "*",
            "reverse: bool = False",
            "inclusive: bool = True",
            "dtype: Dtype | None = None",
        ],
        Form::Sorting => &["axis: int | None = -1", "*"],
    };
    [array, others, &["stream: _StreamOrDevice = None"]].concat()
}

/// A definition on one line, or with a line for each argument.
fn definition(name: &str, arguments: &[&str], indent: &str) -> String {
    let line = format!(
        "{indent}def {name}({}) -> array: ...\n",
        arguments.join(", ")
    );
    if line.len() <= WIDTH + 1 {
        return line;
    }
    let mut lines = format!("{indent}def {name}(\n");
    for argument in arguments {
        let _ = writeln!(lines, "{indent}    {argument},");
    }
    lines + indent + ") -> array: ...\n"
}

/// The stubs with the parts that are made from the list of ops.
pub(crate) fn with_ops(stubs: &str, ops: &[OpInfo]) -> Result<String, String> {
    let (mut functions, mut methods) = (String::from("\n"), String::new());
    for form in Form::ALL {
        for op in rows(ops, form) {
            functions += &definition(op.name, &arguments(form, false), "");
            if is_method(op) {
                methods += &definition(op.name, &arguments(form, true), "    ");
            }
        }
    }
    functions.push('\n');
    methods += "    ";
    let (mut text, mut rest) = (String::new(), stubs);
    for part in [methods, functions] {
        let found = rest
            .split_once(BEGIN)
            .and_then(|(before, after)| Some((before, after.split_once(END)?.1)));
        let Some((before, after)) = found else {
            return Err(format!("{PATH} lacks the marks `{}`", BEGIN.trim_end()));
        };
        text += before;
        text += BEGIN;
        text += &part;
        text += END;
        rest = after;
    }
    Ok(text + rest)
}
