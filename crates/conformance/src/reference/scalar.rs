//! Owns the reference of scalar functions, selection and conversion.

use std::cmp::Ordering;

use num_complex::Complex;
use olivine_core::{Dtype, Kind};

use super::{Args, erf, erfinv};
use crate::{
    Tensor, Value,
    tensor::{bounds, broadcast},
};

type C = Complex<f64>;

fn is_inexact(dtype: Dtype) -> bool {
    matches!(dtype.kind(), Kind::Float | Kind::Complex)
}

/// The dtype in which functions of real or complex numbers work.
fn inexact(dtype: Dtype) -> Dtype {
    if is_inexact(dtype) {
        dtype
    } else {
        Dtype::Float32
    }
}

/// A function of one array.
pub(super) fn unary(op: &str, inputs: &[Tensor]) -> Option<Tensor> {
    let [x] = inputs else { return None };
    let map = |dtype: Dtype, f: &dyn Fn(Value) -> Value| {
        Some(Tensor::new(
            dtype,
            x.shape.clone(),
            x.values.iter().map(|&v| f(v)),
        ))
    };
    let truth = |f: &dyn Fn(Value) -> bool| map(Dtype::Bool, &|v| Value::Int(i128::from(f(v))));
    let each = |f: &dyn Fn(f64) -> bool, v: Value| {
        let z = v.complex();
        (f(z.re), f(z.im))
    };
    match op {
        "isnan" => return truth(&|v| v.is_nan()),
        "isinf" => return truth(&|v| each(&f64::is_infinite, v) != (false, false)),
        "isfinite" => return truth(&|v| each(&f64::is_finite, v) == (true, true)),
        "logical_not" => return truth(&|v| !v.truth()),
        _ => {}
    }
    if op == "isposinf" || op == "isneginf" {
        let sign = if op == "isposinf" {
            f64::INFINITY
        } else {
            f64::NEG_INFINITY
        };
        return truth(&|v| v.complex().re == sign && v.complex().im == 0.0);
    }
    let real_dtype = if x.dtype == Dtype::Complex64 {
        Dtype::Float32
    } else {
        x.dtype
    };
    match op {
        "abs" => {
            return map(real_dtype, &|v| match v {
                Value::Int(v) => Value::Int(v.abs()),
                Value::Real(v) => Value::Real(v.abs()),
                Value::Complex(z) => Value::Real(z.re.hypot(z.im)),
            });
        }
        "real" => {
            return map(real_dtype, &|v| {
                if let Value::Complex(z) = v {
                    Value::Real(z.re)
                } else {
                    v
                }
            });
        }
        "imag" => {
            return map(real_dtype, &|v| {
                if let Value::Complex(z) = v {
                    Value::Real(z.im)
                } else {
                    Value::Int(0)
                }
            });
        }
        _ => {}
    }
    if let Some(f) = same(op, x.dtype) {
        return map(x.dtype, &f);
    }
    let dtype = inexact(x.dtype);
    // Integers are first converted to the dtype in which the function works.
    let argument = |v: Value| v.stored(dtype);
    if dtype == Dtype::Complex64 {
        let f = complex_function(op)?;
        return map(dtype, &|v| Value::Complex(f(argument(v).complex())));
    }
    let f = real_function(op)?;
    map(dtype, &|v| Value::Real(f(argument(v).real())))
}

