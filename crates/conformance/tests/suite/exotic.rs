//! Checks inputs that are rare: many axes, axes of size zero, integers that no float holds, NaN in
//! orders, signed zeros, and casts of what does not fit.

use olivine_conformance::{
    Report, Rng, Tensor, Tolerance, fill::fill, reference::reference, report,
};
use olivine_core::{
    Array, Dtype, Error, f16,
    ops::{Family, Input, OpInfo, Sample, searchsorted::Side},
};

type Outcome = Result<(), Error>;
type Function = fn(&Array) -> Result<Array, Error>;

/// True if a sample's parameters fit inputs of any shape.
fn takes_any_shape(op: &OpInfo, sample: &Sample) -> bool {
    let inputs = sample.inputs.len();
    match op.family {
        Family::Unary | Family::Binary | Family::Elementwise => {
            sample.label.is_empty() && (1..=2).contains(&inputs)
        }
        Family::Reduction | Family::Sorting => {
            inputs == 1 && matches!(sample.label.as_str(), "axis=None" | "axis=0" | "axis=-1")
        }
        _ => false,
    }
}

/// Every rank, with sizes of one, two and three, and shapes without elements.
fn shapes() -> Vec<Vec<usize>> {
    let ranks = (0..=8).map(|rank| [2, 1, 3, 1, 2, 2, 1, 2][..rank].to_vec());
    let empty = [
        vec![0],
        vec![2, 0, 3],
        vec![0, 0],
        vec![1, 2, 1, 0, 1, 2, 1, 2],
    ];
    ranks.chain(empty).collect()
}

fn check(op: &OpInfo, sample: &Sample, shape: &[usize], dtype: Dtype) -> Result<(), String> {
    let mut rng = Rng::named(&[op.name, &sample.label, dtype.name()]);
    let tensors: Vec<Tensor> = sample
        .inputs
        .iter()
        .map(|input| fill(&Input::new(shape, input.domain), dtype, &mut rng))
        .collect();
    let text = |error: Error| format!("unexpected error: {error}");
    let arrays: Result<Vec<Array>, Error> = tensors.iter().map(Tensor::to_array).collect();
    let results = match (sample.call)(&arrays.map_err(text)?) {
        // There is no extremum of nothing, no axis of a scalar, and no third element of two.
        Err(Error::Shape { .. }) if shape.contains(&0) => return Ok(()),
        Err(Error::Axis { .. }) if shape.is_empty() => return Ok(()),
        Err(Error::Argument { .. } | Error::Index { .. }) if op.family == Family::Sorting => {
            return Ok(());
        }
        results => results.map_err(text)?,
    };
    let expected = reference(op.name, &sample.label, &tensors).ok_or("there is no reference")?;
    for (result, expected) in results.iter().zip(&expected) {
        let got = Tensor::from_array(result).map_err(text)?;
        Tolerance::of(op, result.dtype()).check(&got, expected)?;
    }
    Ok(())
}

#[test]
fn every_rank_and_axes_of_size_zero() {
    let mut report = Report::default();
    for op in report::ops() {
        let samples = (op.samples)();
        let mut seen = Vec::new();
        for sample in samples.iter().filter(|sample| takes_any_shape(op, sample)) {
            if seen.contains(&&sample.label) {
                continue;
            }
            seen.push(&sample.label);
            for shape in shapes() {
                for dtype in [Dtype::Float32, Dtype::Int64, Dtype::Bool] {
                    if op.accepts(dtype) {
                        let name = format!("{} ({}) {shape:?} {dtype}", op.name, sample.label);
                        report.case(name, check(op, sample, &shape, dtype));
                    }
                }
            }
        }
    }
    report.finish(2000);
}

/// 2⁵³ and its neighbours, which `f64` cannot tell apart, and the ends of the range.
const WIDE: [i64; 6] = [
    (1 << 53) + 1,
    i64::MAX,
    1 << 53,
    i64::MIN,
    (1 << 53) + 2,
    -(1 << 53) - 1,
];

