//! Checks gradients against central finite differences, in `f64`.

use num_complex::Complex;
use olivine_conformance::{Report, Rng, Tensor, Value, fill::fill, report};
use olivine_core::{
    Array, Dtype, Error,
    ops::{Domain, Family, Gradient, OpInfo, Sample},
    vjp,
};

use crate::values::{dtypes, inputs};

/// A sample as a differentiable function of its main inputs, at a point.
pub(crate) struct Point<'a> {
    pub(crate) sample: &'a Sample,
    pub(crate) inputs: Vec<Tensor>,
    /// The results' cotangents; zeros for results that are not finite real numbers.
    pub(crate) cotangents: Vec<Tensor>,
    /// True if no result is rounded to fewer digits than `f64`.
    pub(crate) exact: bool,
}

impl<'a> Point<'a> {
    pub(crate) fn new(op: &OpInfo, sample: &'a Sample, dtype: Dtype) -> Result<Self, Error> {
        let mut rng = Rng::named(&[op.name, &sample.label, "gradient"]);
        let inputs: Vec<Tensor> = sample
            .inputs
            .iter()
            .map(|input| fill(input, Dtype::Float64, &mut rng).cast_main(input, dtype))
            .collect();
        let mut point = Point {
            sample,
            inputs,
            cotangents: Vec::new(),
            exact: true,
        };
        for result in point.call(&point.arrays()?)? {
            point.exact &= !result.dtype().is_float() || result.dtype() == Dtype::Float64;
            let smooth = result.dtype().is_float();
            let values = Tensor::from_array(&result)?;
            // What nothing comes to may be infinite; it does not change with the inputs.
            let weight = |index: &[usize]| {
                let weight = if smooth { rng.normal() } else { 0.0 };
                let finite = values.at(index).real().is_finite();
                Value::Real(if finite { weight } else { 0.0 })
            };
            point.cotangents.push(Tensor::build(
                result.dtype(),
                result.shape().to_vec(),
                weight,
            ));
        }
        Ok(point)
    }

    pub(crate) fn call(&self, arrays: &[Array]) -> Result<Vec<Array>, Error> {
        (self.sample.call)(arrays)
    }

    pub(crate) fn arrays(&self) -> Result<Vec<Array>, Error> {
        self.inputs.iter().map(Tensor::to_array).collect()
    }

    /// Which inputs are differentiated.
    pub(crate) fn main(&self) -> Vec<bool> {
        let fixed = |domain| matches!(domain, Domain::Index(_) | Domain::Truth);
        self.sample
            .inputs
            .iter()
            .map(|input| !fixed(input.domain))
            .collect()
    }

    /// The gradients as arrays: a function of arrays, so that it can be differentiated again.
    pub(crate) fn gradients(&self, arrays: &[Array]) -> Result<Vec<Array>, Error> {
        let main = self.main();
        let primals: Vec<Array> = arrays
            .iter()
            .zip(&main)
            .filter(|(_, main)| **main)
            .map(|(x, _)| x.clone())
            .collect();
        let cotangents: Vec<Array> = self
            .cotangents
            .iter()
            .map(Tensor::to_array)
            .collect::<Result<_, _>>()?;
        let function = |given: &[Array]| {
            let mut given = given.iter();
            let all = arrays.iter().zip(&main).map(|(fixed, &main)| {
                if main {
                    given.next().expect("one for each main input").clone()
                } else {
                    fixed.clone()
                }
            });
            self.call(&all.collect::<Vec<_>>())
        };
        Ok(vjp(function, &primals, &cotangents)?.1)
    }

    /// The results' products with their cotangents, summed, at `inputs`.
    fn value(&self, inputs: &[Tensor]) -> Result<f64, Error> {
        let arrays: Vec<Array> = inputs
            .iter()
            .map(Tensor::to_array)
            .collect::<Result<_, _>>()?;
        dot(&self.call(&arrays)?, &self.cotangents)
    }

    /// The inputs moved by `step` along `direction`.
    fn moved(&self, direction: &[Tensor], step: f64) -> Vec<Tensor> {
        let shift = |(x, d): (&Tensor, &Tensor)| {
            let values = x
                .values
                .iter()
                .zip(&d.values)
                .map(|(x, d)| x.real() + step * d.real());
            Tensor::reals(x.dtype, x.shape.clone(), values)
        };
        self.inputs.iter().zip(direction).map(shift).collect()
    }

