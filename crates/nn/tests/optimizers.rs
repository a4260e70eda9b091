//! Owns the tests of optimisers and schedules.

use olivine_core::{
    Array, Dtype, Error, Result, eval,
    graph::Primitive,
    keep,
    ops::adamw,
    random::{self, Normal},
};
use olivine_cpu as _;
use olivine_nn::{
    Activation, Layer, Linear, Module, Param, Parameters, Sequential, losses,
    optimizers::{Adam, AdamW, Optimizer, SGD, Schedule, clip_grad_norm},
    value_and_grad,
};

fn one(name: &str, value: f64) -> Parameters {
    Parameters::from([(name.to_owned(), Array::scalar(value))])
}

/// Takes steps with the given gradients and returns the parameter after each.
fn walk(optimizer: &mut dyn Optimizer, start: f64, gradients: &[f64]) -> Result<Vec<f64>> {
    let mut w = one("w", start);
    let mut values = Vec::new();
    for &gradient in gradients {
        w = optimizer.apply(&w, &one("w", gradient))?;
        values.push(w["w"].item::<f64>()?);
    }
    Ok(values)
}

#[track_caller]
fn close(got: Result<Vec<f64>>, expected: &[f64]) {
    let got = got.unwrap();
    assert_eq!(got.len(), expected.len());
    for (a, b) in got.iter().zip(expected) {
        assert!((a - b).abs() < 1e-12, "{got:?} instead of {expected:?}");
    }
}

const GRADIENTS: [f64; 3] = [1.0, -0.5, 2.0];

#[test]
fn sgd_steps_are_those_worked_out_by_hand() {
    close(
        walk(&mut SGD::new(0.1), 1.0, &GRADIENTS),
        &[0.9, 0.95, 0.75],
    );
    // v: 1, 0.4, 2.36
    close(
        walk(&mut SGD::new(0.1).momentum(0.9), 1.0, &GRADIENTS),
        &[0.9, 0.86, 0.624],
    );
    // g + 0.9 v: 1.9, -0.14, 4.124
    close(
        walk(&mut SGD::new(0.1).nesterov(0.9), 1.0, &GRADIENTS),
        &[0.81, 0.824, 0.4116],
    );
    // g + 0.5 w: 1.5, -0.075, 2.42875
    close(
        walk(&mut SGD::new(0.1).weight_decay(0.5), 1.0, &GRADIENTS),
        &[0.85, 0.8575, 0.614625],
    );
}

/// The published algorithm, in scalar arithmetic.
fn adamw_by_hand(start: f64, decay: f64, correct: bool) -> Vec<f64> {
    let (rate, beta1, beta2, eps): (f64, f64, f64, f64) = (0.1, 0.8, 0.95, 1e-3);
    let (mut w, mut m, mut v) = (start, 0.0, 0.0);
    let mut values = Vec::new();
    for (t, g) in GRADIENTS.iter().enumerate() {
        let t = t as i32 + 1;
        m = beta1 * m + (1.0 - beta1) * g;
        v = beta2 * v + (1.0 - beta2) * g * g;
        let (mut mean, mut square) = (m, v);
        if correct {
            mean /= 1.0 - beta1.powi(t);
            square /= 1.0 - beta2.powi(t);
        }
        w -= rate * decay * w;
        w -= rate * mean / (square.sqrt() + eps);
        values.push(w);
    }
    values
}

#[test]
fn adam_steps_are_those_of_the_papers() {
    let adam = || Adam::new(0.1).betas(0.8, 0.95).eps(1e-3);
    close(
        walk(&mut adam(), 1.0, &GRADIENTS),
        &adamw_by_hand(1.0, 0.0, true),
    );
    let mut uncorrected = adam().bias_correction(false);
    close(
        walk(&mut uncorrected, 1.0, &GRADIENTS),
        &adamw_by_hand(1.0, 0.0, false),
    );
    let adamw = || AdamW::new(0.1).betas(0.8, 0.95).eps(1e-3).weight_decay(0.3);
    close(
        walk(&mut adamw(), 1.0, &GRADIENTS),
        &adamw_by_hand(1.0, 0.3, true),
    );
    let mut choosy = adamw().decay_where(|name, _| name != "w");
    close(
        walk(&mut choosy, 1.0, &GRADIENTS),
        &adamw_by_hand(1.0, 0.0, true),
    );
}

