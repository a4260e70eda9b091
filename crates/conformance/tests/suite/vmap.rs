//! Checks vectorisation: each sample over a batch against a loop over the examples.

use olivine_conformance::{
    Report, Rng, Tensor, Tolerance,
    fill::fill,
    report,
    tensor::{indices, offset},
};
use olivine_core::{
    Array, Dtype, Error,
    ops::{Gradient, OpInfo, Sample},
    transforms::LeafAxes,
    vmap,
};

use crate::{
    gradients::{Point, of_gradient},
    values::{dtypes, text},
};

/// Tensors of equal shape and dtype, side by side along a new axis.
fn stacked(parts: &[Tensor], axis: usize) -> Tensor {
    let mut shape = parts[0].shape.clone();
    shape.insert(axis, parts.len());
    Tensor::build(parts[0].dtype, shape, |index| {
        let mut rest = index.to_vec();
        let part = rest.remove(axis);
        parts[part].at(&rest)
    })
}

/// One part of a tensor along its first axis.
fn part(tensor: &Tensor, at: usize) -> Tensor {
    let shape = tensor.shape[1..].to_vec();
    let picked = indices(&shape).into_iter().map(|index| {
        let whole = [vec![at], index].concat();
        tensor.values[offset(&tensor.shape, &whole)]
    });
    Tensor::new(tensor.dtype, shape, picked.collect::<Vec<_>>())
}

/// A batch of examples for a sample: which inputs differ, along which axis each batch lies.
struct Batch {
    /// For each example, its inputs.
    examples: Vec<Vec<Tensor>>,
    axes: Vec<Option<i64>>,
}

impl Batch {
    /// `differs(i)` says whether input `i` differs between examples; `turn` moves the batch axis.
    fn new(
        op: &OpInfo,
        sample: &Sample,
        dtype: Dtype,
        (size, turn): (usize, usize),
        differs: impl Fn(usize) -> bool,
    ) -> Self {
        let mut rng = Rng::named(&[op.name, &sample.label, dtype.name(), "vmap"]);
        let first: Vec<Tensor> = sample
            .inputs
            .iter()
            .map(|input| fill(input, dtype, &mut rng))
            .collect();
        let mut example = || {
            let inputs = sample.inputs.iter().enumerate();
            let own = inputs.map(|(i, input)| {
                if differs(i) {
                    fill(input, dtype, &mut rng)
                } else {
                    first[i].clone()
                }
            });
            own.collect()
        };
        let examples = (0..size).map(|_| example()).collect();
        let inputs = sample.inputs.iter().enumerate();
        let axis = |(i, input): (usize, &olivine_core::ops::Input)| {
            differs(i).then(|| ((turn + i) % (input.shape.len() + 1)) as i64)
        };
        Batch {
            examples,
            axes: inputs.map(axis).collect(),
        }
    }

    fn arrays(&self) -> Result<Vec<Array>, Error> {
        let inputs = self.axes.iter().enumerate().map(|(i, axis)| match axis {
            None => self.examples[0][i].to_array(),
            Some(axis) => {
                let parts: Vec<Tensor> = self.examples.iter().map(|e| e[i].clone()).collect();
                stacked(&parts, *axis as usize).to_array()
            }
        });
        inputs.collect()
    }

    /// Compares a vectorised function with the function applied to each example.
    fn check(
        &self,
        tolerance: impl Fn(Dtype) -> Tolerance,
        f: impl Fn(&[Array]) -> Result<Vec<Array>, Error>,
    ) -> Result<(), String> {
        let batched = vmap(|x: &Vec<Array>| f(x), LeafAxes(self.axes.clone()), 0);
        let results = batched(&self.arrays().map_err(text)?).map_err(text)?;
        let results: Vec<Tensor> = results
            .iter()
            .map(Tensor::from_array)
            .collect::<Result<_, _>>()
            .map_err(text)?;
        for (at, example) in self.examples.iter().enumerate() {
            let arrays: Vec<Array> = example
                .iter()
                .map(Tensor::to_array)
                .collect::<Result<_, _>>()
                .map_err(text)?;
            let alone = f(&arrays).map_err(|e| format!("the example alone: {e}"))?;
            if alone.len() != results.len() {
                return Err(format!("{} results for {}", results.len(), alone.len()));
            }
            for (result, alone) in results.iter().zip(alone) {
                let expected = Tensor::from_array(&alone).map_err(text)?;
                if result.shape.first() != Some(&self.examples.len()) {
                    return Err(format!("a result of shape {:?}", result.shape));
                }
                tolerance(expected.dtype).check(&part(result, at), &expected)?;
            }
        }
        Ok(())
    }
}

/// Which inputs have a batch: all of them, then each alone.
fn patterns(inputs: usize) -> Vec<Option<usize>> {
    let alone = (0..inputs).map(Some).filter(|_| inputs > 1);
    std::iter::once(None).chain(alone).collect()
}

#[test]
fn a_batch_gives_what_each_example_gives() {
    let mut report = Report::default();
    for op in report::ops() {
        for (i, sample) in (op.samples)().iter().enumerate() {
            if sample.inputs.is_empty() {
                continue;
            }
            for dtype in dtypes(op, sample) {
                for (turn, alone) in patterns(sample.inputs.len()).into_iter().enumerate() {
                    let differs = |at| alone.is_none_or(|alone| alone == at);
                    let batch = Batch::new(op, sample, dtype, (3, turn), differs);
                    let outcome =
                        batch.check(|dtype| Tolerance::of(op, dtype), |x| (sample.call)(x));
                    let name = format!("{} #{i} ({}) {dtype} {alone:?}", op.name, sample.label);
                    report.case(name, outcome);
                }
            }
        }
    }
    report.finish(5000);
}

