//! Owns the tests of losses.

use olivine_core::{Array, Result, grad};
use olivine_cpu as _;
use olivine_nn::losses::{
    CrossEntropy, Reduction, bce, bce_with, bce_with_logits, bce_with_logits_with, cross_entropy,
    l1, l1_with, mse, mse_with,
};

const LOGITS: [f64; 12] = [
    0.3, -1.2, 2.0, 0.1, 1.5, 1.4, -0.7, 0.0, -2.0, 0.9, 0.4, 1.1,
];

fn logits() -> Result<Array> {
    Array::from_slice(&LOGITS, [3, 4])
}

/// Minus the log-softmax of a row at a class.
fn expected(row: usize, class: usize) -> f64 {
    let row = &LOGITS[row * 4..][..4];
    row.iter().map(|x| x.exp()).sum::<f64>().ln() - row[class]
}

#[track_caller]
fn close(got: Result<Array>, expected: &[f64]) {
    let got = got.unwrap().to_vec::<f64>().unwrap();
    assert_eq!(got.len(), expected.len());
    for (a, b) in got.iter().zip(expected) {
        assert!(
            (a - b).abs() < 1e-9 || a.is_nan() && b.is_nan(),
            "{got:?} instead of {expected:?}"
        );
    }
}

/// Compares a gradient with differences of the loss.
#[track_caller]
fn check_gradient(x: &Array, loss: impl Fn(&Array) -> Result<Array>) {
    let gradient = grad(&loss)(x).unwrap().to_vec::<f64>().unwrap();
    let values = x.to_vec::<f64>().unwrap();
    assert!(gradient.iter().any(|g| *g != 0.0));
    for i in 0..values.len() {
        let at = |shift: f64| {
            let mut moved = values.clone();
            moved[i] += shift;
            let moved = Array::from_slice(&moved, x.shape()).unwrap();
            loss(&moved).unwrap().item::<f64>().unwrap()
        };
        let slope = (at(1e-5) - at(-1e-5)) / 2e-5;
        let error = (gradient[i] - slope).abs();
        assert!(
            error < 1e-7 * (1.0 + slope.abs()),
            "element {i}: {} and {slope}",
            gradient[i]
        );
    }
}

fn classes(list: &[i32]) -> Result<Array> {
    Array::from_slice(list, [list.len()])
}

#[test]
fn cross_entropy_of_classes() -> Result<()> {
    let (logits, targets) = (logits()?, classes(&[2, 0, 3])?);
    let each = [expected(0, 2), expected(1, 0), expected(2, 3)];
    let sum: f64 = each.iter().sum();
    let loss = |reduction| {
        CrossEntropy::new()
            .reduction(reduction)
            .of(&logits, &targets)
    };
    close(loss(Reduction::None), &each);
    close(loss(Reduction::Sum), &[sum]);
    close(cross_entropy(&logits, &targets), &[sum / 3.0]);
    // The same with classes in the first axis, and with further axes.
    let turned = logits.transpose(..)?;
    close(
        CrossEntropy::new().axis(0).of(&turned, &targets),
        &[sum / 3.0],
    );
    let deep = (logits.reshape([3, 1, 4])?, targets.reshape([3, 1])?);
    close(cross_entropy(&deep.0, &deep.1), &[sum / 3.0]);
    check_gradient(&logits, |x| cross_entropy(x, &targets));
    Ok(())
}

#[test]
fn cross_entropy_of_probabilities() -> Result<()> {
    let logits = logits()?;
    let p = [0.0, 0.0, 1.0, 0.0, 0.5, 0.5, 0.0, 0.0, 0.1, 0.2, 0.3, 0.4];
    let targets = Array::from_slice(&p, [3, 4])?;
    let each: Vec<f64> = (0..3)
        .map(|row| {
            (0..4)
                .map(|class| p[row * 4 + class] * expected(row, class))
                .sum()
        })
        .collect();
    close(
        CrossEntropy::new()
            .reduction(Reduction::None)
            .of(&logits, &targets),
        &each,
    );
    check_gradient(&logits, |x| cross_entropy(x, &targets));
    check_gradient(&targets, |t| {
        CrossEntropy::new().label_smoothing(0.1).of(&logits, t)
    });
    assert!(CrossEntropy::new().ignore(0).of(&logits, &targets).is_err());
    Ok(())
}

#[test]
fn smoothing_mixes_in_all_classes() -> Result<()> {
    let (logits, targets) = (logits()?, classes(&[2, 0, 3])?);
    let each: Vec<f64> = [2usize, 0, 3]
        .iter()
        .enumerate()
        .map(|(row, &target)| {
            let even = (0..4).map(|class| expected(row, class)).sum::<f64>() / 4.0;
            0.8 * expected(row, target) + 0.2 * even
        })
        .collect();
    let loss = CrossEntropy::new().label_smoothing(0.2);
    close(
        loss.clone()
            .reduction(Reduction::None)
            .of(&logits, &targets),
        &each,
    );
    let one_hot = Array::from_slice(
        &[0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0],
        [3, 4],
    )?;
    close(
        loss.clone()
            .reduction(Reduction::None)
            .of(&logits, &one_hot),
        &each,
    );
    check_gradient(&logits, |x| loss.of(x, &targets));
    assert!(
        CrossEntropy::new()
            .label_smoothing(1.0)
            .of(&logits, &targets)
            .is_err()
    );
    Ok(())
}