#[test]
fn integers_that_no_float_holds_stay_exact() -> Outcome {
    let x = Array::from_slice(&WIDE, [6])?;
    let mut sorted = WIDE;
    sorted.sort_unstable();
    assert_eq!(x.sort(0)?.to_vec::<i64>()?, sorted);
    assert_eq!(x.argsort(0)?.to_vec::<u32>()?, [3, 5, 2, 0, 4, 1]);
    assert_eq!(x.max(..)?.item::<i64>()?, i64::MAX);
    assert_eq!(x.argmin(..)?.item::<u32>()?, 3);
    assert_eq!(x.cummax(0)?.to_vec::<i64>()?[0], (1 << 53) + 1);
    let sum = WIDE.iter().fold(0i64, |sum, &v| sum.wrapping_add(v));
    assert_eq!(x.sum(..)?.item::<i64>()?, sum);
    assert_eq!(x.cumsum(0)?.to_vec::<i64>()?[5], sum);
    let two = x.index(2)?;
    assert_eq!(
        x.greater(&two)?.to_vec::<bool>()?,
        WIDE.map(|v| v > 1 << 53)
    );
    assert_eq!(x.equal(&two)?.to_vec::<bool>()?, WIDE.map(|v| v == 1 << 53));
    assert_eq!(
        x.multiply(3)?.to_vec::<i64>()?,
        WIDE.map(|v| v.wrapping_mul(3))
    );
    assert_eq!(
        x.floor_divide(7)?.to_vec::<i64>()?,
        WIDE.map(|v| v.div_euclid(7))
    );
    assert_eq!(
        x.remainder(7)?.to_vec::<i64>()?,
        WIDE.map(|v| v.rem_euclid(7))
    );
    assert_eq!(
        x.clip(-5, (1i64 << 53) + 1)?.to_vec::<i64>()?[4],
        (1 << 53) + 1
    );
    let first = (1i64 << 53) + 1;
    let counted = Array::arange(first, first + 6, 2)?;
    assert_eq!(counted.to_vec::<i64>()?, [first, first + 2, first + 4]);
    let at = Array::from_slice(&[0i64, 4, 2], [3])?;
    assert_eq!(
        x.take(&at, 0)?.to_vec::<i64>()?,
        [WIDE[0], WIDE[4], WIDE[2]]
    );
    let found = x.unique(6, None::<i64>)?;
    assert_eq!(found.values.to_vec::<i64>()?, sorted);
    let places = x.sort(0)?.searchsorted(&x, Side::Left)?;
    assert_eq!(places.to_vec::<u32>()?, [3, 5, 2, 0, 4, 1]);
    assert_eq!(x.at(0).divide(1)?.to_vec::<i64>()?, WIDE);
    Ok(())
}

#[test]
fn nan_is_the_last_in_every_order() -> Outcome {
    let nan = f32::NAN;
    let x = Array::from_slice(
        &[2.0, nan, f32::INFINITY, -1.0, nan, f32::NEG_INFINITY],
        [6],
    )?;
    let sorted = x.sort(0)?.to_vec::<f32>()?;
    assert_eq!(sorted[..4], [f32::NEG_INFINITY, -1.0, 2.0, f32::INFINITY]);
    assert!(sorted[4].is_nan() && sorted[5].is_nan());
    assert_eq!(x.argsort(0)?.to_vec::<u32>()?, [5, 3, 0, 2, 1, 4]);
    for extremum in [x.max(..)?, x.min(..)?, x.median(..)?] {
        assert!(extremum.item::<f32>()?.is_nan());
    }
    let (least, greatest) = x.minmax(..)?;
    assert!(least.item::<f32>()?.is_nan() && greatest.item::<f32>()?.is_nan());
    assert_eq!(x.argmax(..)?.item::<u32>()?, 1);
    assert_eq!(x.argmin(..)?.item::<u32>()?, 1);
    // NaN counts as greatest: it is among the top, and belongs behind every number.
    let top = x.topk(3, 0)?.sort(0)?.to_vec::<f32>()?;
    assert!(top[0] == f32::INFINITY && top[1].is_nan() && top[2].is_nan());
    let part = x.partition(3, 0)?.to_vec::<f32>()?;
    assert!(part[3] == f32::INFINITY && part[..3].iter().all(|v| *v < f32::INFINITY));
    let numbers = x.sort(0)?.index(..4)?;
    assert_eq!(numbers.searchsorted(nan, Side::Left)?.item::<u32>()?, 4);
    let found = x.unique(6, None::<f32>)?;
    assert_eq!(found.counts.to_vec::<i32>()?, [1; 6]);
    assert!(
        found.values.to_vec::<f32>()?[4..]
            .iter()
            .all(|v| v.is_nan())
    );
    Ok(())
}

#[test]
fn zeros_keep_their_sign() -> Outcome {
    let zeros = Array::from_slice(&[-0.0f32, 0.0], [2])?;
    let signs = |x: Array| -> Result<Vec<bool>, Error> {
        let values = x.astype(Dtype::Float64)?.to_vec::<f64>()?;
        assert!(values.iter().all(|&v| v == 0.0), "{values:?}");
        Ok(values.iter().map(|v| v.is_sign_negative()).collect())
    };
    let kept: [Function; 12] = [
        Array::sqrt,
        Array::floor,
        Array::ceil,
        Array::trunc,
        Array::round,
        Array::sin,
        Array::tan,
        Array::tanh,
        Array::arcsinh,
        Array::expm1,
        Array::log1p,
        Array::contiguous,
    ];
    for (i, f) in kept.into_iter().enumerate() {
        assert_eq!(signs(f(&zeros)?)?, [true, false], "function {i}");
    }
    assert_eq!(signs(zeros.negative()?)?, [false, true]);
    assert_eq!(signs(zeros.abs()?)?, [false, false]);
    assert_eq!(signs(zeros.add(0.0)?)?, [false, false]);
    assert_eq!(signs(zeros.add(-0.0)?)?, [true, false]);
    assert_eq!(signs(zeros.multiply(-1.0)?)?, [false, true]);
    for dtype in [Dtype::Float16, Dtype::BFloat16, Dtype::Float64] {
        assert_eq!(signs(zeros.astype(dtype)?)?, [true, false], "{dtype}");
    }
    let all_ones = zeros.view(Dtype::Uint32)?.to_vec::<u32>()?;
    assert_eq!(all_ones, [1 << 31, 0]);
    // Zeros of both signs are equal, in every order and search.
    assert_eq!(zeros.argsort(0)?.to_vec::<u32>()?, [0, 1]);
    assert_eq!(zeros.unique(2, Some(9.0))?.counts.to_vec::<i32>()?, [2, 0]);
    assert_eq!(zeros.searchsorted(0.0, Side::Left)?.item::<u32>()?, 0);
    Ok(())
}