    /// Directions that together show every gradient: each axis if there are few, else random ones.
    fn directions(&self, rng: &mut Rng) -> Vec<Vec<Tensor>> {
        let main = self.main();
        let zero: Vec<Tensor> = self
            .inputs
            .iter()
            .map(|x| Tensor::build(x.dtype, x.shape.clone(), |_| Value::Int(0)))
            .collect();
        let places: Vec<(usize, usize)> = (0..main.len())
            .filter(|&i| main[i])
            .flat_map(|i| (0..zero[i].values.len()).map(move |at| (i, at)))
            .collect();
        if places.len() <= 40 {
            let along = |&(i, at): &(usize, usize)| {
                let mut direction = zero.clone();
                direction[i].values[at] = Value::Real(1.0);
                direction
            };
            return places.iter().map(along).collect();
        }
        let random = |_| {
            let mut direction = zero.clone();
            for &(i, at) in &places {
                direction[i].values[at] = Value::Real(if rng.below(2) == 0 { 1.0 } else { -1.0 });
            }
            direction
        };
        (0..6).map(random).collect()
    }

    /// The inner product of gradients with a direction's main inputs.
    pub(crate) fn along(&self, gradients: &[Array], direction: &[Tensor]) -> Result<f64, Error> {
        let main = self.main();
        let direction: Vec<Tensor> = direction
            .iter()
            .zip(&main)
            .filter(|(_, main)| **main)
            .map(|(d, _)| d.clone())
            .collect();
        dot(gradients, &direction)
    }
}

/// Only the inputs that take the dtype under test are converted.
trait CastMain {
    fn cast_main(self, input: &olivine_core::ops::Input, dtype: Dtype) -> Tensor;
}

impl CastMain for Tensor {
    fn cast_main(self, input: &olivine_core::ops::Input, dtype: Dtype) -> Tensor {
        if matches!(input.domain, Domain::Index(_) | Domain::Truth) {
            self
        } else {
            self.cast(dtype)
        }
    }
}

pub(crate) fn dot(arrays: &[Array], weights: &[Tensor]) -> Result<f64, Error> {
    let mut sum = 0.0;
    for (array, weight) in arrays.iter().zip(weights) {
        if array.dtype().is_float() {
            let values = Tensor::from_array(array)?.values;
            sum += values
                .iter()
                .zip(&weight.values)
                .filter(|(_, w)| w.real() != 0.0)
                .map(|(v, w)| v.real() * w.real())
                .sum::<f64>();
        }
    }
    Ok(sum)
}

fn close(got: f64, expected: f64, tolerance: f64) -> Result<(), String> {
    if (got - expected).abs() <= tolerance * (1.0 + expected.abs()) {
        Ok(())
    } else {
        Err(format!("{got} where finite differences give {expected}"))
    }
}

fn first_order(op: &OpInfo, sample: &Sample) -> Result<(), String> {
    let failed = |error: Error| format!("unexpected error: {error}");
    let point = Point::new(op, sample, Dtype::Float64).map_err(failed)?;
    let gradients = point
        .gradients(&point.arrays().map_err(failed)?)
        .map_err(failed)?;
    let mains = point
        .inputs
        .iter()
        .zip(point.main())
        .filter(|(_, main)| *main);
    for (gradient, (input, _)) in gradients.iter().zip(mains) {
        if gradient.shape().to_vec() != input.shape || gradient.dtype() != input.dtype {
            return Err(format!(
                "a gradient of {} {} for {:?}",
                gradient.dtype(),
                gradient.shape(),
                input.shape
            ));
        }
    }
    // A result rounded to float32 needs a longer step to show its slope.
    let (step, tolerance) = if point.exact {
        (1e-5, 1e-6)
    } else {
        (1e-2, 1e-3)
    };
    for direction in point.directions(&mut Rng::named(&[op.name, "direction"])) {
        let value = |step| point.value(&point.moved(&direction, step)).map_err(failed);
        let slope = (value(step)? - value(-step)?) / (2.0 * step);
        close(
            point.along(&gradients, &direction).map_err(failed)?,
            slope,
            tolerance,
        )?;
    }
    Ok(())
}

/// The gradient of a weighted sum of the gradient, against differences of the gradient.
fn second_order(op: &OpInfo, sample: &Sample) -> Result<(), String> {
    let failed = |error: Error| format!("unexpected error: {error}");
    let point = Point::new(op, sample, Dtype::Float64).map_err(failed)?;
    let arrays = point.arrays().map_err(failed)?;
    let mut rng = Rng::named(&[op.name, "second"]);
    let weights: Vec<Tensor> = point
        .gradients(&arrays)
        .map_err(failed)?
        .iter()
        .map(|g| {
            Tensor::build(Dtype::Float64, g.shape().to_vec(), |_| {
                Value::Real(rng.normal())
            })
        })
        .collect();
    let cotangents: Vec<Array> = weights
        .iter()
        .map(Tensor::to_array)
        .collect::<Result<_, _>>()
        .map_err(failed)?;
    // Every input is a primal here; those that are not differentiated get zeros.
    let (_, hessian) = vjp(|x| point.gradients(x), &arrays, &cotangents).map_err(failed)?;
    let hessian: Vec<Array> = hessian
        .into_iter()
        .zip(point.main())
        .filter(|(_, main)| *main)
        .map(|(h, _)| h)
        .collect();
    for direction in point.directions(&mut rng) {
        let value = |step: f64| {
            let arrays: Result<Vec<Array>, Error> = point
                .moved(&direction, step)
                .iter()
                .map(Tensor::to_array)
                .collect();
            dot(&point.gradients(&arrays?)?, &weights)
        };
        let step = 1e-5;
        let slope = (value(step).map_err(failed)? - value(-step).map_err(failed)?) / (2.0 * step);
        close(
            point.along(&hessian, &direction).map_err(failed)?,
            slope,
            1e-5,
        )?;
    }
    Ok(())
}

