//! A function that one process exports runs in another.

use std::{env, process::Command};

use olivine_core::{Array, array};
use olivine_cpu as _;
use olivine_io::{export_function, import_function};

const FILE: &str = "OLIVINE_TEST_FUNCTION";

/// What programs of this processor are run with, if this machine has another one.
const RUNNER: &str = "OLIVINE_TEST_RUNNER";

type Outcome = Result<(), Box<dyn std::error::Error>>;

/// In the child: runs what the parent exported. Alone, it has nothing to do.
#[test]
fn child() -> Outcome {
    let Some(file) = env::var_os(FILE) else {
        return Ok(());
    };
    let f = import_function(file)?;
    let y = f.call(&[array!([[1.0, 2.0], [3.0, 4.0]])])?;
    println!("result {:?}", y[0].to_vec::<f32>()?);
    Ok(())
}

/// This program, to be run once more.
fn this_program() -> std::io::Result<Command> {
    let program = env::current_exe()?;
    let runner = env::var(RUNNER).unwrap_or_default();
    let mut words = runner.split_whitespace();
    let Some(first) = words.next() else {
        return Ok(Command::new(program));
    };
    let mut command = Command::new(first);
    command.args(words).arg(program);
    Ok(command)
}

#[test]
fn a_function_that_one_process_exports_runs_in_another() -> Outcome {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("f.safetensors");
    let weight = array!([[0.5, -1.0], [2.0, 0.25]]);
    let f = |x: &[Array]| Ok(vec![x[0].matmul(&weight)?.tanh()?.softmax(-1)?]);
    let x = array!([[1.0, 2.0], [3.0, 4.0]]);
    export_function(&path, f, &[&x].map(Array::clone))?;
    let child = this_program()?
        .args(["child", "--exact", "--nocapture"])
        .env(FILE, &path)
        .output()?;
    let wanted = format!("result {:?}", f(&[x])?[0].to_vec::<f32>()?);
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(said.contains(&wanted), "{said} lacks {wanted}");
    Ok(())
}
