//! Checks arrays large enough that kernels split them over threads, blocks and vector lanes.

use olivine_conformance::{
    Report, Rng, Tensor, Tolerance, fill::fill, layout::Layout, reference::reference, report,
};
use olivine_core::{
    Array, Dtype, Error,
    ops::{Domain, Family, Input, OpInfo, Sample},
};

/// The inputs' shapes that replace a sample's own, if its parameters allow other shapes.
fn shapes(op: &OpInfo, sample: &Sample) -> Vec<Vec<Vec<usize>>> {
    let rank = sample.inputs.first().map_or(0, |input| input.shape.len());
    let along = matches!(sample.label.as_str(), "axis=None" | "axis=0" | "axis=-1");
    match (op.family, op.name, sample.label.as_str()) {
        (_, "isclose", _) => vec![vec![vec![33, 1031], vec![1031]]],
        (Family::Unary | Family::Binary, _, "") if sample.inputs[0].shape == [3, 5] => {
            vec![vec![vec![33, 1031]; sample.inputs.len()]]
        }
        (Family::Reduction | Family::Sorting, _, _) if along && rank == 1 => {
            vec![vec![vec![40_001]]]
        }
        (Family::Reduction | Family::Sorting, _, _) if along => vec![vec![vec![17, 3001]]],
        (_, "matmul", "[3, 4] @ [4, 5]") => {
            vec![
                vec![vec![70, 130], vec![130, 91]],
                vec![vec![1, 700], vec![700, 300]],
            ]
        }
        (_, "matmul", "[2, 1, 3, 4] @ [3, 4, 2]") => {
            vec![vec![vec![2, 1, 33, 65], vec![3, 65, 40]]]
        }
        (_, "matmul", "a.T @ b") => vec![vec![vec![260, 70], vec![260, 90]]],
        (_, "matmul", "a @ b.T") => {
            vec![
                vec![vec![1, 1500], vec![200, 1500]],
                vec![vec![65, 260], vec![70, 260]],
            ]
        }
        (_, "rms_norm", "weight") => vec![vec![vec![17, 3001], vec![3001]]],
        (_, "layer_norm", "both") => vec![vec![vec![17, 3001], vec![3001], vec![3001]]],
        (_, "take", "axis=0") if rank == 2 => vec![vec![vec![5, 601], vec![401]]],
        (_, "scatter_add", "axis=0") => {
            vec![vec![vec![4, 601], vec![401], vec![401, 601]]]
        }
        (_, "concatenate", "axis=0") => vec![vec![vec![100, 301]; 3]],
        (_, "contiguous" | "select" | "softmax" | "transpose", "" | "axis=-1" | "..")
            if sample.inputs.len() == 1 =>
        {
            vec![vec![vec![33, 1031]]]
        }
        _ => Vec::new(),
    }
}

fn check(
    op: &OpInfo,
    sample: &Sample,
    shapes: &[Vec<usize>],
    dtype: Dtype,
    layout: Layout,
) -> Result<(), String> {
    let mut rng = Rng::named(&[op.name, &sample.label, "large"]);
    let inputs = sample.inputs.iter().zip(shapes);
    let tensors: Vec<Tensor> = inputs
        .map(|(input, shape)| fill(&Input::new(shape.clone(), input.domain), dtype, &mut rng))
        .collect();
    let text = |error: Error| format!("unexpected error: {error}");
    let arrays: Result<Vec<Array>, Error> = tensors.iter().map(|x| layout.lay(x)).collect();
    let results = (sample.call)(&arrays.map_err(text)?).map_err(text)?;
    let expected = reference(op.name, &sample.label, &tensors).ok_or("there is no reference")?;
    for (result, expected) in results.iter().zip(&expected) {
        let got = Tensor::from_array(result).map_err(text)?;
        let mut tolerance = Tolerance::of(op, result.dtype());
        if !matches!(op.family, Family::Unary | Family::Binary) {
            // Rounding errors of long sums grow like the root of their length.
            let longest = tensors[0].shape.iter().max().map_or(1, |&n| n);
            let length = (tensors[0].values.len() / got.values.len().max(1)).max(longest) as f64;
            tolerance.absolute *= length.sqrt();
        }
        tolerance.check(&got, expected)?;
    }
    Ok(())
}

#[test]
fn large_arrays_have_the_value_of_the_reference() {
    let mut report = Report::default();
    for op in report::ops() {
        for sample in (op.samples)() {
            for shapes in shapes(op, &sample) {
                let distinct = sample
                    .inputs
                    .iter()
                    .any(|input| input.domain == Domain::Distinct);
                for dtype in [
                    Dtype::Float32,
                    Dtype::BFloat16,
                    Dtype::Int64,
                    Dtype::Complex64,
                ] {
                    // What bfloat16 holds is not distinct any more, but ties have an order too.
                    if !op.accepts(dtype) || distinct && dtype == Dtype::Complex64 {
                        continue;
                    }
                    let layouts: &[Layout] = match dtype {
                        Dtype::Float32 => &[Layout::Temporary, Layout::Transposed],
                        _ => &[Layout::Held],
                    };
                    for &layout in layouts {
                        let name = format!(
                            "{} ({}) {shapes:?} {dtype} {layout:?}",
                            op.name, sample.label
                        );
                        report.case(name, check(op, &sample, &shapes, dtype, layout));
                    }
                }
            }
        }
    }
    report.finish(400);
}

#[test]
fn an_array_of_more_than_two_thousand_million_elements_is_indexed_to_its_end() -> Result<(), Error>
{
    const COUNT: usize = (1 << 31) + 17;
    let ones = Array::full([COUNT], 1u8)?.contiguous()?;
    // Nobody else holds the ones, so their memory is written to.
    let x = ones.index_update(-1, 7)?;
    drop(ones);
    assert_eq!(x.argmax(..)?.item::<u32>()? as usize, COUNT - 1);
    assert_eq!(x.sum(..)?.item::<u32>()? as usize, COUNT + 6);
    let at = Array::from_slice(&[COUNT as i64 - 1, 0, -1, 1 << 31], [4])?;
    assert_eq!(x.take(&at, 0)?.to_vec::<u8>()?, [7, 1, 7, 1]);
    assert_eq!(x.index(COUNT as i64 - 2..)?.to_vec::<u8>()?, [1, 7]);
    let rows = x.reshape([COUNT / 5, 5])?;
    assert_eq!(rows.index((-1, 3..))?.to_vec::<u8>()?, [1, 7]);
    Ok(())
}
