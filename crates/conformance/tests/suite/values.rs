//! Checks the value of every sample, for every dtype, in every layout, against the reference.

use olivine_conformance::{
    Report, Rng, Tensor, Tolerance,
    fill::{dtype_of, fill, sprinkle},
    layout::Layout,
    reference::reference,
    report,
};
use olivine_core::{
    Array, Dtype, Error, Kind,
    ops::{Domain, OpInfo, Sample},
};

/// The dtypes a sample is run for: one if no input takes it.
pub(crate) fn dtypes(op: &OpInfo, sample: &Sample) -> Vec<Dtype> {
    let fixed = sample
        .inputs
        .iter()
        .all(|input| matches!(input.domain, Domain::Index(_) | Domain::Truth));
    let accepted = Dtype::ALL.into_iter().filter(|&dtype| op.accepts(dtype));
    accepted.take(if fixed { 1 } else { usize::MAX }).collect()
}

pub(crate) fn inputs(op: &OpInfo, sample: &Sample, dtype: Dtype) -> Vec<Tensor> {
    let mut rng = Rng::named(&[op.name, &sample.label, dtype.name()]);
    sample
        .inputs
        .iter()
        .map(|input| fill(input, dtype, &mut rng))
        .collect()
}

pub(crate) fn text(error: Error) -> String {
    format!("unexpected error: {error}")
}

/// Runs a sample over inputs in a layout and compares each result with the reference.
fn check(op: &OpInfo, sample: &Sample, tensors: &[Tensor], layout: Layout) -> Result<(), String> {
    let tensors: Vec<Tensor> = tensors
        .iter()
        .map(|tensor| layout.prepare(tensor.clone()))
        .collect();
    let expected = reference(op.name, &sample.label, &tensors).ok_or("there is no reference")?;
    let arrays: Vec<Array> = tensors
        .iter()
        .map(|tensor| layout.lay(tensor))
        .collect::<Result<_, _>>()
        .map_err(text)?;
    let results = (sample.call)(&arrays).map_err(text)?;
    if layout == Layout::Temporary {
        drop(arrays);
        return compare(op, &results, &expected);
    }
    compare(op, &results, &expected)?;
    // Kernels may take over the memory of inputs that nobody holds; these are held.
    for (array, tensor) in arrays.iter().zip(&tensors) {
        let now = Tensor::from_array(array).map_err(text)?;
        if !now.same(tensor) {
            return Err("an input changed".to_owned());
        }
    }
    let again = (sample.call)(&arrays).map_err(text)?;
    for (first, second) in results.iter().zip(&again) {
        let (first, second) = (Tensor::from_array(first), Tensor::from_array(second));
        if !first.map_err(text)?.same(&second.map_err(text)?) {
            return Err("the second evaluation differs from the first".to_owned());
        }
    }
    Ok(())
}

fn compare(op: &OpInfo, results: &[Array], expected: &[Tensor]) -> Result<(), String> {
    if results.len() != expected.len() {
        return Err(format!(
            "{} results where {} were expected",
            results.len(),
            expected.len()
        ));
    }
    for (result, expected) in results.iter().zip(expected) {
        let (shape, dtype) = (result.shape().to_vec(), result.dtype());
        if (&shape, dtype) != (&expected.shape, expected.dtype) {
            let (shape_due, dtype_due) = (&expected.shape, expected.dtype);
            return Err(format!(
                "inferred {dtype} {shape:?} where {dtype_due} {shape_due:?} was expected"
            ));
        }
        let got = Tensor::from_array(result).map_err(text)?;
        if result.data().map_err(text)?.strides.len() != shape.len() {
            return Err("the data has another number of axes than the array".to_owned());
        }
        Tolerance::of(op, dtype).check(&got, expected)?;
    }
    Ok(())
}

#[test]
fn every_sample_has_the_value_of_the_reference_in_every_layout() {
    let mut report = Report::default();
    for op in report::ops() {
        for (i, sample) in (op.samples)().iter().enumerate() {
            for dtype in dtypes(op, sample) {
                for layout in Layout::ALL {
                    let name = format!("{} #{i} ({}) {dtype} {layout:?}", op.name, sample.label);
                    report.case(name, check(op, sample, &inputs(op, sample, dtype), layout));
                }
            }
        }
    }
    report.finish(5000);
}

#[test]
fn special_values_come_out_as_the_reference_has_them() {
    let mut report = Report::default();
    for op in report::ops() {
        // Products that pass below the normal numbers depend on their order, which is not promised.
        let tiny = !op.name.contains("prod");
        for (i, sample) in (op.samples)().iter().enumerate() {
            // The order of several products is free, and infinities show it.
            if op.name == "einsum" && sample.inputs.len() > 2 {
                continue;
            }
            for dtype in dtypes(op, sample)
                .into_iter()
                .filter(|dtype| dtype.kind() == Kind::Float)
            {
                for round in ["a", "b"] {
                    let mut rng = Rng::named(&[op.name, dtype.name(), round]);
                    let inputs = inputs(op, sample, dtype);
                    // A program chooses the rates of a training step; they are not data.
                    let data = if op.name == "adamw" { 4 } else { inputs.len() };
                    let (data, rates) = inputs.split_at(data.min(inputs.len()));
                    let inputs: Vec<Tensor> = data
                        .iter()
                        .map(|x| sprinkle(x, tiny, &mut rng))
                        .chain(rates.iter().cloned())
                        .collect();
                    let name = format!(
                        "{} #{i} ({}) {dtype} special {round}",
                        op.name, sample.label
                    );
                    report.case(name, check(op, sample, &inputs, Layout::Held));
                }
            }
        }
    }
    report.finish(1000);
}

#[test]
pub(crate) fn dtypes_outside_the_accepted_kinds_are_refused() {
    let mut report = Report::default();
    for op in report::ops() {
        for sample in (op.samples)() {
            for dtype in Dtype::ALL.into_iter().filter(|&dtype| !op.accepts(dtype)) {
                if sample
                    .inputs
                    .iter()
                    .all(|input| dtype_of(input, dtype) != dtype)
                {
                    continue;
                }
                let arrays: Result<Vec<Array>, Error> = inputs(op, &sample, dtype)
                    .iter()
                    .map(Tensor::to_array)
                    .collect();
                let outcome = match (sample.call)(&arrays.expect("plain arrays can be made")) {
                    Err(Error::Dtype { .. }) => Ok(()),
                    Err(other) => Err(format!("another error than of the dtype: {other}")),
                    Ok(_) => Err("it was accepted".to_owned()),
                };
                report.case(format!("{} ({}) {dtype}", op.name, sample.label), outcome);
            }
        }
    }
    report.finish(100);
}