#[test]
fn the_fused_step_means_what_its_decomposition_means() -> Result<()> {
    let rule = adamw::AdamW {
        beta1: 0.9,
        beta2: 0.99,
        eps: 1e-6,
        weight_decay: 0.1,
    };
    // More elements than one thread takes, and not a multiple of any block.
    for shape in [vec![], vec![0, 3], vec![5], vec![257, 301]] {
        for dtype in [
            Dtype::Float16,
            Dtype::BFloat16,
            Dtype::Float32,
            Dtype::Float64,
        ] {
            let moment = adamw::AdamW::moment_dtype(dtype);
            let draw = |seed| Normal::new(shape.clone()).key(&random::key(seed)).sample();
            let turned = |x: Array| x.transpose(..)?.contiguous()?.transpose(..);
            let rates = Array::from_slice(&[0.01f32, 0.1, 0.01], [3])?.astype(moment)?;
            let inputs = [
                draw(0)?.astype(dtype)?,
                turned(draw(1)?.astype(dtype)?)?,
                turned(draw(2)?.astype(moment)?)?,
                draw(3)?.square()?.astype(moment)?,
                rates,
            ];
            let [p, g, m, v, rates] = &inputs;
            let fused = rule.step(p, g, m, v, rates)?;
            let expected = rule.decompose(&inputs)?;
            let tolerance = match dtype {
                Dtype::Float16 => 2e-3,
                Dtype::BFloat16 => 1e-2,
                Dtype::Float32 => 1e-5,
                _ => 1e-12,
            };
            for (got, expected) in [fused.parameter, fused.mean, fused.square]
                .iter()
                .zip(&expected)
            {
                assert_eq!(
                    (got.shape(), got.dtype()),
                    (expected.shape(), expected.dtype())
                );
                let got = got.astype(Dtype::Float64)?.to_vec::<f64>()?;
                let expected = expected.astype(Dtype::Float64)?.to_vec::<f64>()?;
                for (a, b) in got.iter().zip(&expected) {
                    let limit = tolerance * (1.0 + b.abs());
                    assert!(
                        (a - b).abs() <= limit,
                        "{dtype} {shape:?}: {a} instead of {b}"
                    );
                }
            }
        }
    }
    Ok(())
}

#[test]
fn a_step_takes_over_the_memory_of_the_last() -> Result<()> {
    let address = |x: &Array| -> Result<usize> { Ok(x.data()?.buffer.host().as_ptr() as usize) };
    let mut model = Linear::without_bias(64, 64)?;
    let mut optimizer = AdamW::new(0.1);
    let mut places = Vec::new();
    for _ in 0..3 {
        let gradients = Parameters::from([("weight".to_owned(), random::normal([64, 64])?)]);
        optimizer.update(&mut model, &gradients)?;
        drop(gradients);
        let state = optimizer.state();
        eval(model.parameters().values().chain(state.values()))?;
        places.push([
            address(&model.weight)?,
            address(&state["weight.m"])?,
            address(&state["weight.v"])?,
        ]);
    }
    assert_eq!(places[1], places[2]);
    Ok(())
}

#[test]
fn every_optimizer_solves_least_squares() -> Result<()> {
    let x = Normal::new([64, 3]).key(&random::key(1)).sample()?;
    let truth = Array::from_slice(&[1.0f32, -2.0, 0.5], [3, 1])?;
    let y = x.matmul(&truth)?.add(0.25)?;
    let solve = |optimizer: &mut dyn Optimizer| -> Result<f32> {
        random::seed(2);
        let mut model = Linear::new(3, 1)?;
        for _ in 0..200 {
            let (_, gradients) =
                value_and_grad(&model, |model| losses::mse(&model.forward(&x)?, &y))?;
            let next = optimizer.apply(&model.parameters(), &gradients)?;
            model.update(&next)?;
            eval(next.values())?;
        }
        losses::mse(&model.forward(&x)?, &y)?.item::<f32>()
    };
    assert!(solve(&mut SGD::new(0.1))? < 1e-6);
    assert!(solve(&mut SGD::new(0.05).momentum(0.9))? < 1e-6);
    assert!(solve(&mut SGD::new(0.05).nesterov(0.9))? < 1e-6);
    assert!(solve(&mut Adam::new(Schedule::cosine(0.3, 1e-3, 200)))? < 1e-4);
    assert!(solve(&mut AdamW::new(Schedule::cosine(0.3, 1e-3, 200)).weight_decay(1e-6))? < 1e-4);
    Ok(())
}