#[test]
fn ignored_and_weightless_targets_do_not_count() -> Result<()> {
    let logits = logits()?;
    let targets = classes(&[2, -100, 3])?;
    let ignore = CrossEntropy::new().ignore(-100);
    close(
        ignore.of(&logits, &targets),
        &[f64::midpoint(expected(0, 2), expected(2, 3))],
    );
    let none = ignore.clone().reduction(Reduction::None);
    close(
        none.of(&logits, &targets),
        &[expected(0, 2), 0.0, expected(2, 3)],
    );
    check_gradient(&logits, |x| ignore.of(x, &targets));
    let gradient = grad(|x: &Array| ignore.of(x, &targets))(&logits)?.to_vec::<f64>()?;
    assert_eq!(gradient[4..8], [0.0; 4]);

    let weights = Array::from_slice(&[1.0, 0.0, 3.0], [3])?;
    let weighted = CrossEntropy::new().weights(&weights);
    let mean = (expected(0, 2) + 3.0 * expected(2, 3)) / 4.0;
    close(weighted.of(&logits, &classes(&[2, 0, 3])?), &[mean]);
    close(
        weighted.ignore(3).of(&logits, &classes(&[2, 0, 3])?),
        &[expected(0, 2)],
    );
    close(ignore.of(&logits, &classes(&[-100; 3])?), &[f64::NAN]);
    Ok(())
}

#[test]
fn an_empty_batch_has_no_losses() -> Result<()> {
    let logits = Array::from_slice::<f64>(&[], [0, 4])?;
    let targets = Array::from_slice::<i32>(&[], [0])?;
    let loss = |reduction| {
        CrossEntropy::new()
            .reduction(reduction)
            .of(&logits, &targets)
    };
    close(loss(Reduction::None), &[]);
    close(loss(Reduction::Sum), &[0.0]);
    close(loss(Reduction::Mean), &[f64::NAN]);
    Ok(())
}

#[test]
fn shapes_that_do_not_fit_are_errors() -> Result<()> {
    let logits = logits()?;
    assert!(cross_entropy(&logits, &classes(&[1, 2])?).is_err());
    assert!(cross_entropy(&logits, &Array::from_slice(&[0.5, 0.5], [2])?).is_err());
    let weights = Array::from_slice(&[1.0, 1.0], [2])?;
    let weighted = CrossEntropy::new().weights(&weights);
    assert!(weighted.of(&logits, &classes(&[1, 2, 3])?).is_err());
    assert!(
        CrossEntropy::new()
            .axis(2)
            .of(&logits, &classes(&[1, 2, 3])?)
            .is_err()
    );
    let (column, row) = (
        Array::from_slice(&[0.5, 0.5], [2, 1])?,
        Array::from_slice(&[0.5, 0.5], [2])?,
    );
    for loss in [mse, l1, bce, bce_with_logits] {
        assert!(loss(&column, &row).is_err());
    }
    Ok(())
}

#[test]
fn distances_and_their_reductions() -> Result<()> {
    let (x, y) = (
        Array::from_slice(&[1.0, -2.0, 4.0], [3])?,
        Array::from_slice(&[0.0, 1.0, 2.0], [3])?,
    );
    close(mse(&x, &y), &[14.0 / 3.0]);
    close(mse_with(&x, &y, Reduction::None), &[1.0, 9.0, 4.0]);
    close(mse_with(&x, &y, Reduction::Sum), &[14.0]);
    close(l1(&x, &y), &[2.0]);
    close(l1_with(&x, &y, Reduction::None), &[1.0, 3.0, 2.0]);
    check_gradient(&x, |x| mse(x, &y));
    check_gradient(&x, |x| l1(x, &y));
    Ok(())
}

#[test]
fn binary_cross_entropies_agree() -> Result<()> {
    let (x, t) = (
        Array::from_slice(&[0.5, -1.5, 3.0], [3])?,
        Array::from_slice(&[1.0, 0.0, 0.3], [3])?,
    );
    let each: Vec<f64> = [(0.5f64, 1.0f64), (-1.5, 0.0), (3.0, 0.3)]
        .iter()
        .map(|(x, t)| {
            let p = 1.0 / (1.0 + (-x).exp());
            -(t * p.ln() + (1.0 - t) * (1.0 - p).ln())
        })
        .collect();
    close(bce_with_logits_with(&x, &t, Reduction::None), &each);
    close(bce_with(&x.sigmoid()?, &t, Reduction::None), &each);
    check_gradient(&x, |x| bce_with_logits(x, &t));
    check_gradient(&x.sigmoid()?, |p| bce(p, &t));
    // Certainty in a wrong answer is finite.
    let (p, t) = (
        Array::from_slice(&[0.0, 1.0], [2])?,
        Array::from_slice(&[1.0, 0.0], [2])?,
    );
    close(bce(&p, &t), &[100.0]);
    let far = Array::from_slice(&[-1000.0, 1000.0], [2])?;
    close(bce_with_logits(&far, &t), &[1000.0]);
    Ok(())
}