/// The functions whose result has the argument's dtype.
fn same(op: &str, dtype: Dtype) -> Option<impl Fn(Value) -> Value> {
    type F = (fn(i128) -> i128, fn(f64) -> f64, fn(C) -> C);
    let (int, real, complex): F = match op {
        "negative" => (|v| -v, |v| -v, |z| -z),
        "positive" | "stop_gradient" | "contiguous" => (|v| v, |v| v, |z| z),
        "conjugate" => (|v| v, |v| v, |z| z.conj()),
        "square" => (|v| v * v, |v| v * v, |z| z * z),
        "sign" => (
            i128::signum,
            |v| f64::from(i8::from(v > 0.0) - i8::from(v < 0.0)),
            |z| {
                if z.norm() == 0.0 { z } else { z / z.norm() }
            },
        ),
        "floor" => (
            |v| v,
            f64::floor,
            |_| unreachable!("not for complex numbers"),
        ),
        "ceil" => (
            |v| v,
            f64::ceil,
            |_| unreachable!("not for complex numbers"),
        ),
        "trunc" => (
            |v| v,
            f64::trunc,
            |_| unreachable!("not for complex numbers"),
        ),
        "round" => (
            |v| v,
            f64::round_ties_even,
            |z| C::new(z.re.round_ties_even(), z.im.round_ties_even()),
        ),
        "bitwise_invert" => (
            |v| !v,
            |_| unreachable!("only for integers"),
            |_| unreachable!("only for integers"),
        ),
        _ => return None,
    };
    let not = op == "bitwise_invert" && dtype == Dtype::Bool;
    Some(move |v| match v {
        Value::Int(v) if not => Value::Int(1 - v),
        Value::Int(v) => Value::Int(int(v)),
        Value::Real(v) => Value::Real(real(v)),
        Value::Complex(z) => Value::Complex(complex(z)),
    })
}

fn real_function(op: &str) -> Option<fn(f64) -> f64> {
    Some(match op {
        "sqrt" => f64::sqrt,
        "rsqrt" => |x| 1.0 / x.sqrt(),
        "reciprocal" => |x| 1.0 / x,
        "exp" => f64::exp,
        "expm1" => f64::exp_m1,
        "log" => f64::ln,
        "log2" => f64::log2,
        "log10" => f64::log10,
        "log1p" => f64::ln_1p,
        "sin" => f64::sin,
        "cos" => f64::cos,
        "tan" => f64::tan,
        "arcsin" => f64::asin,
        "arccos" => f64::acos,
        "arctan" => f64::atan,
        "sinh" => f64::sinh,
        "cosh" => f64::cosh,
        "tanh" => f64::tanh,
        "arcsinh" => f64::asinh,
        "arccosh" => f64::acosh,
        "arctanh" => f64::atanh,
        "erf" => erf,
        "erfinv" => erfinv,
        "sigmoid" => |x| 1.0 / (1.0 + (-x).exp()),
        "degrees" => f64::to_degrees,
        "radians" => f64::to_radians,
        _ => return None,
    })
}

fn complex_function(op: &str) -> Option<fn(C) -> C> {
    Some(match op {
        "sqrt" => C::sqrt,
        "rsqrt" => |z| z.sqrt().inv(),
        "reciprocal" => |z| z.inv(),
        "exp" => C::exp,
        "log" => C::ln,
        "log2" => |z| z.ln() / std::f64::consts::LN_2,
        "log10" => |z| z.ln() / std::f64::consts::LN_10,
        "log1p" => |z| (z + 1.0).ln(),
        "sin" => C::sin,
        "cos" => C::cos,
        "tan" => C::tan,
        "arcsin" => C::asin,
        "arccos" => C::acos,
        "arctan" => C::atan,
        "sinh" => C::sinh,
        "cosh" => C::cosh,
        "tanh" => C::tanh,
        "arcsinh" => C::asinh,
        "arccosh" => C::acosh,
        "arctanh" => C::atanh,
        "degrees" => |z| z * (180.0 / std::f64::consts::PI),
        "radians" => |z| z * (std::f64::consts::PI / 180.0),
        _ => return None,
    })
}

