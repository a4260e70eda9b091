//! Checks results against those of the reference package, which the golden files hold.

use olivine_conformance::{Report, Tensor, Tolerance, Value, golden, tolerance::epsilon};
use olivine_core::{Array, Dtype, Error, bf16, f16, ops::ops};
use serde_json::Value as Json;

/// Where Olivine differs from the reference package on purpose: the operation, the dtype, the
/// element (every one if `None`), and why.
const DIFFERENCES: &[(&str, &str, Option<usize>, &str)] = &[
    (
        "rsqrt",
        "complex64",
        Some(0),
        "one over complex zero is NaN in both parts, not only in one",
    ),
    ("reciprocal", "complex64", Some(0), "as for rsqrt"),
    (
        "floor_divide",
        "complex64",
        None,
        "complex numbers have no floor; refused",
    ),
    (
        "logaddexp",
        "complex64",
        None,
        "complex numbers have no order to scale by; refused",
    ),
    (
        "isposinf",
        "complex64",
        None,
        "complex infinities have no sign; refused",
    ),
    ("isneginf", "complex64", None, "as for isposinf"),
];

fn differs(op: &str, dtype: Dtype, element: Option<usize>) -> bool {
    let same =
        |d: &&(&str, &str, Option<usize>, &str)| (d.0, d.1, d.2) == (op, dtype.name(), element);
    DIFFERENCES.iter().any(|difference| same(&difference))
}

/// Calls a scalar operation by the reference package's name for it.
fn call(name: &str, inputs: &[Array]) -> Option<Result<Array, Error>> {
    let name = if name == "conj" { "conjugate" } else { name };
    let op = ops().iter().find(|op| op.name == name)?;
    let samples = (op.samples)();
    Some((samples[0].call)(inputs).map(|mut results| results.swap_remove(0)))
}

fn operands(list: &Json, dtype: Dtype) -> Vec<Tensor> {
    let one = |list: &Json| {
        let words = list.as_array().expect("a list").len();
        let count = if dtype == Dtype::Complex64 {
            words / 2
        } else {
            words
        };
        golden::tensor(dtype, vec![count], list)
    };
    if list[0].is_array() {
        vec![one(&list[0]), one(&list[1])]
    } else {
        vec![one(list)]
    }
}

/// How many representable numbers lie between two.
fn steps_apart(a: f64, b: f64, dtype: Dtype) -> u64 {
    let ordered = |bits: i64, sign: i64| if bits & sign == 0 { bits } else { sign - bits };
    let place = |v: f64| match dtype {
        Dtype::Float16 => ordered(i64::from(f16::from_f64(v).to_bits()), 0x8000),
        Dtype::BFloat16 => ordered(i64::from(bf16::from_f64(v).to_bits()), 0x8000),
        Dtype::Float32 => ordered(i64::from((v as f32).to_bits()), 0x8000_0000),
        _ => {
            let bits = v.to_bits() as i64;
            if bits < 0 {
                i64::MIN.wrapping_sub(bits)
            } else {
                bits
            }
        }
    };
    place(a).abs_diff(place(b))
}

fn compare(case: &Json, got: &Array, expected: &Tensor) -> Result<(), String> {
    let got = Tensor::from_array(got).map_err(|error| error.to_string())?;
    let (op, dtype) = (
        case["op"].as_str().expect("a name"),
        golden::dtype(&case["dtype"]),
    );
    if let Some(relative) = case["rel"].as_f64() {
        let mut expected = expected.clone();
        for (i, value) in expected.values.iter_mut().enumerate() {
            if differs(op, dtype, Some(i)) {
                *value = got.values[i];
            }
        }
        return Tolerance {
            relative,
            absolute: 0.0,
        }
        .check(&got, &expected);
    }
    let ulps = case["ulps"].as_u64().expect("a case has ulps or rel");
    if (&got.shape, got.dtype) != (&expected.shape, expected.dtype) {
        return Err(format!(
            "{} {:?} where {} was expected",
            got.dtype, got.shape, expected.dtype
        ));
    }
    for (i, (g, e)) in got.values.iter().zip(&expected.values).enumerate() {
        let equal = g == e || g.is_nan() && e.is_nan();
        let near = || match (g, e) {
            (Value::Real(g), Value::Real(e)) => {
                g.is_finite() == e.is_finite() && steps_apart(*g, *e, got.dtype) <= ulps
            }
            _ => false,
        };
        if !equal && !near() {
            return Err(format!(
                "element {i} is {g:?} where the reference has {e:?}"
            ));
        }
    }
    Ok(())
}