#[test]
fn an_empty_batch_gives_empty_results() {
    let mut report = Report::default();
    for op in report::ops() {
        for (i, sample) in (op.samples)().iter().enumerate() {
            let dtype = dtypes(op, sample)
                .pop()
                .expect("every operation takes some dtype");
            let batch = Batch::new(op, sample, dtype, (1, 0), |_| true);
            if sample.inputs.is_empty() {
                continue;
            }
            let outcome = || -> Result<(), Error> {
                let alone: Vec<Array> = batch.examples[0]
                    .iter()
                    .map(Tensor::to_array)
                    .collect::<Result<_, _>>()?;
                let expected = (sample.call)(&alone)?;
                let empty: Vec<Array> = alone
                    .iter()
                    .map(|x| Array::zeros([&[0], x.shape().dims()].concat(), x.dtype()))
                    .collect::<Result<_, _>>()?;
                let results = vmap(|x: &Vec<Array>| (sample.call)(x), 0, 0)(&empty)?;
                for (result, expected) in results.iter().zip(expected) {
                    result.eval()?;
                    assert_eq!(
                        result.shape().dims(),
                        [&[0], expected.shape().dims()].concat()
                    );
                    assert_eq!(result.dtype(), expected.dtype());
                }
                Ok(())
            };
            report.case(
                format!("{} #{i} ({})", op.name, sample.label),
                outcome().map_err(text),
            );
        }
    }
    report.finish(100);
}

#[test]
fn a_batch_of_batches_gives_what_each_example_gives() {
    let mut report = Report::default();
    for op in report::ops() {
        for (i, sample) in (op.samples)().iter().enumerate() {
            if sample.inputs.is_empty() {
                continue;
            }
            for dtype in [Dtype::Float32, Dtype::Int32, Dtype::Complex64] {
                if !dtypes(op, sample).contains(&dtype) {
                    continue;
                }
                // The inner batch is of two examples; the outer one of three, in the last input.
                let last = sample.inputs.len() - 1;
                let batch = Batch::new(op, sample, dtype, (3, 1), |at| at == last);
                let inner = |x: &[Array]| -> Result<Vec<Array>, Error> {
                    let pair: Vec<Array> = x
                        .iter()
                        .map(|x| olivine_core::stack(&[x, x], -1))
                        .collect::<Result<_, _>>()?;
                    vmap(|x: &Vec<Array>| (sample.call)(x), -1, 0)(&pair)
                };
                let outcome = batch.check(|dtype| Tolerance::of(op, dtype), inner);
                report.case(
                    format!("{} #{i} ({}) {dtype}", op.name, sample.label),
                    outcome,
                );
            }
        }
    }
    report.finish(500);
}

#[test]
fn gradients_of_a_batch_are_a_batch_of_gradients() {
    let mut report = Report::default();
    for op in of_gradient(Gradient::Smooth) {
        for (i, sample) in (op.samples)().iter().enumerate() {
            if sample.inputs.is_empty() {
                continue;
            }
            let name = format!("{} #{i} ({})", op.name, sample.label);
            let point = match Point::new(op, sample, Dtype::Float64) {
                Ok(point) => point,
                Err(error) => {
                    report.case(name, Err(text(error)));
                    continue;
                }
            };
            let batch = Batch::new(op, sample, Dtype::Float64, (3, 0), |_| true);
            let close = |_| Tolerance::both(if point.exact { 1e-9 } else { 1e-4 });
            report.case(&name, batch.check(close, |x| point.gradients(x)));
            // And with the two the other way round.
            let cotangents: Result<Vec<Array>, Error> = point
                .cotangents
                .iter()
                .map(|cotangent| stacked(&vec![cotangent.clone(); 3], 0).to_array())
                .collect();
            let around = || -> Result<(Vec<Array>, Vec<Array>), Error> {
                let all = Batch {
                    axes: vec![Some(0); batch.axes.len()],
                    examples: batch.examples.clone(),
                };
                let arrays = all.arrays()?;
                let f = |x: &[Array]| vmap(|x: &Vec<Array>| point.call(x), 0, 0)(&x.to_vec());
                let (_, outside) = olivine_core::vjp(f, &arrays, &cotangents?)?;
                let outside = outside
                    .into_iter()
                    .zip(point.main())
                    .filter(|(_, main)| *main);
                let inside = vmap(|x: &Vec<Array>| point.gradients(x), 0, 0)(&arrays)?;
                Ok((outside.map(|(gradient, _)| gradient).collect(), inside))
            };
            let outcome = around().map_err(text).and_then(|(outside, inside)| {
                for (outside, inside) in outside.iter().zip(&inside) {
                    let got = Tensor::from_array(outside).map_err(text)?;
                    close(got.dtype).check(&got, &Tensor::from_array(inside).map_err(text)?)?;
                }
                Ok(())
            });
            report.case(format!("{name} around"), outcome);
        }
    }
    report.finish(400);
}