#[test]
fn saved_training_goes_on_as_if_it_had_not_stopped() -> Result<()> {
    let fresh = || -> Result<_> {
        random::seed(3);
        let model = Sequential::new()
            .then(Linear::new(4, 8)?)
            .then(Activation::Tanh)
            .then(Linear::new(8, 1)?);
        let rate = Schedule::cosine(0.05, 0.0, 20).with_warmup(4);
        Ok((model, AdamW::new(rate).weight_decay(0.1)))
    };
    let x = Normal::new([16, 4]).key(&random::key(4)).sample()?;
    let y = x.prod(keep(1))?;
    let train = |model: &mut Sequential, optimizer: &mut AdamW| -> Result<()> {
        for _ in 0..6 {
            let (_, gradients) =
                value_and_grad(model, |model| losses::mse(&model.forward(&x)?, &y))?;
            let (gradients, _) = clip_grad_norm(&gradients, 0.5)?;
            optimizer.update(model, &gradients)?;
            eval(
                model
                    .parameters()
                    .values()
                    .chain(optimizer.state().values()),
            )?;
        }
        Ok(())
    };
    let (mut model, mut optimizer) = fresh()?;
    train(&mut model, &mut optimizer)?;

    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| folder.path().join(name);
    let metadata = olivine_io::Metadata::default();
    olivine_io::save_safetensors(path("model"), model.parameters(), &metadata).expect("saved");
    olivine_io::save_safetensors(path("optimizer"), optimizer.state(), &metadata).expect("saved");
    train(&mut model, &mut optimizer)?;

    let load = |name: &str| -> Parameters {
        let file = olivine_io::load_safetensors(path(name)).expect("a file just saved");
        let arrays = file
            .arrays()
            .map(|entry| entry.expect("a tensor just saved"));
        arrays
            .map(|(name, array)| (name.to_owned(), array))
            .collect()
    };
    let (mut resumed, mut resumed_optimizer) = fresh()?;
    resumed.load(&load("model"))?;
    resumed_optimizer.load_state(&load("optimizer"))?;
    assert_eq!(resumed_optimizer.steps(), 6);
    train(&mut resumed, &mut resumed_optimizer)?;

    assert_eq!(resumed_optimizer.steps(), optimizer.steps());
    assert_eq!(resumed_optimizer.learning_rate(), optimizer.learning_rate());
    for (name, value) in model.parameters() {
        assert_eq!(
            value.to_vec::<f32>()?,
            resumed.parameters()[&name].to_vec::<f32>()?,
            "{name}"
        );
    }
    Ok(())
}

#[test]
fn states_that_do_not_fit_are_errors() -> Result<()> {
    let mut sgd = SGD::new(0.1).momentum(0.9);
    walk(&mut sgd, 1.0, &GRADIENTS)?;
    let state = sgd.state();
    assert_eq!(state.keys().collect::<Vec<_>>(), ["step", "w.v"]);
    let name_of = |error: Error| match error {
        Error::Parameter { name, .. } => name,
        other => panic!("{other}"),
    };
    let mut adam = Adam::new(0.1);
    assert_eq!(name_of(adam.load_state(&state).unwrap_err()), "w.m");
    assert_eq!(
        name_of(adam.load_state(&Parameters::new()).unwrap_err()),
        "step"
    );
    let mut unknown = state.clone();
    unknown.insert("extra".to_owned(), Array::scalar(1.0f32));
    assert_eq!(name_of(sgd.load_state(&unknown).unwrap_err()), "extra");
    let mut wrong = state.clone();
    wrong.insert("w.v".to_owned(), Array::zeros([2], Dtype::Float64)?);
    sgd.load_state(&wrong)?;
    assert_eq!(
        name_of(sgd.apply(&one("w", 1.0), &one("w", 1.0)).err().unwrap()),
        "w.v"
    );
    assert_eq!(sgd.steps(), 3, "a failed step does not count");
    Ok(())
}

#[test]
fn gradients_without_a_parameter_are_errors() -> Result<()> {
    let mut model = Linear::without_bias(2, 2)?;
    let mut optimizer = AdamW::new(0.1);
    let unknown = Parameters::from([("bias".to_owned(), Array::zeros([2], Dtype::Float32)?)]);
    let error = optimizer
        .update(&mut model, &unknown)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("`bias` has a gradient but is not among the parameters"),
        "{error}"
    );
    let shaped = Parameters::from([("weight".to_owned(), Array::zeros([3], Dtype::Float32)?)]);
    assert!(optimizer.update(&mut model, &shaped).is_err());
    assert_eq!(optimizer.steps(), 0);
    Ok(())
}