#[test]
fn promotion_is_that_of_the_reference_package() {
    let file = golden::read("promotion.json");
    let dtypes: Vec<Dtype> = file["dtypes"]
        .as_array()
        .expect("a list")
        .iter()
        .map(golden::dtype)
        .collect();
    let mut report = Report::default();
    for (i, a) in dtypes.iter().enumerate() {
        for (j, b) in dtypes.iter().enumerate() {
            let expected = golden::dtype(&file["result"][i][j]);
            let got = a.promote(*b);
            let outcome = if got == expected {
                Ok(())
            } else {
                Err(format!("{got}, not {expected}"))
            };
            report.case(format!("{a} + {b}"), outcome);
        }
    }
    report.finish(14 * 14);
}

#[test]
fn scalar_operations_agree_with_the_reference_package() {
    let file = golden::read("ops.json");
    let mut report = Report::default();
    for (group, inputs) in [
        ("unary", "unary_inputs"),
        ("binary", "binary_inputs"),
        ("shift", "shift_inputs"),
    ] {
        for case in file[group].as_array().expect("a list of cases") {
            let (op, dtype) = (
                case["op"].as_str().expect("a name"),
                golden::dtype(&case["dtype"]),
            );
            if differs(op, dtype, None) {
                continue;
            }
            let tensors = operands(&file[inputs][dtype.name()], dtype);
            let arrays: Vec<Array> = tensors
                .iter()
                .map(|x| x.to_array().expect("plain arrays can be made"))
                .collect();
            let out_dtype = golden::dtype(&case["out_dtype"]);
            let expected = golden::tensor(out_dtype, tensors[0].shape.clone(), &case["out"]);
            let outcome = match call(op, &arrays) {
                None => Err("there is no such operation".to_owned()),
                Some(Err(error)) => Err(error.to_string()),
                Some(Ok(got)) => compare(case, &got, &expected),
            };
            report.case(format!("{op} {dtype}"), outcome);
        }
    }
    report.finish(700);
}

#[test]
fn what_the_reference_package_refuses_is_a_typed_error() {
    let file = golden::read("ops.json");
    let mut report = Report::default();
    for pair in file["unsupported"].as_array().expect("a list of pairs") {
        let (op, dtype) = (pair[0].as_str().expect("a name"), golden::dtype(&pair[1]));
        if differs(op, dtype, None) {
            continue;
        }
        let group = if file["binary"]
            .as_array()
            .is_some_and(|cases| cases.iter().any(|case| case["op"] == op))
        {
            "binary_inputs"
        } else {
            "unary_inputs"
        };
        let tensors = operands(&file[group][dtype.name()], dtype);
        let arrays: Vec<Array> = tensors
            .iter()
            .map(|x| x.to_array().expect("plain arrays can be made"))
            .collect();
        let outcome = match call(op, &arrays) {
            Some(Err(Error::Dtype { .. })) => Ok(()),
            None => Err("there is no such operation".to_owned()),
            Some(Err(error)) => Err(format!("another error: {error}")),
            Some(Ok(_)) => Err("it was accepted".to_owned()),
        };
        report.case(format!("{op} {dtype}"), outcome);
    }
    report.finish(20);
}

#[test]
fn conversions_agree_with_the_reference_package() {
    let file = golden::read("ops.json");
    let mut report = Report::default();
    for case in file["cast"].as_array().expect("a list of cases") {
        let (from, to) = (
            golden::dtype(&case["dtype"]),
            golden::dtype(&case["out_dtype"]),
        );
        let input = operands(&case["in"], from).swap_remove(0);
        let expected = golden::tensor(to, input.shape.clone(), &case["out"]);
        let got = input
            .to_array()
            .and_then(|x| x.astype(to))
            .and_then(|x| Tensor::from_array(&x));
        let outcome = match got {
            Ok(got) => Tolerance::EXACT.check(&got, &expected),
            Err(error) => Err(error.to_string()),
        };
        report.case(format!("{from} to {to}"), outcome);
    }
    report.finish(14 * 14);
}

#[test]
fn steps_apart_counts_representable_numbers() {
    assert_eq!(
        steps_apart(1.0, 1.0 + 2.0 * epsilon(Dtype::Float32), Dtype::Float32),
        2
    );
    assert_eq!(steps_apart(0.0, -0.0, Dtype::Float64), 0);
    assert_eq!(
        steps_apart(-1.0, -1.0 - epsilon(Dtype::Float16), Dtype::Float16),
        1
    );
}