/// A function of two arrays.
pub(super) fn binary(op: &str, inputs: &[Tensor]) -> Option<Tensor> {
    let [a, b] = inputs else { return None };
    let common = a.dtype.promote(b.dtype);
    let shape = broadcast(&[&a.shape, &b.shape]);
    let map = |working: Dtype, result: Dtype, f: &dyn Fn(Value, Value) -> Value| {
        Tensor::build(result, shape.clone(), |index| {
            f(
                a.at_broadcast(index).stored(working),
                b.at_broadcast(index).stored(working),
            )
        })
    };
    let compare = |f: &dyn Fn(Option<Ordering>) -> bool| {
        Some(map(common, Dtype::Bool, &|a, b| {
            Value::Int(i128::from(f(a.order(b))))
        }))
    };
    let logic = |f: &dyn Fn(bool, bool) -> bool| {
        Some(map(common, Dtype::Bool, &|a, b| {
            Value::Int(i128::from(f(a.truth(), b.truth())))
        }))
    };
    match op {
        "equal" => return compare(&|order| order == Some(Ordering::Equal)),
        "not_equal" => return compare(&|order| order != Some(Ordering::Equal)),
        "less" => return compare(&|order| order == Some(Ordering::Less)),
        "less_equal" => {
            return compare(&|order| matches!(order, Some(Ordering::Less | Ordering::Equal)));
        }
        "greater" => return compare(&|order| order == Some(Ordering::Greater)),
        "greater_equal" => {
            return compare(&|order| matches!(order, Some(Ordering::Greater | Ordering::Equal)));
        }
        "logical_and" => return logic(&|a, b| a && b),
        "logical_or" => return logic(&|a, b| a || b),
        "logical_xor" => return logic(&|a, b| a != b),
        "maximum" => {
            return Some(map(common, common, &|a, b| {
                extremum(a, b, Ordering::Greater)
            }));
        }
        "minimum" => return Some(map(common, common, &|a, b| extremum(a, b, Ordering::Less))),
        _ => {}
    }
    if let "divide" | "arctan2" | "logaddexp" = op {
        let dtype = inexact(common);
        return Some(map(dtype, dtype, &|a, b| match op {
            "divide" if dtype == Dtype::Complex64 => Value::Complex(a.complex() / b.complex()),
            "divide" => Value::Real(a.real() / b.real()),
            "arctan2" => Value::Real(a.real().atan2(b.real())),
            "logaddexp" if dtype == Dtype::Complex64 => {
                let (a, b) = (a.complex(), b.complex());
                // As in MLX, the imaginary part is that of the later one and what the other adds to it.
                let (high, low) = if (a.re, a.im) > (b.re, b.im) {
                    (a, b)
                } else {
                    (b, a)
                };
                Value::Complex(high + (1.0 + (low - high).exp()).ln())
            }
            _ => Value::Real(log_add_exp(a.real(), b.real())),
        }));
    }
    let shift = matches!(op, "left_shift" | "right_shift");
    let dtype = if shift && common == Dtype::Bool {
        Dtype::Uint8
    } else {
        common
    };
    match dtype.kind() {
        Kind::Bool | Kind::Unsigned | Kind::Signed => {
            let f = whole_function(op)?;
            Some(map(dtype, dtype, &|a, b| {
                Value::Int(f(a.int(), b.int(), dtype))
            }))
        }
        Kind::Float => {
            let f = real_pair(op)?;
            Some(map(dtype, dtype, &|a, b| {
                Value::Real(f(a.real(), b.real(), dtype))
            }))
        }
        Kind::Complex => {
            let f = complex_pair(op)?;
            Some(map(dtype, dtype, &|a, b| {
                Value::Complex(f(a.complex(), b.complex()))
            }))
        }
    }
}

/// The one of two that comes later in an order; NaN if either is.
pub(super) fn extremum(a: Value, b: Value, wanted: Ordering) -> Value {
    if a.is_nan() {
        return a;
    }
    if b.is_nan() || a.order(b) != Some(wanted) {
        b
    } else {
        a
    }
}

