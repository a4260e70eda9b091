//! Owns which ops have regular arguments.
//!
//! Made from the list of ops by `cargo xtask gen`; do not edit.

use pyo3::prelude::*;

use super::forms;
use crate::{
    arg::{Ints, Operand, along, binary, cumulative, reduction, unary},
    array::PyArray,
    device::On,
};

forms::unary_ops! {
    abs method: "The absolute value, or the magnitude of a complex number.";
    acos: "The inverse cosine, in radians.";
    acosh: "The inverse hyperbolic cosine.";
    arccos: "The inverse cosine, in radians.";
    arccosh: "The inverse hyperbolic cosine.";
    arcsin: "The inverse sine, in radians.";
    arcsinh: "The inverse hyperbolic sine.";
    arctan: "The inverse tangent, in radians.";
    arctanh: "The inverse hyperbolic tangent.";
    asin: "The inverse sine, in radians.";
    asinh: "The inverse hyperbolic sine.";
    atan: "The inverse tangent, in radians.";
    atanh: "The inverse hyperbolic tangent.";
    bitwise_invert: "Every bit flipped; for bool, the opposite truth value.";
    ceil: "The smallest whole number not below.";
    conj method: "The complex conjugate; real numbers are their own.";
    conjugate: "The complex conjugate; real numbers are their own.";
    cos method: "The cosine of an angle in radians.";
    cosh: "The hyperbolic cosine.";
    degrees: "Radians as degrees.";
    erf: "The error function.";
    erfinv: "The inverse of the error function.";
    exp method: "e raised to the power of each element.";
    expm1: "`exp(x) - 1`, exact near zero.";
    floor: "The largest whole number not above.";
    imag: "The imaginary part; zero for real numbers.";
    isfinite: "True where the element is neither infinite nor NaN.";
    isinf: "True where the element is infinite.";
    isnan: "True where the element is not a number.";
    isneginf: "True where the element is negative infinity.";
    isposinf: "True where the element is positive infinity.";
    log method: "The natural logarithm.";
    log10 method: "The logarithm to base 10.";
    log1p method: "`log(1 + x)`, exact near zero.";
    log2 method: "The logarithm to base 2.";
    logical_not: "True where the element is zero.";
    negative: "The element with its sign changed.";
    radians: "Degrees as radians.";
    real: "The real part.";
    reciprocal method: "One divided by the element.";
    rsqrt method: "One divided by the square root.";
    sigmoid: "The logistic function `1 / (1 + exp(-x))`.";
    sign: "−1, 0 or 1 by the element's sign; for complex numbers, the direction.";
    sin method: "The sine of an angle in radians.";
    sinh: "The hyperbolic sine.";
    sqrt method: "The square root.";
    square method: "The element times itself.";
    tan: "The tangent of an angle in radians.";
    tanh: "The hyperbolic tangent.";
    trunc: "The element without its fraction.";
}

forms::binary_ops! {
    add: "The sum.";
    arctan2: "The angle of the point (b, a), in radians.";
    atan2: "The angle of the point (b, a), in radians.";
    bitwise_and: "The bits set in both.";
    bitwise_left_shift: "The bits moved up by b places.";
    bitwise_or: "The bits set in either.";
    bitwise_right_shift: "The bits moved down by b places.";
    bitwise_xor: "The bits set in just one.";
    divide: "The quotient; integers are divided as `float32`.";
    equal: "True where equal.";
    floor_divide: "The quotient rounded down.";
    greater: "True where a is greater.";
    greater_equal: "True where a is greater or equal.";
    left_shift: "The bits moved up by b places.";
    less: "True where a is less.";
    less_equal: "True where a is less or equal.";
    logaddexp: "`log(exp(a) + exp(b))` without overflow.";
    logical_and: "True where both are nonzero.";
    logical_or: "True where either is nonzero.";
    logical_xor: "True where just one is nonzero.";
    maximum: "The greater of two; NaN if either is.";
    minimum: "The lesser of two; NaN if either is.";
    multiply: "The product.";
    not_equal: "True where different.";
    pow: "a raised to the power b.";
    power: "a raised to the power b.";
    remainder: "The remainder of `floor_divide`; it has the sign of b.";
    right_shift: "The bits moved down by b places.";
    subtract: "The difference.";
}

forms::reductions! {
    all method: "Whether all elements over axes are nonzero.";
    any method: "Whether any element over axes is nonzero.";
    count_nonzero: "The number of nonzero elements over axes.";
    logsumexp method: "The logarithm of the sum of exponentials over axes, without overflow.";
    max method: "The greatest element over axes.";
    mean method: "The mean over axes.";
    median: "The middle element over axes in sorted order.";
    min method: "The smallest element over axes.";
    prod method: "The product over axes.";
    sum method: "The sum over axes.";
}

forms::cumulative_ops! {
    cummax method: "The greatest element so far.";
    cummin method: "The smallest element so far.";
    cumprod method: "The running product.";
    cumsum method: "The running sum.";
    cumulative_prod: "The running product.";
    cumulative_sum: "The running sum.";
    logcumsumexp method: "The logarithm of the running sum of exponentials, without overflow.";
}

forms::sorting_ops! {
    argsort: "The positions that sort.";
    sort: "Ascending order, NaN last.";
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    unary_ops(module)?;
    binary_ops(module)?;
    reductions(module)?;
    cumulative_ops(module)?;
    sorting_ops(module)?;
    Ok(())
}
