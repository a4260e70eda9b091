//! Checks that random expressions give the same bits however they are evaluated: one operation at
//! a time, all at once, asynchronously on another stream, or compiled.
//!
//! `OLIVINE_SEED=n` runs the one expression of that seed.

use olivine_conformance::{Rng, Tensor, fill::fill, layout::Layout};
use olivine_core::{
    Array, Device, Dtype, Error, Stream, async_eval, compile, eval,
    ops::{Domain, Family, Input, OpInfo, Sample, ops},
};

/// One call: an operation's sample, applied to earlier values.
struct Step {
    sample: usize,
    inputs: Vec<usize>,
    results: usize,
}

/// An expression: leaves, and steps that each append their results to the values.
struct Program {
    leaves: Vec<(Tensor, Layout)>,
    steps: Vec<Step>,
    /// What every value was when the steps were evaluated one by one.
    values: Vec<Tensor>,
    /// The values that are asked for.
    wanted: Vec<usize>,
}

/// Every sample of every operation.
fn samples() -> Vec<(&'static OpInfo, Sample)> {
    ops()
        .iter()
        .flat_map(|op| (op.samples)().into_iter().map(move |sample| (op, sample)))
        .collect()
}

/// A shape from a small family, so that many fit each other.
fn shape(rng: &mut Rng) -> Vec<usize> {
    let rank = rng.below(4);
    (0..rank)
        .map(|_| *rng.pick(&[1, 2, 3, 3, 4, 4, 5, 0, 17]))
        .collect()
}

fn leaf(input: &Input, rng: &mut Rng) -> (Tensor, Layout) {
    let dtype = *rng.pick(&Dtype::ALL);
    // Float32 is what most programs use.
    let dtype = if rng.below(2) == 0 {
        Dtype::Float32
    } else {
        dtype
    };
    let layout = *rng.pick(&Layout::ALL);
    (layout.prepare(fill(input, dtype, rng)), layout)
}

impl Program {
    /// Grows an expression by steps that succeed, evaluating each at once.
    fn random(seed: u64, samples: &[(&OpInfo, Sample)]) -> Result<Program, Error> {
        let mut rng = Rng::new(seed);
        let mut program = Program {
            leaves: Vec::new(),
            steps: Vec::new(),
            values: Vec::new(),
            wanted: Vec::new(),
        };
        let mut arrays = Vec::new();
        let add_leaf =
            |program: &mut Program, arrays: &mut Vec<Array>, (tensor, layout): (Tensor, Layout)| {
                let array = layout.lay(&tensor)?;
                array.eval()?;
                arrays.push(array);
                program.values.push(tensor.clone());
                program.leaves.push((tensor, layout));
                Ok::<_, Error>(())
            };
        // Leaves come first; among them the inputs of a few samples, which fit those samples.
        for _ in 0..2 + rng.below(3) {
            let input = Input::any(shape(&mut rng));
            add_leaf(&mut program, &mut arrays, leaf(&input, &mut rng))?;
        }
        let mut favourites = Vec::new();
        for _ in 0..3 {
            let favourite = rng.below(samples.len());
            favourites.push((favourite, arrays.len()));
            for input in &samples[favourite].1.inputs {
                add_leaf(&mut program, &mut arrays, leaf(input, &mut rng))?;
            }
        }
        let steps = 5 + rng.below(26);
        for _ in 0..steps * 6 {
            if program.steps.len() >= steps {
                break;
            }
            let (sample, inputs) = match favourites.pop() {
                Some((sample, first)) => (
                    sample,
                    (first..first + samples[sample].1.inputs.len()).collect(),
                ),
                None => random_call(samples, &arrays, &mut rng),
            };
            program.try_step(sample, inputs, samples, &mut arrays);
        }
        let count = arrays.len();
        program.wanted = (0..count)
            .filter(|i| i + 3 >= count || rng.below(4) == 0)
            .collect();
        Ok(program)
    }

    /// Adds a step if it can be recorded and evaluated.
    fn try_step(
        &mut self,
        sample: usize,
        inputs: Vec<usize>,
        samples: &[(&OpInfo, Sample)],
        arrays: &mut Vec<Array>,
    ) {
        let given: Vec<Array> = inputs.iter().map(|&i| arrays[i].clone()).collect();
        let Ok(results) = (samples[sample].1.call)(&given) else {
            return;
        };
        let values: Result<Vec<Tensor>, Error> = results.iter().map(Tensor::from_array).collect();
        let small = results.iter().all(|result| result.size() <= 5000);
        if let (Ok(values), true) = (values, small) {
            self.steps.push(Step {
                sample,
                inputs,
                results: results.len(),
            });
            self.values.extend(values);
            arrays.extend(results);
        }
    }

    /// Records the whole expression and returns the wanted arrays; nothing else holds a handle.
    fn record(&self, samples: &[(&OpInfo, Sample)]) -> Result<Vec<Array>, Error> {
        self.record_on(self.laid()?, samples)
    }