#[test]
fn numbers_below_the_normal_ones_are_numbers() -> Outcome {
    let (tiny, least) = (f32::MIN_POSITIVE / 4.0, f32::from_bits(1));
    let x = Array::from_slice(&[tiny, -least, 0.0, least], [4])?;
    assert_eq!(
        x.add(least)?.to_vec::<f32>()?,
        [tiny + least, 0.0, least, 2.0 * least]
    );
    assert_eq!(x.sort(0)?.to_vec::<f32>()?, [-least, 0.0, least, tiny]);
    assert_eq!(x.equal(0.0)?.to_vec::<bool>()?, [false, false, true, false]);
    assert_eq!(x.sign()?.to_vec::<f32>()?, [1.0, -1.0, 0.0, 1.0]);
    assert_eq!(
        x.astype(Dtype::Bool)?.to_vec::<bool>()?,
        [true, true, false, true]
    );
    assert_eq!(x.sum(..)?.item::<f32>()?, tiny);
    assert_eq!(
        x.astype(Dtype::Float64)?.to_vec::<f64>()?[3],
        f64::from(least)
    );
    Ok(())
}

#[test]
fn casts_of_what_does_not_fit_saturate_or_wrap() -> Outcome {
    let x = Array::from_slice(&[f32::NAN, f32::INFINITY, -1e20, 300.7, -1.5], [5])?;
    let to = |dtype| x.astype(dtype)?.astype(Dtype::Int64)?.to_vec::<i64>();
    assert_eq!(to(Dtype::Uint8)?, [0, 255, 0, 255, 0]);
    assert_eq!(to(Dtype::Int8)?, [0, 127, -128, 127, -1]);
    let (low, high) = (i64::from(i32::MIN), i64::from(i32::MAX));
    assert_eq!(to(Dtype::Int32)?, [0, high, low, 300, -1]);
    assert_eq!(to(Dtype::Int64)?, [0, i64::MAX, i64::MIN, 300, -1]);
    assert_eq!(
        x.astype(Dtype::Uint64)?.to_vec::<u64>()?,
        [0, u64::MAX, 0, 300, 0]
    );
    assert_eq!(x.astype(Dtype::Bool)?.to_vec::<bool>()?, [true; 5]);
    let whole = Array::from_slice(&[300i64, -1, i64::MAX, 1 << 40], [4])?;
    assert_eq!(
        whole.astype(Dtype::Uint8)?.to_vec::<u8>()?,
        [44, 255, 255, 0]
    );
    assert_eq!(
        whole.astype(Dtype::Int32)?.to_vec::<i32>()?,
        [300, -1, -1, 0]
    );
    let wide = Array::from_slice(&[1e39f64, -1e39, 65520.0], [3])?;
    let single = wide.astype(Dtype::Float32)?.to_vec::<f32>()?;
    assert_eq!(single, [f32::INFINITY, f32::NEG_INFINITY, 65520.0]);
    let half = wide.astype(Dtype::Float16)?.to_vec::<f16>()?;
    assert_eq!(half, [f16::INFINITY, f16::NEG_INFINITY, f16::INFINITY]);
    Ok(())
}

#[test]
fn eight_axes_are_indexed_gathered_and_contracted() -> Outcome {
    let shape = [2usize, 1, 3, 1, 2, 2, 1, 2];
    let x = Array::arange(0.0f32, 48.0, 1.0)?.reshape(shape)?;
    let turned = x.transpose([7, 6, 5, 4, 3, 2, 1, 0])?;
    assert_eq!(turned.transpose(..)?.to_vec::<f32>()?, x.to_vec::<f32>()?);
    let at = Array::from_slice(&[2, 0], [2])?;
    let taken = x.take(&at, 2)?;
    assert_eq!(taken.to_vec::<f32>()?[..2], [16.0, 17.0]);
    assert_eq!(
        x.take_along_axis(&at.reshape([1, 1, 2, 1, 1, 1, 1, 1])?, 2)?
            .to_vec::<f32>()?,
        taken.to_vec::<f32>()?
    );
    let added = x.scatter_add(&at, 1.0, 2)?.subtract(&x)?.sum(..)?;
    assert_eq!(added.item::<f32>()?, 32.0);
    let total = olivine_core::einsum("abcdefgh,abcdefgh->", &[&x, &x])?;
    assert_eq!(
        total.item::<f32>()?,
        (0..48).map(|i| (i * i) as f32).sum::<f32>()
    );
    Ok(())
}
