//! Owns the reference of numbers in few bits and of products of chosen matrices.
//!
//! Packing is defined by arithmetic in `float32` (`float64` for itself), so the loops compute in it.

use olivine_core::Dtype;

use super::{Args, fast::attention, linear::matmul};
use crate::{Tensor, Value, tensor::broadcast};

/// A format, from a label.
#[derive(Clone)]
struct Format {
    mode: String,
    group: usize,
    bits: usize,
}

impl Format {
    fn parse(args: &Args) -> Option<Self> {
        let mode = args.get("mode")?.to_owned();
        let (group, bits) = match mode.as_str() {
            "affine" => (
                args.integer("group_size")? as usize,
                args.integer("bits")? as usize,
            ),
            "mxfp4" => (32, 4),
            "mxfp8" => (32, 8),
            "nvfp4" => (16, 4),
            _ => return None,
        };
        Some(Format { mode, group, bits })
    }

    fn affine(&self) -> bool {
        self.mode == "affine"
    }

    /// The inputs that samples make a packed array of.
    fn inputs(&self) -> usize {
        if self.affine() { 3 } else { 2 }
    }

    /// The number that a code stands for, without its scale.
    fn value(&self, code: u64) -> f64 {
        match (self.affine(), self.bits) {
            (true, _) => code as f64,
            (false, 4) => fp4(code),
            (false, _) => fp8(code as u8),
        }
    }

    /// The scale that a byte stands for.
    fn scale(&self, byte: u8) -> f64 {
        if self.mode == "nvfp4" {
            fp8(byte)
        } else {
            2f64.powi(i32::from(byte) - 127)
        }
    }
}

const FP4: [f64; 8] = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0];

fn fp4(code: u64) -> f64 {
    let value = FP4[(code & 7) as usize];
    if code & 8 == 0 { value } else { -value }
}

/// The number that a float of four bits of exponent and three of mantissa stands for.
fn fp8(byte: u8) -> f64 {
    let (exponent, mantissa) = (i32::from(byte >> 3 & 15), f64::from(byte & 7));
    let magnitude = match exponent {
        15 if byte & 7 == 7 => f64::NAN,
        0 => mantissa * 2f64.powi(-9),
        _ => (8.0 + mantissa) * 2f64.powi(exponent - 10),
    };
    if byte < 128 { magnitude } else { -magnitude }
}

/// The nearest of all bytes, of two equally near the even one.
fn to_fp8(value: f64) -> u8 {
    let sign = if value.is_sign_negative() { 128 } else { 0 };
    if value.is_nan() {
        return sign | 0x7f;
    }
    if value.is_infinite() {
        return sign | 0x7e;
    }
    let far = |byte: u8| (fp8(byte) - value.abs()).abs();
    let all = 0..=126u8;
    sign | all
        .min_by(|&a, &b| far(a).total_cmp(&far(b)).then((a % 2).cmp(&(b % 2))))
        .unwrap_or(0)
}

/// The nearest code of four bits; of two equally near the smaller, or the even one.
fn to_fp4(value: f64, even: bool) -> u64 {
    if value.is_infinite() {
        return if value > 0.0 { 7 } else { 15 };
    }
    if value.is_nan() {
        return 0;
    }
    let far = |code: u64| (fp4(code) - value.abs()).abs();
    let tie = |code: u64| if even { code % 2 } else { code };
    let code = (0..8u64)
        .min_by(|&a, &b| far(a).total_cmp(&far(b)).then(tie(a).cmp(&tie(b))))
        .unwrap_or(0);
    let signless = code == 0 && !even;
    if value.is_sign_negative() && !signless {
        code | 8
    } else {
        code
    }
}

/// Rounds to the type that a dtype is computed in.
fn rounded(dtype: Dtype, value: f64) -> f64 {
    if dtype == Dtype::Float64 {
        value
    } else {
        f64::from(value as f32)
    }
}

/// The smallest power of two that is not below a scale, as a byte; one for zero.
fn power_above(scale: f32) -> u8 {
    if scale == 0.0 {
        return 127;
    }
    (0..=254u8)
        .find(|&byte| 2f64.powi(i32::from(byte) - 127) >= f64::from(scale))
        .unwrap_or(254)
}