    fn laid(&self) -> Result<Vec<Array>, Error> {
        let leaves = self.leaves.iter();
        leaves.map(|(tensor, layout)| layout.lay(tensor)).collect()
    }

    fn record_on(
        &self,
        leaves: Vec<Array>,
        samples: &[(&OpInfo, Sample)],
    ) -> Result<Vec<Array>, Error> {
        let mut arrays = leaves;
        for step in &self.steps {
            let given: Vec<Array> = step.inputs.iter().map(|&i| arrays[i].clone()).collect();
            let results = (samples[step.sample].1.call)(&given)?;
            assert_eq!(
                results.len(),
                step.results,
                "a sample always has as many results"
            );
            arrays.extend(results);
        }
        Ok(self.wanted.iter().map(|&i| arrays[i].clone()).collect())
    }

    /// Whether the wanted arrays hold what stepwise evaluation gave.
    fn compare(
        &self,
        got: &[Array],
        way: &str,
        samples: &[(&OpInfo, Sample)],
    ) -> Result<(), String> {
        for (array, &i) in got.iter().zip(&self.wanted) {
            let value = Tensor::from_array(array).map_err(|error| format!("{way}: {error}"))?;
            if !value.same(&self.values[i]) {
                let text = self.describe(samples);
                return Err(format!(
                    "{way}: value {i} is {value:?}, step by step {:?}, in\n{text}",
                    self.values[i]
                ));
            }
        }
        Ok(())
    }

    fn describe(&self, samples: &[(&OpInfo, Sample)]) -> String {
        let leaves = self
            .leaves
            .iter()
            .map(|(x, layout)| format!("{} {:?} {layout:?}", x.dtype, x.shape));
        let steps = self.steps.iter().map(|step| {
            let (op, sample) = &samples[step.sample];
            format!(
                "{} ({}) {:?} x{}",
                op.name, sample.label, step.inputs, step.results
            )
        });
        let lines = leaves
            .chain(steps)
            .enumerate()
            .map(|(i, line)| format!("  {i}: {line}"));
        lines.collect::<Vec<_>>().join("\n")
    }
}

/// An operation on random values; scalar ones more often, since they fit nearly everything.
fn random_call(
    samples: &[(&OpInfo, Sample)],
    arrays: &[Array],
    rng: &mut Rng,
) -> (usize, Vec<usize>) {
    let mut sample = rng.below(samples.len());
    if samples[sample].1.inputs.is_empty() {
        sample = rng.below(samples.len());
    }
    let inputs = &samples[sample].1.inputs;
    let scalar = matches!(samples[sample].0.family, Family::Unary | Family::Binary);
    let pick = |input: &Input, rng: &mut Rng| {
        let fits = |array: &&Array| match input.domain {
            Domain::Index(_) => array.dtype().is_integer(),
            _ => scalar || array.shape()[..] == input.shape[..],
        };
        let fitting: Vec<usize> = (0..arrays.len()).filter(|&i| fits(&&arrays[i])).collect();
        // The newest values more often, so that expressions grow deep.
        match fitting.len() {
            0 => rng.below(arrays.len()),
            n if rng.below(2) == 0 => fitting[n - 1 - rng.below(n.min(4))],
            n => fitting[rng.below(n)],
        }
    };
    (
        sample,
        inputs.iter().map(|input| pick(input, rng)).collect(),
    )
}

fn run(seed: u64, samples: &[(&OpInfo, Sample)], side: Stream) -> Result<usize, String> {
    let text = |error: Error| format!("unexpected error: {error}");
    let program = Program::random(seed, samples).map_err(text)?;
    let at_once = program.record(samples).map_err(text)?;
    eval(&at_once).map_err(text)?;
    program.compare(&at_once, "all at once", samples)?;
    let elsewhere = side.scope(|| program.record(samples)).map_err(text)?;
    async_eval(&elsewhere).wait().map_err(text)?;
    program.compare(&elsewhere, "on another stream", samples)?;
    let compiled = compile(|leaves: &Vec<Array>| program.record_on(leaves.clone(), samples));
    let leaves = program.laid().map_err(text)?;
    program.compare(&compiled(&leaves).map_err(text)?, "compiled", samples)?;
    Ok(program.steps.len())
}

#[test]
fn random_expressions_give_the_same_bits_however_they_are_evaluated() {
    let samples = samples();
    let side = Stream::new(Device::Cpu);
    let chosen = std::env::var("OLIVINE_SEED")
        .ok()
        .map(|seed| seed.parse().expect("a number"));
    let seeds = chosen.map_or(0..2000, |seed: u64| seed..seed + 1);
    let mut steps = 0;
    for seed in seeds {
        match run(seed, &samples, side) {
            Ok(count) => steps += count,
            Err(failure) => panic!("OLIVINE_SEED={seed}: {failure}"),
        }
    }
    assert!(
        steps > 15000 || chosen.is_some(),
        "only {steps} steps were tried"
    );
}
