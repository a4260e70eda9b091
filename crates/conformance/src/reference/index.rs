//! Owns the reference of joining and cutting, and of reading and writing by position.

use std::cmp::Ordering;

use super::{Args, args::integers, scalar::extremum};
use crate::{
    Tensor, Value,
    tensor::{broadcast, indices, offset},
};

/// Operations with one result.
pub(super) fn index(op: &str, args: &Args, inputs: &[Tensor]) -> Option<Tensor> {
    let x = inputs.first()?;
    match op {
        "concatenate" if args.label() == "transposed" => {
            let turned: Vec<Tensor> = inputs.iter().map(|x| x.transposed(&[1, 0])).collect();
            Some(concatenate(&turned, 0))
        }
        "concatenate" => Some(concatenate(inputs, x.axis(args.integer("axis")?))),
        "stack" => {
            let axis = args.integer("axis").unwrap_or(0);
            let axis = if axis < 0 {
                axis + x.rank() as i64 + 1
            } else {
                axis
            } as usize;
            let raised: Vec<Tensor> = inputs
                .iter()
                .map(|x| {
                    let mut shape = x.shape.clone();
                    shape.insert(axis, 1);
                    x.reshaped(shape)
                })
                .collect();
            Some(concatenate(&raised, axis))
        }
        "take" => {
            let axis = x.axis(args.integer("axis")?);
            let positions = &inputs[1];
            let shape = [&x.shape[..axis], &positions.shape, &x.shape[axis + 1..]].concat();
            Some(Tensor::build(x.dtype, shape, |index| {
                let (middle, rest) = index[axis..].split_at(positions.rank());
                let at = wrapped(positions.at(middle), x.shape[axis]);
                x.at(&[&index[..axis], &[at], rest].concat())
            }))
        }
        "gather" => {
            let axes = axes(args)?;
            let positions = &inputs[1..];
            let lead = lead(positions);
            let places = places(x, &axes, positions, &lead);
            let kept: Vec<usize> = (0..x.rank())
                .filter(|axis| !axes.contains(axis))
                .map(|axis| x.shape[axis])
                .collect();
            Some(Tensor::new(
                x.dtype,
                [lead, kept].concat(),
                places.into_iter().map(|at| x.values[at]),
            ))
        }
        "take_along_axis" => {
            let (axis, shape) = along(args, x, &inputs[1])?;
            Some(Tensor::build(x.dtype, shape, |index| {
                let mut place = index.to_vec();
                // Only the walked axes broadcast; the positions run over all of the other.
                place[axis] = wrapped(inputs[1].at_broadcast(index), x.shape[axis]);
                x.at_broadcast(&place)
            }))
        }
        "put_along_axis" | "scatter_add_axis" => {
            let axis = 1;
            let (positions, values) = (&inputs[1], &inputs[2]);
            let op = if op == "put_along_axis" {
                "scatter"
            } else {
                "scatter_add"
            };
            let mut result = x.clone();
            for index in indices(&positions.shape) {
                let mut place = index.clone();
                place[axis] = wrapped(positions.at(&index), x.shape[axis]);
                let at = offset(&x.shape, &place);
                result.values[at] = combine(op, result.values[at], values.at_broadcast(&index));
            }
            Some(result.cast(x.dtype))
        }
        "scatter" | "scatter_add" | "scatter_multiply" | "scatter_maximum" | "scatter_minimum" => {
            let axes = if args.label() == "nothing" {
                vec![0]
            } else {
                axes(args)?
            };
            let (positions, updates) = (&inputs[1..inputs.len() - 1], inputs.last()?);
            let places = places(x, &axes, positions, &lead(positions));
            let mut result = x.clone();
            for (at, update) in places.into_iter().zip(&updates.values) {
                result.values[at] = combine(op, result.values[at], *update);
            }
            Some(result.cast(x.dtype))
        }
        "slice" | "slice_update" if args.label() == "from" => {
            let positions = inputs.last()?;
            let first: Vec<usize> = match positions.values[..] {
                [column, row] => vec![row.int() as usize, column.int() as usize],
                [column] => vec![0, column.int() as usize],
                _ => return None,
            };
            let place = |index: &[usize]| -> Vec<usize> {
                index
                    .iter()
                    .zip(&first)
                    .map(|(i, start)| i + start)
                    .collect()
            };
            if op == "slice" {
                let rows = if positions.rank() == 1 { 2 } else { 3 };
                return Some(Tensor::build(x.dtype, [rows, 2], |index| {
                    x.at(&place(index))
                }));
            }
            let mut result = x.clone();
            let update = &inputs[1];
            let update = update.reshaped([update.values.len() / 2, 2]);
            for index in indices(&update.shape) {
                result.values[offset(&x.shape, &place(&index))] = update.at(&index);
            }
            Some(result)
        }
        _ if op.starts_with("at.") => {
            let values = inputs.last()?;
            let places: Vec<usize> = match args.label() {
                "[a]" => places(x, &[0], &inputs[1..2], &lead(&inputs[1..2])),
                "[mask]" => {
                    let mask = inputs[1].values.iter().enumerate();
                    mask.filter(|(_, on)| on.truth())
                        .map(|(at, _)| at)
                        .collect()
                }
                "[:, mask, ::2]" => {
                    let mut result = x.clone();
                    for index in indices(&x.shape) {
                        let mask = &inputs[1].values;
                        if mask[index[1]].truth() && index[2] % 2 == 0 {
                            let rank = mask[..index[1]].iter().filter(|on| on.truth()).count();
                            let at = offset(&x.shape, &index);
                            let value = values.at(&[index[0], rank, 0]);
                            result.values[at] = combine(op, result.values[at], value);
                        }
                    }
                    return Some(result.cast(x.dtype));
                }
                slice => {
                    let cuts = cuts(slice, &x.shape)?;
                    indices(&values.shape)
                        .iter()
                        .map(|index| {
                            let place = cuts.iter().zip(index).map(|(cut, &i)| cut[i]);
                            offset(&x.shape, &place.collect::<Vec<_>>())
                        })
                        .collect()
                }
            };
            let mut result = x.clone();
            for (i, at) in places.into_iter().enumerate() {
                let value = values.values[if values.rank() == 0 { 0 } else { i }];
                result.values[at] = combine(op, result.values[at], value);
            }
            Some(result.cast(x.dtype))
        }
        "slice_update" => {
            let mut result = x.clone();
            if args.label() == "nothing" {
                return Some(result);
            }
            let (update, cuts) = (&inputs[1], cuts(args.label(), &x.shape)?);
            for index in indices(&update.shape) {
                let place: Vec<usize> = cuts.iter().zip(&index).map(|(cut, &i)| cut[i]).collect();
                let at = offset(&x.shape, &place);
                result.values[at] = update.at(&index);
            }
            Some(result)
        }
        "slice" => {
            let cuts = cuts(args.label(), &x.shape)?;
            let shape: Vec<usize> = cuts.iter().map(Vec::len).collect();
            Some(Tensor::build(x.dtype, shape, |index| {
                let place: Vec<usize> = cuts.iter().zip(index).map(|(cut, &i)| cut[i]).collect();
                x.at(&place)
            }))
        }
        "index" => select(args.label(), inputs),
        "tril" | "triu" => {
            let [k] = args.numbers()?[..] else {
                return None;
            };
            Some(Tensor::build(x.dtype, x.shape.clone(), |index| {
                let diagonal = index[x.rank() - 1] as i64 - index[x.rank() - 2] as i64;
                let kept = if op == "tril" {
                    diagonal <= k
                } else {
                    diagonal >= k
                };
                if kept { x.at(index) } else { Value::Int(0) }
            }))
        }
        _ => None,
    }
}

