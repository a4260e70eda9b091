//! Owns the reference of reshaping and reordering.

use super::Args;
use crate::Tensor;

/// An operation that moves elements without changing them.
pub(super) fn shape(op: &str, args: &Args, inputs: &[Tensor]) -> Option<Tensor> {
    let x = inputs.first()?;
    let order: Vec<usize> = (0..x.rank()).collect();
    match op {
        "reshape" => match args.label() {
            "transposed" => Some(x.transposed(&[1, 0]).reshaped([12])),
            "empty" => Some(x.reshaped([3, 0])),
            _ => {
                let sizes = args.numbers()?;
                let known: i64 = sizes.iter().filter(|&&n| n != -1).product();
                let sizes: Vec<usize> = sizes
                    .iter()
                    .map(|&n| {
                        if n == -1 {
                            x.values.len() / known as usize
                        } else {
                            n as usize
                        }
                    })
                    .collect();
                Some(x.reshaped(sizes))
            }
        },
        "flatten" => {
            if x.rank() == 0 {
                return Some(x.reshaped([1]));
            }
            let [first, last] = args.numbers()?[..] else {
                return None;
            };
            let (first, last) = (x.axis(first), x.axis(last));
            let mut sizes = x.shape[..first].to_vec();
            sizes.push(x.shape[first..=last].iter().product());
            sizes.extend(&x.shape[last + 1..]);
            Some(x.reshaped(sizes))
        }
        "squeeze" => {
            let sizes = if args.label() == ".." {
                x.shape.iter().copied().filter(|&n| n != 1).collect()
            } else {
                let axes: Vec<usize> = args
                    .numbers()?
                    .into_iter()
                    .map(|axis| x.axis(axis))
                    .collect();
                order
                    .iter()
                    .filter(|i| !axes.contains(i))
                    .map(|&i| x.shape[i])
                    .collect::<Vec<_>>()
            };
            Some(x.reshaped(sizes))
        }
        "expand_dims" => {
            let [axis] = args.numbers()?[..] else {
                return None;
            };
            let axis = if axis < 0 {
                axis + x.rank() as i64 + 1
            } else {
                axis
            };
            let mut sizes = x.shape.clone();
            sizes.insert(axis as usize, 1);
            Some(x.reshaped(sizes))
        }
        "transpose" => {
            if args.label() == ".." {
                return Some(x.transposed(&order.into_iter().rev().collect::<Vec<_>>()));
            }
            let axes: Vec<usize> = args
                .numbers()?
                .into_iter()
                .map(|axis| x.axis(axis))
                .collect();
            Some(x.transposed(&axes))
        }
        "swapaxes" | "moveaxis" => {
            let [from, to] = args.numbers()?[..] else {
                return None;
            };
            let (from, to) = (x.axis(from), x.axis(to));
            let mut order = order;
            if op == "swapaxes" {
                order.swap(from, to);
            } else {
                let axis = order.remove(from);
                order.insert(to, axis);
            }
            Some(x.transposed(&order))
        }
        "broadcast_to" => {
            let sizes: Vec<usize> = args.numbers()?.into_iter().map(|n| n as usize).collect();
            Some(Tensor::build(x.dtype, sizes, |index| x.at_broadcast(index)))
        }
        _ => None,
    }
}