/// A group's scale and its numbers over that scale, for the float formats.
fn scaled(
    format: &Format,
    x: &[f64],
    dtype: Dtype,
    global: Option<f32>,
    stored: bool,
) -> (u8, Vec<f64>) {
    let round = |v: f64| rounded(dtype, v);
    let store = |v: f64| {
        if stored {
            Value::Real(v).stored(dtype).real()
        } else {
            v
        }
    };
    let largest = x
        .iter()
        .fold(0.0f64, |a, b| if b.abs() > a { b.abs() } else { a });
    let encode = global.map_or(1.0, |global| f64::from(2688.0 / global));
    let (byte, scale) = if format.mode == "nvfp4" {
        let scale = round(store(round(largest / 6.0)) * encode);
        let byte = to_fp8(f64::from(scale as f32));
        (byte, fp8(byte))
    } else {
        let most = if format.bits == 8 { 448.0 } else { 6.0 };
        let byte = power_above(round(largest / most) as f32);
        (byte, format.scale(byte))
    };
    let over = |&v: &f64| {
        if scale == 0.0 {
            return 0.0;
        }
        f64::from(round(store(round(v / scale)) * encode) as f32)
    };
    (byte, x.iter().map(over).collect())
}

/// The codes, scale and bias of a group of whole numbers.
fn affine(format: &Format, x: &[f64], dtype: Dtype) -> (Vec<u64>, f64, f64) {
    let round = |v: f64| rounded(dtype, v);
    let low = x
        .iter()
        .fold(f64::INFINITY, |a, &b| if b < a { b } else { a });
    let high = x
        .iter()
        .fold(f64::NEG_INFINITY, |a, &b| if b > a { b } else { a });
    let most = ((1u64 << format.bits) - 1) as f64;
    let least = |step: f64| {
        let least = f64::from(1e-7f32);
        if step < least { least } else { step }
    };
    let (scale, bias) = if format.bits == 1 {
        (least(round(high - low)), low)
    } else {
        let step = least(round(round(high - low) / most));
        let (step, edge) = if low.abs() > high.abs() {
            (step, low)
        } else {
            (-step, high)
        };
        let count = round(edge / step).round_ties_even();
        if count == 0.0 {
            (step, 0.0)
        } else {
            (round(edge / count), edge)
        }
    };
    let code = |&v: &f64| {
        let code = round(round(v - bias) / scale).round_ties_even();
        if code.is_nan() {
            0
        } else {
            code.clamp(0.0, most) as u64
        }
    };
    (x.iter().map(code).collect(), scale, bias)
}

/// Words of 32 bits filled with codes, least significant bits first.
fn pack(codes: &[u64], bits: usize) -> Vec<Value> {
    let mut words = vec![0u32; codes.len() * bits / 32];
    for (i, code) in codes.iter().enumerate() {
        for bit in 0..bits {
            let at = i * bits + bit;
            words[at / 32] |= ((code >> bit & 1) as u32) << (at % 32);
        }
    }
    words
        .into_iter()
        .map(|word| Value::Int(word.into()))
        .collect()
}

fn unpack(words: &[Value], bits: usize) -> Vec<u64> {
    let bit = |at: usize| words[at / 32].int() >> (at % 32) & 1;
    let code = |i: usize| (0..bits).map(|b| (bit(i * bits + b) as u64) << b).sum();
    (0..words.len() * 32 / bits).map(code).collect()
}

/// An operation with several results.
pub(super) fn quantize(args: &Args, x: &Tensor) -> Option<Vec<Tensor>> {
    let format = Format::parse(args)?;
    let global = args.number("global_scale").map(|global| global as f32);
    let (mut codes, mut scales, mut biases) = (Vec::new(), Vec::new(), Vec::new());
    for group in x.values.chunks(format.group) {
        let group: Vec<f64> = group.iter().map(|v| v.real()).collect();
        if format.affine() {
            let (own, scale, bias) = affine(&format, &group, x.dtype);
            codes.extend(own);
            scales.push(Value::Real(scale).stored(x.dtype));
            biases.push(Value::Real(bias).stored(x.dtype));
        } else {
            let (byte, numbers) = scaled(&format, &group, x.dtype, global, true);
            scales.push(Value::Int(byte.into()));
            codes.extend(numbers.into_iter().map(|number| match format.bits {
                8 => u64::from(to_fp8(number)),
                _ => to_fp4(number, false),
            }));
        }
    }
    let shape = |last: usize| [&x.shape[..x.rank() - 1], &[last]].concat();
    let columns = *x.shape.last()?;
    let words = shape(columns * format.bits / 32);
    let groups = shape(columns / format.group);
    let mut results = vec![Tensor::new(Dtype::Uint32, words, pack(&codes, format.bits))];
    if format.affine() {
        results.push(Tensor::new(x.dtype, groups.clone(), scales));
        results.push(Tensor::new(x.dtype, groups, biases));
    } else {
        results.push(Tensor::new(Dtype::Uint8, groups, scales));
    }
    Some(results)
}