/// Indexing, each sample spelled out: the shape of the result, and where its elements are read.
fn select(label: &str, inputs: &[Tensor]) -> Option<Tensor> {
    let x = &inputs[0];
    let a = |i: usize| wrapped(inputs[1].at(&[i]), x.shape[0]);
    let last = |i: usize| wrapped(inputs[1].at(&[i]), x.shape[2]);
    let b = |j: usize| wrapped(inputs[2].at(&[j, 0]), x.shape[2]);
    let read = |shape: &[usize], place: &dyn Fn(&[usize]) -> Vec<usize>| {
        Some(Tensor::build(x.dtype, shape, |index| x.at(&place(index))))
    };
    match label {
        "[-1, ..., newaxis]" => read(&[4, 1], &|at| vec![2, at[0]]),
        "[a]" => read(&[2, 4, 5], &|at| vec![a(at[0]), at[1], at[2]]),
        "[a, 1:3]" => read(&[2, 2, 5], &|at| vec![a(at[0]), at[1] + 1, at[2]]),
        "[:, ::-1, a]" => read(&[3, 4, 2], &|at| vec![at[0], 3 - at[1], last(at[2])]),
        // Apart from each other, the arrays' axes come first.
        "[a, :, b]" => read(&[2, 2, 4], &|at| vec![a(at[1]), at[2], b(at[0])]),
        "[a, 1, b]" => read(&[2, 2], &|at| vec![a(at[1]), 1, b(at[0])]),
        _ => None,
    }
}

