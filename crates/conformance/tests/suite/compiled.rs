//! Checks that compiled functions give the same bits as the functions.

use olivine_conformance::{Report, Tensor, layout::Layout, report};
use olivine_core::{
    Array, CompileOptions, Dtype, Error, compile_with,
    graph::Program,
    ops::{Gradient, OpInfo, Sample},
};

use crate::{
    gradients::{Point, of_gradient},
    values::{dtypes, inputs, text},
};

/// Whether two evaluated arrays are the same: shape, dtype and every bit, but for kinds of NaN.
pub(crate) fn same(got: &Array, wanted: &Array) -> Result<(), String> {
    let (got, wanted) = (
        Tensor::from_array(got).map_err(text)?,
        Tensor::from_array(wanted).map_err(text)?,
    );
    if (&got.shape, got.dtype) != (&wanted.shape, wanted.dtype) {
        return Err(format!(
            "{} {:?} where {} {:?} was expected",
            got.dtype, got.shape, wanted.dtype, wanted.shape
        ));
    }
    let text = |tensor: &Tensor, at: usize| format!("{:?}", tensor.values[at]);
    match (0..got.values.len()).find(|&at| text(&got, at) != text(&wanted, at)) {
        Some(at) => Err(format!(
            "element {at} is {}, expected {}",
            text(&got, at),
            text(&wanted, at)
        )),
        None => Ok(()),
    }
}

pub(crate) fn all_same(got: &[Array], wanted: &[Array]) -> Result<(), String> {
    if got.len() != wanted.len() {
        return Err(format!(
            "{} results where {} were expected",
            got.len(),
            wanted.len()
        ));
    }
    got.iter()
        .zip(wanted)
        .try_for_each(|(got, wanted)| same(got, wanted))
}

/// The sample amid other scalar math, so that it is fused if it can be.
fn amid(sample: &Sample, x: &[Array]) -> Result<Vec<Array>, Error> {
    let positive = |x: &Array| match x.dtype() {
        Dtype::Bool | Dtype::Int32 => Ok(x.clone()),
        _ => x.multiply(1)?.maximum(x),
    };
    let x: Vec<Array> = x.iter().map(positive).collect::<Result<_, _>>()?;
    let mut results = Vec::new();
    for y in (sample.call)(&x)? {
        let z = y.add(&y)?.minimum(&y)?;
        results.push(z.multiply(&z)?.sum(&[-1i64][..z.ndim().min(1)])?);
        results.extend([y, z]);
    }
    Ok(results)
}

fn check(op: &OpInfo, sample: &Sample, dtype: Dtype, layout: Layout) -> Result<(), String> {
    let tensors: Vec<Tensor> = inputs(op, sample, dtype)
        .into_iter()
        .map(|x| layout.prepare(x))
        .collect();
    let arrays: Vec<Array> = tensors
        .iter()
        .map(|x| layout.lay(x))
        .collect::<Result<_, _>>()
        .map_err(text)?;
    for amidst in [false, true] {
        let f = |x: &Vec<Array>| {
            if amidst {
                amid(sample, x)
            } else {
                (sample.call)(x)
            }
        };
        let wanted = f(&arrays).map_err(text)?;
        for shapeless in [false, true] {
            let compiled = compile_with(CompileOptions { shapeless }, f);
            // The second call replays what the first recorded.
            for _ in 0..2 {
                let got = compiled(&arrays).map_err(text)?;
                all_same(&got, &wanted)
                    .map_err(|e| format!("shapeless {shapeless}, amidst {amidst}: {e}"))?;
            }
        }
    }
    Ok(())
}

/// The program of a sample, as another process would read it.
fn read_back(program: &Program) -> Result<Program, String> {
    let text = serde_json::to_string(program).map_err(|error| error.to_string())?;
    let mut read: Program = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    read.constants.clone_from(&program.constants);
    read.check().map_err(crate::values::text)?;
    Ok(read)
}

fn exported(op: &OpInfo, sample: &Sample, dtype: Dtype) -> Result<(), String> {
    let arrays: Vec<Array> = inputs(op, sample, dtype)
        .iter()
        .map(Tensor::to_array)
        .collect::<Result<_, _>>()
        .map_err(text)?;
    let mut program = Program::trace(&arrays, |x| (sample.call)(x)).map_err(text)?;
    program.tidy();
    let wanted = (sample.call)(&arrays).map_err(text)?;
    let mut read = read_back(&program)?;
    all_same(&read.call(&arrays).map_err(text)?, &wanted)?;
    // Simplified, it can be written again.
    read.simplify();
    all_same(&read_back(&read)?.call(&arrays).map_err(text)?, &wanted)
}

#[test]
fn exported_operations_give_the_same_bits() {
    let mut report = Report::default();
    for op in report::ops() {
        for (i, sample) in (op.samples)().iter().enumerate() {
            for dtype in dtypes(op, sample) {
                let name = format!("{} #{i} ({}) {dtype}", op.name, sample.label);
                report.case(name, exported(op, sample, dtype));
            }
        }
    }
    report.finish(2000);
}

#[test]
fn exported_gradients_give_the_same_bits() {
    let mut report = Report::default();
    for op in of_gradient(Gradient::Smooth) {
        for (i, sample) in (op.samples)().iter().enumerate() {
            let outcome = || {
                let point = Point::new(op, sample, Dtype::Float32).map_err(text)?;
                let arrays = point.arrays().map_err(text)?;
                let mut program = Program::trace(&arrays, |x| point.gradients(x)).map_err(text)?;
                program.simplify();
                let wanted = point.gradients(&arrays).map_err(text)?;
                all_same(&read_back(&program)?.call(&arrays).map_err(text)?, &wanted)
            };
            report.case(format!("{} #{i} ({})", op.name, sample.label), outcome());
        }
    }
    report.finish(200);
}

#[test]
fn compiled_operations_give_the_same_bits() {
    let mut report = Report::default();
    for op in report::ops() {
        for (i, sample) in (op.samples)().iter().enumerate() {
            for dtype in dtypes(op, sample) {
                let layouts = if dtype == Dtype::Float32 {
                    &Layout::ALL[..]
                } else {
                    &[Layout::Held]
                };
                for &layout in layouts {
                    let name = format!("{} #{i} ({}) {dtype} {layout:?}", op.name, sample.label);
                    report.case(name, check(op, sample, dtype, layout));
                }
            }
        }
    }
    report.finish(5000);
}
