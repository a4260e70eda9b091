//! Checks forward mode: each tangent against the gradient, which finite differences have checked.

use olivine_conformance::{Report, Rng, Tensor, Value};
use olivine_core::{
    Array, Dtype, Error, jvp,
    ops::{Gradient, OpInfo, Sample},
};

use crate::gradients::{Point, dot, of_gradient};

/// How the results of a point move when its inputs move along `tangents`.
fn forward(point: &Point, tangents: &[Tensor]) -> Result<Vec<Array>, Error> {
    let tangents: Vec<Array> = tangents
        .iter()
        .map(Tensor::to_array)
        .collect::<Result<_, _>>()?;
    let (_, found) = jvp(|x| point.call(x), &point.arrays()?, &tangents)?;
    Ok(found)
}

/// A random direction for every input; zeros for those that are not differentiated.
fn direction(point: &Point, rng: &mut Rng) -> Vec<Tensor> {
    let pairs = point.inputs.iter().zip(point.main());
    pairs
        .map(|(x, main)| {
            let entry = |_: &[usize]| Value::Real(if main { rng.normal() } else { 0.0 });
            Tensor::build(x.dtype, x.shape.clone(), entry)
        })
        .collect()
}

/// The product of tangents with the cotangents, and that of the direction with the gradients.
fn products(op: &OpInfo, sample: &Sample, dtype: Dtype) -> Result<(f64, f64), Error> {
    let point = Point::new(op, sample, dtype)?;
    let direction = direction(
        &point,
        &mut Rng::named(&[op.name, &sample.label, "tangent"]),
    );
    let tangents = forward(&point, &direction)?;
    let results = point.call(&point.arrays()?)?;
    for (tangent, result) in tangents.iter().zip(&results) {
        assert_eq!(
            (tangent.shape(), tangent.dtype()),
            (result.shape(), result.dtype())
        );
    }
    let gradients = point.gradients(&point.arrays()?)?;
    Ok((
        dot(&tangents, &point.cotangents)?,
        point.along(&gradients, &direction)?,
    ))
}

#[test]
fn tangents_agree_with_gradients() {
    let mut report = Report::default();
    for op in of_gradient(Gradient::Smooth).chain(of_gradient(Gradient::Zero)) {
        for (i, sample) in (op.samples)().iter().enumerate() {
            for (dtype, tolerance) in [(Dtype::Float64, 1e-9), (Dtype::Float32, 1e-3)] {
                let outcome = match products(op, sample, dtype) {
                    Ok((forward, back))
                        if (forward - back).abs() <= tolerance * (1.0 + back.abs()) =>
                    {
                        Ok(())
                    }
                    // Where a result has been rounded to float32, so have both sides.
                    Ok((forward, back))
                        if (forward - back).abs() <= 1e-4 * (1.0 + back.abs())
                            && Point::new(op, sample, dtype).is_ok_and(|point| !point.exact) =>
                    {
                        Ok(())
                    }
                    Ok((forward, back)) => Err(format!("{forward} forwards, {back} backwards")),
                    Err(error) => Err(format!("unexpected error: {error}")),
                };
                report.case(
                    format!("{} #{i} ({}) {dtype}", op.name, sample.label),
                    outcome,
                );
            }
        }
    }
    report.finish(400);
}

#[test]
fn operations_without_a_gradient_refuse_forward_mode_too() {
    let mut report = Report::default();
    for op in olivine_conformance::report::ops() {
        if !matches!(op.gradient, Gradient::None(_)) || !op.accepts(Dtype::Float64) {
            continue;
        }
        for (i, sample) in (op.samples)().iter().enumerate() {
            let outcome = match products(op, sample, Dtype::Float64) {
                Err(Error::NoGradient { .. }) => Ok(()),
                Err(other) => Err(format!("another error: {other}")),
                Ok(_) => Err("there was a tangent".to_owned()),
            };
            report.case(format!("{} #{i} ({})", op.name, sample.label), outcome);
        }
    }
    report.finish(0);
}