/// The parts that `split` cuts.
pub(super) fn split(args: &Args, x: &Tensor) -> Option<Vec<Tensor>> {
    let axis = args.integer("axis")? as usize;
    let size = x.shape[axis];
    let sections = args.label().rsplit_once(", axis")?.0;
    let list = integers(sections)?;
    let mut bounds = vec![0];
    if sections.starts_with('[') {
        bounds
            .extend(list.iter().map(|&p| {
                (if p < 0 { p + size as i64 } else { p }).clamp(0, size as i64) as usize
            }));
    } else {
        let count = list[0] as usize;
        bounds.extend((1..count).map(|i| i * size / count));
    }
    bounds.push(size);
    let parts = bounds.windows(2).map(|pair| {
        let mut shape = x.shape.clone();
        shape[axis] = pair[1].saturating_sub(pair[0]);
        Tensor::build(x.dtype, shape, |index| {
            let mut place = index.to_vec();
            place[axis] += pair[0];
            x.at(&place)
        })
    });
    Some(parts.collect())
}

/// Arrays joined along an axis, in their common dtype.
fn concatenate(parts: &[Tensor], axis: usize) -> Tensor {
    let dtype = parts
        .iter()
        .map(|part| part.dtype)
        .reduce(olivine_core::Dtype::promote)
        .expect("there are parts");
    let mut shape = parts[0].shape.clone();
    shape[axis] = parts.iter().map(|part| part.shape[axis]).sum();
    Tensor::build(dtype, shape, |index| {
        let mut place = index.to_vec();
        for part in parts {
            if place[axis] < part.shape[axis] {
                return part.at(&place);
            }
            place[axis] -= part.shape[axis];
        }
        unreachable!("the sizes add up")
    })
}

fn axes(args: &Args) -> Option<Vec<usize>> {
    let text = args.get("axis").or_else(|| args.get("axes"))?;
    Some(
        integers(text)?
            .into_iter()
            .map(|axis| axis as usize)
            .collect(),
    )
}

fn wrapped(position: Value, size: usize) -> usize {
    let position = position.int();
    let wrapped = if position < 0 {
        position + size as i128
    } else {
        position
    };
    assert!(
        (0..size as i128).contains(&wrapped),
        "position {position} of {size}"
    );
    wrapped as usize
}

/// The shape that index arrays broadcast to.
fn lead(positions: &[Tensor]) -> Vec<usize> {
    broadcast(&positions.iter().map(|p| &p.shape[..]).collect::<Vec<_>>())
}