#[test]
fn halves_keep_their_dtype_and_their_moments_are_wide() -> Result<()> {
    let mut model = Linear::without_bias(2, 2)?;
    model.set_dtype(Dtype::BFloat16)?;
    let mut optimizer = AdamW::new(0.1);
    let gradients = Parameters::from([("weight".to_owned(), Array::ones([2, 2], Dtype::Float32)?)]);
    optimizer.update(&mut model, &gradients)?;
    assert_eq!(model.weight.dtype(), Dtype::BFloat16);
    assert_eq!(optimizer.state()["weight.m"].dtype(), Dtype::Float32);
    Ok(())
}

#[test]
fn frozen_parameters_are_not_moved() -> Result<()> {
    let mut model = Linear::new(2, 1)?;
    let before = model.parameters();
    model.weight = Param::frozen(model.weight.value().clone());
    let x = Array::ones([3, 2], Dtype::Float32)?;
    let mut optimizer = AdamW::new(0.1);
    let (_, gradients) = value_and_grad(&model, |model| model.forward(&x)?.sum(..))?;
    optimizer.update(&mut model, &gradients)?;
    let after = model.parameters();
    assert_eq!(
        after["weight"].to_vec::<f32>()?,
        before["weight"].to_vec::<f32>()?
    );
    assert_ne!(
        after["bias"].to_vec::<f32>()?,
        before["bias"].to_vec::<f32>()?
    );
    Ok(())
}

#[test]
fn clipping_keeps_small_gradients_and_their_dtype() -> Result<()> {
    let gradients = Parameters::from([
        ("a".to_owned(), Array::from_slice(&[0.3f32, 0.0], [2])?),
        (
            "b".to_owned(),
            Array::from_slice(&[0.4f32], [1])?.astype(Dtype::BFloat16)?,
        ),
    ]);
    let (kept, norm) = clip_grad_norm(&gradients, 1.0)?;
    assert!((norm.item::<f32>()? - 0.5).abs() < 1e-3);
    assert_eq!(kept["a"].to_vec::<f32>()?, [0.3, 0.0]);
    assert_eq!(kept["b"].dtype(), Dtype::BFloat16);
    let (clipped, _) = clip_grad_norm(&gradients, 0.25)?;
    assert!((clipped["a"].to_vec::<f32>()?[0] - 0.15).abs() < 1e-3);
    let (none, norm) = clip_grad_norm(&Parameters::new(), 1.0)?;
    assert!(none.is_empty() && norm.item::<f32>()? == 0.0);
    Ok(())
}

#[test]
fn schedules_have_their_published_values() {
    let at = |schedule: &Schedule, step| schedule.at(step);
    let linear = Schedule::linear(1.0, 0.0, 4);
    assert_eq!(
        [0, 1, 2, 4, 9].map(|step| at(&linear, step)),
        [1.0, 0.75, 0.5, 0.0, 0.0]
    );
    let cosine = Schedule::cosine(2.0, 1.0, 4);
    let expected = [2.0, 1.0 + f64::midpoint(1.0, 0.5f64.sqrt()), 1.5, 1.0, 1.0];
    for (step, expected) in [0, 1, 2, 4, 100].into_iter().zip(expected) {
        assert!((at(&cosine, step) - expected).abs() < 1e-12, "step {step}");
    }
    let exponential = Schedule::exponential(8.0, 0.5);
    assert_eq!(
        [0, 1, 3].map(|step| at(&exponential, step)),
        [8.0, 4.0, 1.0]
    );
    let steps = Schedule::step(8.0, 0.5, 10);
    assert_eq!(
        [0, 9, 10, 25].map(|step| at(&steps, step)),
        [8.0, 8.0, 4.0, 2.0]
    );
    let own = Schedule::new(|step| 1.0 / (1.0 + step as f64));
    assert_eq!(at(&own, 3), 0.25);
    // No steps have passed at once.
    assert_eq!(at(&Schedule::linear(1.0, 3.0, 0), 0), 3.0);
    assert_eq!(at(&Schedule::constant(2.0).with_warmup(0), 0), 2.0);
}

#[test]
fn optimizers_follow_their_schedule() -> Result<()> {
    let mut optimizer = SGD::new(Schedule::linear(1.0, 0.0, 2));
    let mut rates = vec![optimizer.learning_rate()];
    let values = walk(&mut optimizer, 0.0, &[1.0])?;
    rates.push(optimizer.learning_rate());
    assert_eq!((values, rates), (vec![-1.0], vec![1.0, 0.5]));
    Ok(())
}
