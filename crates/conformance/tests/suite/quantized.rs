//! Checks numbers in few bits against the reference package, byte for byte where it packs them,
//! and the gradients that finite differences cannot show.

use olivine_conformance::{Report, Tensor, Tolerance, golden};
use olivine_core::{
    Array, Dtype, Error,
    quantized::{Quantization, Quantized},
    vjp,
};
use serde_json::Value as Json;

fn text(error: Error) -> String {
    format!("unexpected error: {error}")
}

fn cases(group: &str) -> Vec<Json> {
    let file = golden::read("quantized.json");
    file[group].as_array().expect("a list of cases").clone()
}

fn scheme(case: &Json) -> Quantization {
    let number = |name: &str| case[name].as_u64().map(|n| n as usize);
    let mode = case["mode"].as_str().expect("a mode is a string");
    let mode = mode.parse().expect("the reference's modes are ours");
    Quantization::new(mode, number("group_size"), number("bits")).expect("a format that there is")
}

fn array(json: &Json) -> Array {
    golden::triple(json)
        .to_array()
        .expect("plain arrays can be made")
}

fn packed(case: &Json) -> Quantized {
    let part = |i: usize| case["parts"].get(i).map(array);
    Quantized {
        codes: part(0).expect("codes"),
        scales: part(1).expect("scales"),
        biases: part(2),
        global_scale: case["global"]
            .as_f64()
            .map(|scale| Array::scalar(scale as f32)),
        scheme: scheme(case),
    }
}

fn equal(got: &Array, expected: &Json, what: &str) -> Result<(), String> {
    let got = Tensor::from_array(got).map_err(text)?;
    let expected = golden::triple(expected);
    Tolerance::EXACT
        .check(&got, &expected)
        .map_err(|error| format!("{what}: {error}"))
}

#[test]
fn packing_gives_the_bytes_of_the_reference() {
    let mut report = Report::default();
    for (i, case) in cases("packed").iter().enumerate() {
        let outcome = || -> Result<(), String> {
            let due = packed(case);
            let got = array(&case["x"]).quantize(due.scheme, due.global_scale.as_ref());
            let got = got.map_err(text)?;
            equal(&got.codes, &case["parts"][0], "codes")?;
            equal(&got.scales, &case["parts"][1], "scales")?;
            if let Some(biases) = &got.biases {
                equal(biases, &case["parts"][2], "biases")?;
            }
            if case["numbers"].is_null() {
                return Ok(());
            }
            let numbers = due.dequantize(Some(Dtype::Float32)).map_err(text)?;
            let numbers = Tensor::from_array(&numbers).map_err(text)?;
            Tolerance::both(1e-6).check(&numbers, &golden::triple(&case["numbers"]))
        };
        report.case(format!("#{i} {} {}", case["mode"], case["bits"]), outcome());
    }
    report.finish(40);
}

#[test]
fn products_with_packed_matrices_are_those_of_the_reference() {
    let mut report = Report::default();
    let mut check = |name: String, got: Result<Array, Error>, case: &Json| {
        let outcome = got.map_err(text).and_then(|got| {
            let got = Tensor::from_array(&got).map_err(text)?;
            Tolerance::both(2e-5).check(&got, &golden::triple(&case["out"]))
        });
        report.case(name, outcome);
    };
    for (i, case) in cases("products").iter().enumerate() {
        let transpose = case["transpose"].as_bool().expect("a truth value");
        let got = array(&case["x"]).quantized_matmul(&packed(case), transpose);
        check(format!("product #{i}"), got, case);
    }
    for (i, case) in cases("chosen").iter().enumerate() {
        let (left, right) = (array(&case["places"][0]), array(&case["places"][1]));
        let got = array(&case["x"]).gather_qmm(&packed(case), Some(&left), Some(&right), true);
        check(format!("chosen #{i}"), got, case);
    }
    for (i, case) in cases("rounded").iter().enumerate() {
        let w = packed(case);
        check(
            format!("rounded #{i}"),
            array(&case["x"]).qqmm(&w, w.scheme, None),
            case,
        );
    }
    report.finish(20);
}

#[test]
fn floats_of_eight_bits_are_those_of_the_reference() {
    let mut report = Report::default();
    for (i, case) in cases("to_fp8").iter().enumerate() {
        let bytes = array(&case["x"]).to_fp8().map_err(text);
        let outcome = bytes.and_then(|bytes| equal(&bytes, &case["bytes"], "bytes"));
        report.case(format!("to_fp8 #{i}"), outcome);
    }
    for (i, case) in cases("from_fp8").iter().enumerate() {
        let numbers = array(&case["x"])
            .from_fp8(golden::dtype(&case["out"][0]))
            .map_err(text);
        let outcome = numbers.and_then(|numbers| equal(&numbers, &case["out"], "numbers"));
        report.case(format!("from_fp8 #{i}"), outcome);
    }
    report.finish(6);
}

#[test]
fn rounded_products_have_the_gradients_of_the_product_of_the_rounded_sides() {
    let mut report = Report::default();
    for scheme in [
        Quantization::MXFP4,
        Quantization::MXFP8,
        Quantization::NVFP4,
    ] {
        let outcome = || -> Result<(), Error> {
            let line = |rows: usize, first: f32| {
                Array::arange(first, first + (rows * 32) as f32, 1.0)?
                    .multiply(0.37f32)?
                    .sin()?
                    .reshape([rows as i64, 32])
            };
            let (x, w) = (line(2, 1.0)?, line(3, 5.0)?);
            let cotangent = Array::arange(1.0f32, 7.0, 1.0)?.reshape([2, 3])?;
            // None of these numbers is a tie, so rounding is packing and reading.
            let rounded = |x: &Array| x.quantize(scheme, None)?.dequantize(Some(Dtype::Float32));
            let product = |x: &[Array]| Ok(vec![x[0].qqmm(&x[1], scheme, None)?]);
            let inputs = [x.clone(), w.clone()];
            let (_, got) = vjp(product, &inputs, std::slice::from_ref(&cotangent))?;
            let due = [
                cotangent.matmul(rounded(&w)?)?,
                cotangent.transpose(..)?.matmul(rounded(&x)?)?,
            ];
            for (got, due) in got.iter().zip(&due) {
                let (got, due) = (got.to_vec::<f32>()?, due.to_vec::<f32>()?);
                assert!(
                    got.iter().zip(&due).all(|(a, b)| (a - b).abs() < 1e-4),
                    "{scheme:?}"
                );
            }
            Ok(())
        };
        report.case(scheme.mode().to_string(), outcome().map_err(text));
    }
    report.finish(3);
}

#[test]
fn packed_codes_have_no_gradient_and_say_so() {
    let x = Array::ones([2, 64], Dtype::Float32).expect("an array");
    let w = Array::ones([3, 64], Dtype::Float32).expect("an array");
    let product = |w: &[Array]| {
        let packed = w[0].quantize(Quantization::default(), None)?;
        Ok(vec![x.quantized_matmul(&packed, true)?])
    };
    let cotangent = Array::ones([2, 3], Dtype::Float32).expect("an array");
    let outcome = vjp(product, &[w], &[cotangent]);
    assert!(
        matches!(outcome, Err(Error::NoGradient { .. })),
        "{outcome:?}"
    );
}