/// The element of `x` that each element of a gather's result, in order, is read from.
fn places(x: &Tensor, axes: &[usize], positions: &[Tensor], lead: &[usize]) -> Vec<usize> {
    let kept: Vec<usize> = (0..x.rank()).filter(|axis| !axes.contains(axis)).collect();
    let kept_sizes: Vec<usize> = kept.iter().map(|&axis| x.shape[axis]).collect();
    let mut places = Vec::new();
    for outer in indices(lead) {
        for inner in indices(&kept_sizes) {
            let mut place = vec![0; x.rank()];
            for (&axis, position) in axes.iter().zip(positions) {
                place[axis] = wrapped(position.at_broadcast(&outer), x.shape[axis]);
            }
            for (&axis, &i) in kept.iter().zip(&inner) {
                place[axis] = i;
            }
            places.push(offset(&x.shape, &place));
        }
    }
    places
}

fn along(args: &Args, x: &Tensor, positions: &Tensor) -> Option<(usize, Vec<usize>)> {
    let axis = x.axis(args.integer("axis")?);
    let mut own = x.shape.clone();
    own[axis] = 1;
    let mut shape = broadcast(&[&own, &positions.shape]);
    shape[axis] = positions.shape[axis];
    Some((axis, shape))
}

/// What becomes of an element that an update meets.
fn combine(op: &str, old: Value, new: Value) -> Value {
    let arithmetic =
        |f: fn(i128, i128) -> i128, g: fn(f64, f64) -> f64, h: fn(_, _) -> _| match (old, new) {
            (Value::Int(a), Value::Int(b)) => Value::Int(f(a, b)),
            (Value::Real(a), Value::Real(b)) => Value::Real(g(a, b)),
            _ => Value::Complex(h(old.complex(), new.complex())),
        };
    match op {
        "scatter" => new,
        "at.divide" => arithmetic(|a, b| a / b, |a, b| a / b, |a, b| a / b),
        "at.subtract" => arithmetic(|a, b| a - b, |a, b| a - b, |a, b| a - b),
        "scatter_add" | "at.add" => arithmetic(|a, b| a + b, |a, b| a + b, |a, b| a + b),
        "scatter_multiply" | "at.multiply" => arithmetic(|a, b| a * b, |a, b| a * b, |a, b| a * b),
        "scatter_maximum" | "at.maximum" => extremum(old, new, Ordering::Greater),
        "scatter_minimum" | "at.minimum" => extremum(old, new, Ordering::Less),
        _ => unreachable!("not a scatter: {op}"),
    }
}

/// For each axis, the positions that a slice such as `[1:3, ::-1]` names, as Python reads it.
pub(super) fn cuts(label: &str, shape: &[usize]) -> Option<Vec<Vec<usize>>> {
    let inner = label.strip_prefix('[')?.strip_suffix(']')?;
    let parts: Vec<&str> = inner.split(',').map(str::trim).collect();
    let cut = |(part, &size): (&&str, &usize)| {
        let size = size as i64;
        let fields: Vec<&str> = part.split(':').collect();
        let number = |i: usize| fields.get(i).and_then(|field| field.parse::<i64>().ok());
        let step = number(2).unwrap_or(1);
        let clamp = |p: i64| {
            let p = if p < 0 { p + size } else { p };
            if step > 0 {
                p.clamp(0, size)
            } else {
                p.clamp(-1, size - 1)
            }
        };
        let start = number(0).map_or(if step > 0 { 0 } else { size - 1 }, clamp);
        let stop = number(1).map_or(if step > 0 { size } else { -1 }, clamp);
        let mut positions = Vec::new();
        let mut at = start;
        while if step > 0 { at < stop } else { at > stop } {
            positions.push(at as usize);
            at += step;
        }
        positions
    };
    (parts.len() == shape.len()).then(|| parts.iter().zip(shape).map(cut).collect())
}