fn log_add_exp(a: f64, b: f64) -> f64 {
    let (high, low) = if a > b { (a, b) } else { (b, a) };
    if a.is_nan() || b.is_nan() {
        f64::NAN
    } else if high.is_infinite() {
        high
    } else {
        high + (low - high).exp().ln_1p()
    }
}

fn whole_function(op: &str) -> Option<fn(i128, i128, Dtype) -> i128> {
    Some(match op {
        "add" => |a, b, _| a + b,
        "subtract" => |a, b, _| a - b,
        "multiply" => |a, b, _| a * b,
        "floor_divide" => |a, b, _| {
            if b == 0 {
                0
            } else {
                a.div_euclid(b) - i128::from(b < 0 && a.rem_euclid(b) != 0)
            }
        },
        "remainder" => |a, b, _| {
            if b == 0 {
                a
            } else {
                a - b * (a.div_euclid(b) - i128::from(b < 0 && a.rem_euclid(b) != 0))
            }
        },
        "power" => |a, b, dtype| {
            if b < 0 {
                return 0;
            }
            let (low, high) = bounds(dtype);
            let modulus = high - low + 1;
            (0..b).fold(1, |product, _| {
                if dtype == Dtype::Bool {
                    product * a
                } else {
                    (product * a).rem_euclid(modulus)
                }
            })
        },
        "bitwise_and" => |a, b, _| a & b,
        "bitwise_or" => |a, b, _| a | b,
        "bitwise_xor" => |a, b, _| a ^ b,
        // A count wraps at the width in which the machine shifts: 32 bits for narrower integers.
        "left_shift" => |a, b, dtype| a << b.rem_euclid((dtype.size() as i128 * 8).max(32)),
        "right_shift" => |a, b, dtype| a >> b.rem_euclid((dtype.size() as i128 * 8).max(32)),
        _ => return None,
    })
}

fn real_pair(op: &str) -> Option<fn(f64, f64, Dtype) -> f64> {
    // Halves are divided in float32.
    fn quotient(a: f64, b: f64, dtype: Dtype) -> f64 {
        if dtype == Dtype::Float64 {
            a / b
        } else {
            f64::from((a / b) as f32)
        }
    }
    Some(match op {
        "add" => |a, b, _| a + b,
        "subtract" => |a, b, _| a - b,
        "multiply" => |a, b, _| a * b,
        "floor_divide" => |a, b, dtype| quotient(a, b, dtype).floor(),
        "remainder" => |a, b, _| {
            let r = a % b;
            if r != 0.0 && (r < 0.0) != (b < 0.0) {
                r + b
            } else {
                r
            }
        },
        "power" => |a, b, _| a.powf(b),
        _ => return None,
    })
}

fn complex_pair(op: &str) -> Option<fn(C, C) -> C> {
    Some(match op {
        "add" => |a, b| a + b,
        "subtract" => |a, b| a - b,
        "multiply" => |a, b| a * b,
        "power" => |a, b| {
            if a.norm() == 0.0 {
                if b.norm() == 0.0 { C::ONE } else { C::ZERO }
            } else {
                (b * a.ln()).exp()
            }
        },
        _ => return None,
    })
}

/// Selection and conversion.
pub(super) fn elementwise(op: &str, args: &Args, inputs: &[Tensor]) -> Option<Tensor> {
    match (op, inputs) {
        ("select", [condition, yes, no]) => {
            let dtype = yes.dtype.promote(no.dtype);
            let shape = broadcast(&[&condition.shape, &yes.shape, &no.shape]);
            Some(Tensor::build(dtype, shape, |index| {
                if condition.at_broadcast(index).truth() {
                    yes.at_broadcast(index)
                } else {
                    no.at_broadcast(index)
                }
            }))
        }
        ("astype", [x]) => {
            let dtype = Dtype::ALL
                .into_iter()
                .find(|dtype| dtype.name() == args.label())?;
            Some(x.cast(dtype))
        }
        _ => None,
    }
}