/// The numbers of a sample's packed array: words, then scales and biases or bytes of scales.
fn dequantize(format: &Format, inputs: &[Tensor], dtype: Dtype) -> Tensor {
    let (words, scales) = (&inputs[0], &inputs[1]);
    let floats = format.mode == "mxfp8";
    let word = |word: &Value| Value::Int(word.int() & if floats { 0xb7b7_b7b7 } else { !0 });
    let codes = unpack(
        &words.values.iter().map(word).collect::<Vec<_>>(),
        format.bits,
    );
    let value = |(i, &code): (usize, &u64)| {
        let (value, at) = (format.value(code), i / format.group);
        if format.affine() {
            let times = |x: &Tensor, power: usize| {
                let value = x.values[at].real() * 0.5f64.powi(power as i32);
                Value::Real(value).stored(x.dtype).real()
            };
            return value * times(scales, format.bits + 3) + times(&inputs[2], 3);
        }
        let around = if format.mode == "nvfp4" { 0x18 } else { 116 };
        value * format.scale((scales.values[at].int() + around) as u8)
    };
    let mut shape = words.shape.clone();
    if let Some(last) = shape.last_mut() {
        *last = *last * 32 / format.bits;
    }
    Tensor::reals(dtype, shape, codes.iter().enumerate().map(value))
}

/// The numbers nearest to a tensor's that a float format holds.
fn round_to(format: &Format, x: &Tensor, global: Option<f32>) -> Tensor {
    let mut values = Vec::new();
    for group in x.values.chunks(format.group) {
        let group: Vec<f64> = group.iter().map(|v| v.real()).collect();
        let (byte, numbers) = scaled(format, &group, x.dtype, global, false);
        let scale = format.scale(byte);
        let encode = global.map_or(1.0, |global| f64::from(2688.0 / global));
        values.extend(numbers.into_iter().map(|number| {
            let near = match format.bits {
                _ if number.is_nan() => number,
                8 => fp8(to_fp8(number)),
                _ => fp4(to_fp4(number, true)),
            };
            rounded(x.dtype, rounded(x.dtype, near * scale) / encode)
        }));
    }
    Tensor::reals(x.dtype, x.shape.clone(), values)
}

fn turned(x: &Tensor) -> Tensor {
    let mut order: Vec<usize> = (0..x.rank()).collect();
    let last = order.len() - 1;
    order.swap(last, last - 1);
    x.transposed(&order)
}

/// The matrix with a number, of all before the last two axes.
fn matrix(x: &Tensor, at: usize) -> Tensor {
    let tail = x.shape[x.rank() - 2..].to_vec();
    let size: usize = tail.iter().product();
    Tensor::new(x.dtype, tail, x.values[at * size..(at + 1) * size].to_vec())
}

/// Products of matrices chosen by the indices that a label says are given.
fn gather(args: &Args, a: &Tensor, b: &Tensor, rest: &[Tensor]) -> Option<Tensor> {
    let (row, column) = (a.rank() == 1, b.rank() == 1);
    let a = if row {
        a.reshaped([1, a.shape[0]])
    } else {
        a.clone()
    };
    let b = if column {
        b.reshaped([b.shape[0], 1])
    } else {
        b.clone()
    };
    let mut rest = rest.iter();
    let mut places = |name: &str, of: &Tensor| -> Option<Tensor> {
        if args.get(name)? == "given" {
            return rest.next().cloned();
        }
        let shape = of.shape[..of.rank() - 2].to_vec();
        let count = shape.iter().product::<usize>() as i128;
        Some(Tensor::new(
            Dtype::Int32,
            shape,
            (0..count).map(Value::Int).collect::<Vec<_>>(),
        ))
    };
    let (left, right) = (places("lhs", &a)?, places("rhs", &b)?);
    let shape = broadcast(&[&left.shape, &right.shape]);
    let product = |index: &[usize]| {
        let at = |places: &Tensor| places.at_broadcast(index).int() as usize;
        matmul(&matrix(&a, at(&left)), &matrix(&b, at(&right)))
    };
    let values: Vec<Value> = crate::tensor::indices(&shape)
        .iter()
        .flat_map(|index| product(index).values)
        .collect();
    let tail = [
        (a.shape[a.rank() - 2], row),
        (b.shape[b.rank() - 1], column),
    ];
    let tail = tail
        .into_iter()
        .filter(|(_, gone)| !gone)
        .map(|(size, _)| size);
    let shape: Vec<usize> = shape.into_iter().chain(tail).collect();
    Some(Tensor::new(a.dtype.promote(b.dtype), shape, values))
}

