//! Checks that kernels and decompositions of the same primitive agree.

use olivine_conformance::{Report, Tensor, Tolerance, report, tolerance::epsilon};
use olivine_core::{
    Array, Dtype, Error,
    graph::decomposed,
    ops::{OpInfo, Sample},
};

use crate::values::{dtypes, inputs};

/// Compares both ways to compute a sample; `None` if there is only one.
fn check(op: &OpInfo, sample: &Sample, dtype: Dtype) -> Result<Option<Result<(), String>>, Error> {
    let arrays: Vec<Array> = inputs(op, sample, dtype)
        .iter()
        .map(Tensor::to_array)
        .collect::<Result<_, _>>()?;
    let results = (sample.call)(&arrays)?;
    let Some(simpler) = decomposed(&results)? else {
        return Ok(None);
    };
    for (result, simple) in results.iter().zip(&simpler) {
        let dtype = result.dtype();
        // Decompositions of halves may round each step to the half type.
        let steps = if dtype.size() == 2 { 8.0 } else { 32.0 };
        let tolerance = Tolerance::both(steps * epsilon(dtype));
        let (kernel, simple) = (Tensor::from_array(result)?, Tensor::from_array(simple)?);
        if let Err(difference) = tolerance.check(&kernel, &simple) {
            return Ok(Some(Err(difference)));
        }
    }
    Ok(Some(Ok(())))
}

#[test]
fn kernels_agree_with_their_decompositions() {
    let mut report = Report::default();
    for op in report::ops() {
        for (i, sample) in (op.samples)().iter().enumerate() {
            for dtype in dtypes(op, sample) {
                let name = format!("{} #{i} ({}) {dtype}", op.name, sample.label);
                match check(op, sample, dtype) {
                    Ok(None) => {}
                    Ok(Some(outcome)) => report.case(name, outcome),
                    Err(error) => report.case(name, Err(error.to_string())),
                }
            }
        }
    }
    report.finish(50);
}