pub(crate) fn of_gradient(gradient: Gradient) -> impl Iterator<Item = &'static OpInfo> {
    report::ops().filter(move |op| op.accepts(Dtype::Float64) && op.gradient == gradient)
}

#[test]
fn gradients_agree_with_finite_differences() {
    let mut report = Report::default();
    for op in of_gradient(Gradient::Smooth) {
        for (i, sample) in (op.samples)().iter().enumerate() {
            report.case(
                format!("{} #{i} ({})", op.name, sample.label),
                first_order(op, sample),
            );
        }
    }
    report.finish(200);
}

/// Gradients of complex arrays against finite differences, in the few digits that complex64 has;
/// `false` where differences over two distances disagree, so that they say nothing.
fn complex_order(op: &OpInfo, sample: &Sample) -> Result<bool, String> {
    let failed = |error: Error| format!("unexpected error: {error}");
    let mut rng = Rng::named(&[op.name, &sample.label, "complex"]);
    let mut random = |dtype: Dtype, shape: &[usize]| {
        Tensor::build(dtype, shape.to_vec(), |_| match dtype {
            Dtype::Complex64 => Value::Complex(Complex::new(rng.normal(), rng.normal())),
            Dtype::Float32 => Value::Real(rng.normal()),
            _ => Value::Int(0),
        })
    };
    let inputs: Vec<Tensor> = inputs(op, sample, Dtype::Complex64);
    let arrays = |tensors: &[Tensor]| -> Result<Vec<Array>, Error> {
        tensors.iter().map(Tensor::to_array).collect()
    };
    let at = arrays(&inputs).map_err(failed)?;
    let results = (sample.call)(&at).map_err(failed)?;
    let cotangents: Vec<Tensor> = results
        .iter()
        .map(|y| random(y.dtype(), y.shape().dims()))
        .collect();
    let direction: Vec<Tensor> = inputs.iter().map(|x| random(x.dtype, &x.shape)).collect();
    let given = arrays(&cotangents).map_err(failed)?;
    let (_, gradients) = vjp(|x| (sample.call)(x), &at, &given).map_err(failed)?;
    // The real part of the inner product, whose first factor is conjugated.
    let inner = |arrays: &[Array], weights: &[Tensor]| -> Result<f64, Error> {
        let mut sum = 0.0;
        for (array, weight) in arrays.iter().zip(weights) {
            if array.dtype().is_inexact() {
                let values = Tensor::from_array(array)?.values;
                let pairs = values.iter().zip(&weight.values);
                sum += pairs
                    .map(|(v, w)| (v.complex() * w.complex().conj()).re)
                    .sum::<f64>();
            }
        }
        Ok(sum)
    };
    let value = |step: f64| -> Result<f64, Error> {
        let moved = inputs.iter().zip(&direction).map(|(x, d)| {
            let values = x.values.iter().zip(&d.values);
            let values = values.map(|(x, d)| match x {
                Value::Int(_) => *x,
                _ => Value::Complex(x.complex() + d.complex() * step),
            });
            Tensor::new(x.dtype, x.shape.clone(), values.collect::<Vec<_>>())
        });
        inner(
            &(sample.call)(&arrays(&moved.collect::<Vec<_>>())?)?,
            &cotangents,
        )
    };
    let slope =
        |step: f64| -> Result<f64, Error> { Ok((value(step)? - value(-step)?) / (2.0 * step)) };
    let (far, near) = (slope(1e-2).map_err(failed)?, slope(5e-3).map_err(failed)?);
    if close(far, near, 1e-2).is_err() {
        return Ok(false);
    }
    close(inner(&gradients, &direction).map_err(failed)?, near, 3e-2).map(|()| true)
}