/// Whether a label says that packed matrices are transposed.
fn transposes(args: &Args) -> Option<bool> {
    Some(args.get("transpose")? == "true")
}

/// An operation with one result.
pub(super) fn quantized(op: &str, args: &Args, inputs: &[Tensor]) -> Option<Tensor> {
    let global = |i: usize| {
        let scales = args.get("scales")?.trim_matches(['(', ')']);
        scales.split(',').nth(i)?.trim().parse().ok()
    };
    match op {
        "to_fp8" => {
            let byte = |v: &Value| Value::Int(to_fp8(v.real()).into());
            let bytes: Vec<Value> = inputs[0].values.iter().map(byte).collect();
            Some(Tensor::new(Dtype::Uint8, inputs[0].shape.clone(), bytes))
        }
        "from_fp8" => {
            let dtype = Dtype::ALL
                .into_iter()
                .find(|dtype| Some(dtype.name()) == args.get("dtype"))?;
            let numbers = inputs[0].values.iter().map(|v| fp8(v.int() as u8));
            Some(Tensor::reals(dtype, inputs[0].shape.clone(), numbers))
        }
        "dequantize" => {
            let format = Format::parse(args)?;
            if format.affine() {
                return Some(dequantize(&format, inputs, inputs[1].dtype));
            }
            let factor = inputs[2].values[0].real();
            let numbers = dequantize(&format, inputs, inputs[2].dtype);
            let times = numbers.values.iter().map(|v| v.real() * factor);
            Some(Tensor::reals(inputs[2].dtype, numbers.shape.clone(), times))
        }
        "quantized_matmul" | "gather_qmm" => {
            let format = Format::parse(args)?;
            let x = &inputs[0];
            let (packed, places) = inputs[1..].split_at(format.inputs());
            let mut w = exact(&dequantize(&format, packed, Dtype::Float64));
            if transposes(args)? {
                w = turned(&w);
            }
            let mut product = if op == "gather_qmm" {
                gather(args, &exact(x), &w, places)?
            } else {
                matmul(&exact(x), &w)
            };
            product.dtype = x.dtype;
            Some(stored(product))
        }
        "qqmm" | "gather_qqmm" => {
            let format = Format::parse(args)?;
            let x = round_to(&format, &inputs[0], global(0));
            let (w, places) = if args.has("packed") {
                let (packed, places) = inputs[1..].split_at(format.inputs());
                (dequantize(&format, packed, Dtype::Float64), places)
            } else {
                (round_to(&format, &inputs[1], global(1)), &inputs[2..])
            };
            let mut product = if op == "gather_qqmm" {
                let args = Args::parse("lhs=all, rhs=given");
                gather(&args, &exact(&x), &exact(&turned(&w)), places)?
            } else {
                matmul(&exact(&x), &exact(&turned(&w)))
            };
            product.dtype = x.dtype;
            Some(stored(product))
        }
        "quantized_scaled_dot_product_attention" => {
            // Each side's format is a label of its own.
            let format = |side| Format::parse(&Args::parse(&args.get(side)?.replace(';', ",")));
            let (keys, values) = (format("keys")?, format("values")?);
            let (k, v) = inputs[1..].split_at(keys.inputs());
            let plain = [
                inputs[0].clone(),
                dequantize(&keys, k, Dtype::Float64),
                dequantize(&values, v, Dtype::Float64),
            ];
            let label = if k[0].shape[2] == 0 { "no keys" } else { "" };
            attention(&Args::parse(label), &plain)
        }
        "gather_mm" => gather(args, &inputs[0], &inputs[1], &inputs[2..]),
        _ => None,
    }
}

/// The same numbers, not rounded to their dtype when computed with.
fn exact(x: &Tensor) -> Tensor {
    Tensor {
        dtype: Dtype::Float64,
        ..x.clone()
    }
}

/// The tensor with its values rounded to its dtype.
fn stored(x: Tensor) -> Tensor {
    Tensor::new(x.dtype, x.shape, x.values)
}