#[test]
fn gradients_of_complex_arrays_agree_with_finite_differences() {
    let mut report = Report::default();
    for op in report::ops() {
        if op.gradient != Gradient::Smooth || !op.accepts(Dtype::Complex64) {
            continue;
        }
        for (i, sample) in (op.samples)().iter().enumerate() {
            if dtypes(op, sample).contains(&Dtype::Complex64) {
                let name = format!("{} #{i} ({})", op.name, sample.label);
                match complex_order(op, sample) {
                    Ok(false) => {}
                    outcome => report.case(name, outcome.map(|_| ())),
                }
            }
        }
    }
    report.finish(650);
}

#[test]
fn second_gradients_agree_with_finite_differences() {
    let mut report = Report::default();
    let scalar = |family| matches!(family, Family::Unary | Family::Binary);
    for op in of_gradient(Gradient::Smooth) {
        let samples = (op.samples)();
        // Scalar functions in every shape; the others where no rounding to float32 hides the slope.
        for (i, sample) in samples.iter().enumerate() {
            if !scalar(op.family)
                && !Point::new(op, sample, Dtype::Float64).is_ok_and(|point| point.exact)
            {
                continue;
            }
            report.case(
                format!("{} #{i} ({})", op.name, sample.label),
                second_order(op, sample),
            );
        }
    }
    report.finish(200);
}

#[test]
fn gradients_in_float32_are_close_to_those_in_float64() {
    let mut report = Report::default();
    for op in of_gradient(Gradient::Smooth) {
        for (i, sample) in (op.samples)().iter().enumerate() {
            let outcome = || -> Result<(), Error> {
                let narrow = Point::new(op, sample, Dtype::Float32)?;
                let mut wide = Point::new(op, sample, Dtype::Float32)?;
                wide.inputs = (wide.inputs.iter().zip(wide.main()))
                    .map(|(x, main)| {
                        if main {
                            x.cast(Dtype::Float64)
                        } else {
                            x.clone()
                        }
                    })
                    .collect();
                let results = wide.call(&wide.arrays()?)?;
                wide.cotangents = narrow
                    .cotangents
                    .iter()
                    .zip(&results)
                    .map(|(c, r)| c.cast(r.dtype()))
                    .collect();
                let (narrow, wide) = (
                    narrow.gradients(&narrow.arrays()?)?,
                    wide.gradients(&wide.arrays()?)?,
                );
                for (narrow, wide) in narrow.iter().zip(&wide) {
                    let (narrow, wide) = (Tensor::from_array(narrow)?, Tensor::from_array(wide)?);
                    for (a, b) in narrow.values.iter().zip(&wide.values) {
                        let (a, b) = (a.real(), b.real());
                        if close(a, b, 2e-5).is_err() {
                            let reason = format!("{a} in float32 where float64 gives {b}");
                            return Err(Error::Argument {
                                op: op.name,
                                reason,
                            });
                        }
                    }
                }
                Ok(())
            };
            report.case(format!("{} #{i} ({})", op.name, sample.label), outcome());
        }
    }
    report.finish(200);
}

#[test]
fn flat_operations_have_gradients_of_zero() {
    let mut report = Report::default();
    for op in report::ops().filter(|op| op.gradient == Gradient::Zero && op.accepts(Dtype::Float64))
    {
        for (i, sample) in (op.samples)()
            .iter()
            .enumerate()
            .filter(|(_, sample)| !sample.inputs.is_empty())
        {
            let outcome = || -> Result<(), Error> {
                let point = Point::new(op, sample, Dtype::Float64)?;
                for gradient in point.gradients(&point.arrays()?)? {
                    if Tensor::from_array(&gradient)?
                        .values
                        .iter()
                        .any(|v| v.real() != 0.0)
                    {
                        return Err(Error::Argument {
                            op: op.name,
                            reason: "a gradient is not zero".to_owned(),
                        });
                    }
                }
                Ok(())
            };
            report.case(format!("{} #{i} ({})", op.name, sample.label), outcome());
        }
    }
    report.finish(20);
}

#[test]
fn operations_without_a_gradient_say_so() {
    let mut report = Report::default();
    let none =
        |op: &&OpInfo| matches!(op.gradient, Gradient::None(_)) && op.accepts(Dtype::Float64);
    for op in report::ops().filter(none) {
        for (i, sample) in (op.samples)()
            .iter()
            .enumerate()
            .filter(|(_, sample)| !sample.inputs.is_empty())
        {
            let gradients = Point::new(op, sample, Dtype::Float64)
                .and_then(|point| point.gradients(&point.arrays()?));
            let outcome = match gradients {
                Err(Error::NoGradient { .. }) => Ok(()),
                Err(other) => Err(format!("another error: {other}")),
                Ok(_) => Err("it returned a gradient".to_owned()),
            };
            report.case(format!("{} #{i} ({})", op.name, sample.label), outcome);
        }
    }
    report.finish(0);
}
