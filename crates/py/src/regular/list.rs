//! Owns which ops have regular arguments.
//!
//! Made from the list of ops by `cargo xtask gen`; do not edit.

use pyo3::prelude::*;

use super::forms;
use crate::{
    arg::{Ints, Operand, along, binary, cumulative, reduction, running_total, unary},
    array::PyArray,
    device::On,
    dtype::PyDtype,
};

forms::unary_ops! {
    abs method: "The absolute value, or the magnitude of a complex number.",
        "mx.abs(mx.array([-1.5, 0.0, 0.5, 2.0]))", "array([1.5, 0, 0.5, 2], dtype=float32)";
    acos: "The inverse cosine, in radians.",
        "mx.acos(mx.array([-0.5, 0.0, 0.25, 0.75]))", "array([2.0944, 1.5708, 1.31812, 0.722734], dtype=float32)";
    acosh: "The inverse hyperbolic cosine.",
        "mx.acosh(mx.array([1.0, 1.5, 2.0, 4.0]))", "array([0, 0.962424, 1.31696, 2.06344], dtype=float32)";
    arccos: "The inverse cosine, in radians.",
        "mx.arccos(mx.array([-0.5, 0.0, 0.25, 0.75]))", "array([2.0944, 1.5708, 1.31812, 0.722734], dtype=float32)";
    arccosh: "The inverse hyperbolic cosine.",
        "mx.arccosh(mx.array([1.0, 1.5, 2.0, 4.0]))", "array([0, 0.962424, 1.31696, 2.06344], dtype=float32)";
    arcsin: "The inverse sine, in radians.",
        "mx.arcsin(mx.array([-0.5, 0.0, 0.25, 0.75]))", "array([-0.523599, 0, 0.25268, 0.848062], dtype=float32)";
    arcsinh: "The inverse hyperbolic sine.",
        "mx.arcsinh(mx.array([-1.5, 0.0, 0.5, 2.0]))", "array([-1.19476, 0, 0.481212, 1.44364], dtype=float32)";
    arctan: "The inverse tangent, in radians.",
        "mx.arctan(mx.array([-1.5, 0.0, 0.5, 2.0]))", "array([-0.982794, 0, 0.463648, 1.10715], dtype=float32)";
    arctanh: "The inverse hyperbolic tangent.",
        "mx.arctanh(mx.array([-0.5, 0.0, 0.25, 0.75]))", "array([-0.549306, 0, 0.255413, 0.972955], dtype=float32)";
    asin: "The inverse sine, in radians.",
        "mx.asin(mx.array([-0.5, 0.0, 0.25, 0.75]))", "array([-0.523599, 0, 0.25268, 0.848062], dtype=float32)";
    asinh: "The inverse hyperbolic sine.",
        "mx.asinh(mx.array([-1.5, 0.0, 0.5, 2.0]))", "array([-1.19476, 0, 0.481212, 1.44364], dtype=float32)";
    atan: "The inverse tangent, in radians.",
        "mx.atan(mx.array([-1.5, 0.0, 0.5, 2.0]))", "array([-0.982794, 0, 0.463648, 1.10715], dtype=float32)";
    atanh: "The inverse hyperbolic tangent.",
        "mx.atanh(mx.array([-0.5, 0.0, 0.25, 0.75]))", "array([-0.549306, 0, 0.255413, 0.972955], dtype=float32)";
    bitwise_invert: "Every bit flipped; for bool, the opposite truth value.",
        "mx.bitwise_invert(mx.array([1, 2, 3, 4]))", "array([-2, -3, -4, -5], dtype=int32)";
    ceil: "The smallest whole number not below.",
        "mx.ceil(mx.array([-1.5, 0.0, 0.5, 2.0]))", "array([-1, 0, 1, 2], dtype=float32)";
    conj method: "The complex conjugate; real numbers are their own.",
        "mx.conj(mx.array([-1.5, 0.0, 0.5, 2.0]))", "array([-1.5, 0, 0.5, 2], dtype=float32)";
    conjugate: "The complex conjugate; real numbers are their own.",
        "mx.conjugate(mx.array([-1.5, 0.0, 0.5, 2.0]))", "array([-1.5, 0, 0.5, 2], dtype=float32)";
    cos method: "The cosine of an angle in radians.",
        "mx.cos(mx.array([-1.5, 0.0, 0.5, 2.0]))", "array([0.0707372, 1, 0.877583, -0.416147], dtype=float32)";
    cosh: "The hyperbolic cosine.",
        "mx.cosh(mx.array([-1.5, 0.0, 0.5, 2.0]))", "array([2.35241, 1, 1.12763, 3.7622], dtype=float32)";
    degrees: "Radians as degrees.",
        "mx.degrees(mx.array([-1.5, 0.0, 0.5, 2.0]))", "array([-85.9437, 0, 28.6479, 114.592], dtype=float32)";
    erf: "The error function.",
        "mx.erf(mx.array([-1.5, 0.0, 0.5, 2.0]))", "array([-0.966105, 0, 0.5205, 0.995322], dtype=float32)";
    erfinv: "The inverse of the error function.",
        "mx.erfinv(mx.array([-0.5, 0.0, 0.25, 0.75]))", "array([-0.476936, 0, 0.225312, 0.81342], dtype=float32)";
    exp method: "e raised to the power of each element.",
        "mx.exp(mx.array([-1.5, 0.0, 0.5, 2.0]))", "array([0.22313, 1, 1.64872, 7.38906], dtype=float32)";
    expm1: "`exp(x) - 1`, exact near zero.",
        "mx.expm1(mx.array([-1.5, 0.0, 0.5, 2.0]))", "array([-0.77687, 0, 0.648721, 6.38906], dtype=float32)";
    floor: "The largest whole number not above.",
        "mx.floor(mx.array([-1.5, 0.0, 0.5, 2.0]))", "array([-2, 0, 0, 2], dtype=float32)";
    imag: "The imaginary part; zero for real numbers.",
        "mx.imag(mx.array([-1.5, 0.0, 0.5, 2.0]))", "array([0, 0, 0, 0], dtype=float32)";
    isfinite: "True where the element is neither infinite nor NaN.",
        "mx.isfinite(mx.array([-1.5, 0.0, 0.5, 2.0]))", "array([True, True, True, True], dtype=bool)";
    isinf: "True where the element is infinite.",
        "mx.isinf(mx.array([-1.5, 0.0, 0.5, 2.0]))", "array([False, False, False, False], dtype=bool)";
    isnan: "True where the element is not a number.",
        "mx.isnan(mx.array([-1.5, 0.0, 0.5, 2.0]))", "array([False, False, False, False], dtype=bool)";
    isneginf: "True where the element is negative infinity.",
        "mx.isneginf(mx.array([-1.5, 0.0, 0.5, 2.0]))", "array([False, False, False, False], dtype=bool)";
    isposinf: "True where the element is positive infinity.",
        "mx.isposinf(mx.array([-1.5, 0.0, 0.5, 2.0]))", "array([False, False, False, False], dtype=bool)";
    log method: "The natural logarithm.",
        "mx.log(mx.array([0.25, 0.5, 1.0, 2.0]))", "array([-1.38629, -0.693147, 0, 0.693147], dtype=float32)";
    log10 method: "The logarithm to base 10.",
        "mx.log10(mx.array([0.25, 0.5, 1.0, 2.0]))", "array([-0.60206, -0.30103, 0, 0.30103], dtype=float32)";
    log1p method: "`log(1 + x)`, exact near zero.",
        "mx.log1p(mx.array([0.25, 0.5, 1.0, 2.0]))", "array([0.223144, 0.405465, 0.693147, 1.09861], dtype=float32)";
    log2 method: "The logarithm to base 2.",
        "mx.log2(mx.array([0.25, 0.5, 1.0, 2.0]))", "array([-2, -1, 0, 1], dtype=float32)";
    logical_not: "True where the element is zero.",
        "mx.logical_not(mx.array([-1.5, 0.0, 0.5, 2.0]))", "array([False, True, False, False], dtype=bool)";
    negative: "The element with its sign changed.",
        "mx.negative(mx.array([-1.5, 0.0, 0.5, 2.0]))", "array([1.5, -0, -0.5, -2], dtype=float32)";
    radians: "Degrees as radians.",
        "mx.radians(mx.array([-1.5, 0.0, 0.5, 2.0]))", "array([-0.0261799, 0, 0.00872665, 0.0349066], dtype=float32)";
    real: "The real part.",
        "mx.real(mx.array([-1.5, 0.0, 0.5, 2.0]))", "array([-1.5, 0, 0.5, 2], dtype=float32)";
    reciprocal method: "One divided by the element.",
        "mx.reciprocal(mx.array([-1.5, 0.0, 0.5, 2.0]))", "array([-0.666667, inf, 2, 0.5], dtype=float32)";
    rsqrt method: "One divided by the square root.",
        "mx.rsqrt(mx.array([0.25, 0.5, 1.0, 2.0]))", "array([2, 1.41421, 1, 0.707107], dtype=float32)";
    sigmoid: "The logistic function `1 / (1 + exp(-x))`.",
        "mx.sigmoid(mx.array([-1.5, 0.0, 0.5, 2.0]))", "array([0.182426, 0.5, 0.622459, 0.880797], dtype=float32)";
    sign: "−1, 0 or 1 by the element's sign; for complex numbers, the direction.",
        "mx.sign(mx.array([-1.5, 0.0, 0.5, 2.0]))", "array([-1, 0, 1, 1], dtype=float32)";
    sin method: "The sine of an angle in radians.",
        "mx.sin(mx.array([-1.5, 0.0, 0.5, 2.0]))", "array([-0.997495, 0, 0.479426, 0.909297], dtype=float32)";
    sinh: "The hyperbolic sine.",
        "mx.sinh(mx.array([-1.5, 0.0, 0.5, 2.0]))", "array([-2.12928, 0, 0.521095, 3.62686], dtype=float32)";
    sqrt method: "The square root.",
        "mx.sqrt(mx.array([0.25, 0.5, 1.0, 2.0]))", "array([0.5, 0.707107, 1, 1.41421], dtype=float32)";
    square method: "The element times itself.",
        "mx.square(mx.array([-1.5, 0.0, 0.5, 2.0]))", "array([2.25, 0, 0.25, 4], dtype=float32)";
    tan: "The tangent of an angle in radians.",
        "mx.tan(mx.array([-0.5, 0.0, 0.25, 0.75]))", "array([-0.546302, 0, 0.255342, 0.931596], dtype=float32)";
    tanh: "The hyperbolic tangent.",
        "mx.tanh(mx.array([-1.5, 0.0, 0.5, 2.0]))", "array([-0.905148, 0, 0.462117, 0.964028], dtype=float32)";
    trunc: "The element without its fraction.",
        "mx.trunc(mx.array([-1.5, 0.0, 0.5, 2.0]))", "array([-1, 0, 0, 2], dtype=float32)";
}

forms::binary_ops! {
    add: "The sum.",
        "mx.add(mx.array([1.0, 2.0, 3.0, 4.0]), mx.array([4.0, 2.0, 2.0, 0.5]))", "array([5, 4, 5, 4.5], dtype=float32)";
    arctan2: "The angle of the point (b, a), in radians.",
        "mx.arctan2(mx.array([1.0, 2.0, 3.0, 4.0]), mx.array([4.0, 2.0, 2.0, 0.5]))", "array([0.244979, 0.785398, 0.982794, 1.44644], dtype=float32)";
    atan2: "The angle of the point (b, a), in radians.",
        "mx.atan2(mx.array([1.0, 2.0, 3.0, 4.0]), mx.array([4.0, 2.0, 2.0, 0.5]))", "array([0.244979, 0.785398, 0.982794, 1.44644], dtype=float32)";
    bitwise_and: "The bits set in both.",
        "mx.bitwise_and(mx.array([1, 2, 3, 4]), mx.array([3, 1, 2, 1]))", "array([1, 0, 2, 0], dtype=int32)";
    bitwise_left_shift: "The bits moved up by b places.",
        "mx.bitwise_left_shift(mx.array([1, 2, 3, 4]), mx.array([3, 1, 2, 1]))", "array([8, 4, 12, 8], dtype=int32)";
    bitwise_or: "The bits set in either.",
        "mx.bitwise_or(mx.array([1, 2, 3, 4]), mx.array([3, 1, 2, 1]))", "array([3, 3, 3, 5], dtype=int32)";
    bitwise_right_shift: "The bits moved down by b places.",
        "mx.bitwise_right_shift(mx.array([1, 2, 3, 4]), mx.array([3, 1, 2, 1]))", "array([0, 1, 0, 2], dtype=int32)";
    bitwise_xor: "The bits set in just one.",
        "mx.bitwise_xor(mx.array([1, 2, 3, 4]), mx.array([3, 1, 2, 1]))", "array([2, 3, 1, 5], dtype=int32)";
    divide: "The quotient; integers are divided as `float32`.",
        "mx.divide(mx.array([1.0, 2.0, 3.0, 4.0]), mx.array([4.0, 2.0, 2.0, 0.5]))", "array([0.25, 1, 1.5, 8], dtype=float32)";
    equal: "True where equal.",
        "mx.equal(mx.array([1.0, 2.0, 3.0, 4.0]), mx.array([4.0, 2.0, 2.0, 0.5]))", "array([False, True, False, False], dtype=bool)";
    floor_divide: "The quotient rounded down.",
        "mx.floor_divide(mx.array([1.0, 2.0, 3.0, 4.0]), mx.array([4.0, 2.0, 2.0, 0.5]))", "array([0, 1, 1, 8], dtype=float32)";
    greater: "True where a is greater.",
        "mx.greater(mx.array([1.0, 2.0, 3.0, 4.0]), mx.array([4.0, 2.0, 2.0, 0.5]))", "array([False, False, True, True], dtype=bool)";
    greater_equal: "True where a is greater or equal.",
        "mx.greater_equal(mx.array([1.0, 2.0, 3.0, 4.0]), mx.array([4.0, 2.0, 2.0, 0.5]))", "array([False, True, True, True], dtype=bool)";
    left_shift: "The bits moved up by b places.",
        "mx.left_shift(mx.array([1, 2, 3, 4]), mx.array([3, 1, 2, 1]))", "array([8, 4, 12, 8], dtype=int32)";
    less: "True where a is less.",
        "mx.less(mx.array([1.0, 2.0, 3.0, 4.0]), mx.array([4.0, 2.0, 2.0, 0.5]))", "array([True, False, False, False], dtype=bool)";
    less_equal: "True where a is less or equal.",
        "mx.less_equal(mx.array([1.0, 2.0, 3.0, 4.0]), mx.array([4.0, 2.0, 2.0, 0.5]))", "array([True, True, False, False], dtype=bool)";
    logaddexp: "`log(exp(a) + exp(b))` without overflow.",
        "mx.logaddexp(mx.array([1.0, 2.0, 3.0, 4.0]), mx.array([4.0, 2.0, 2.0, 0.5]))", "array([4.04859, 2.69315, 3.31326, 4.02975], dtype=float32)";
    logical_and: "True where both are nonzero.",
        "mx.logical_and(mx.array([1.0, 2.0, 3.0, 4.0]), mx.array([4.0, 2.0, 2.0, 0.5]))", "array([True, True, True, True], dtype=bool)";
    logical_or: "True where either is nonzero.",
        "mx.logical_or(mx.array([1.0, 2.0, 3.0, 4.0]), mx.array([4.0, 2.0, 2.0, 0.5]))", "array([True, True, True, True], dtype=bool)";
    logical_xor: "True where just one is nonzero.",
        "mx.logical_xor(mx.array([1.0, 2.0, 3.0, 4.0]), mx.array([4.0, 2.0, 2.0, 0.5]))", "array([False, False, False, False], dtype=bool)";
    maximum: "The greater of two; NaN if either is.",
        "mx.maximum(mx.array([1.0, 2.0, 3.0, 4.0]), mx.array([4.0, 2.0, 2.0, 0.5]))", "array([4, 2, 3, 4], dtype=float32)";
    minimum: "The lesser of two; NaN if either is.",
        "mx.minimum(mx.array([1.0, 2.0, 3.0, 4.0]), mx.array([4.0, 2.0, 2.0, 0.5]))", "array([1, 2, 2, 0.5], dtype=float32)";
    multiply: "The product.",
        "mx.multiply(mx.array([1.0, 2.0, 3.0, 4.0]), mx.array([4.0, 2.0, 2.0, 0.5]))", "array([4, 4, 6, 2], dtype=float32)";
    not_equal: "True where different.",
        "mx.not_equal(mx.array([1.0, 2.0, 3.0, 4.0]), mx.array([4.0, 2.0, 2.0, 0.5]))", "array([True, False, True, True], dtype=bool)";
    pow: "a raised to the power b.",
        "mx.pow(mx.array([1.0, 2.0, 3.0, 4.0]), mx.array([4.0, 2.0, 2.0, 0.5]))", "array([1, 4, 9, 2], dtype=float32)";
    power: "a raised to the power b.",
        "mx.power(mx.array([1.0, 2.0, 3.0, 4.0]), mx.array([4.0, 2.0, 2.0, 0.5]))", "array([1, 4, 9, 2], dtype=float32)";
    remainder: "The remainder of `floor_divide`; it has the sign of b.",
        "mx.remainder(mx.array([1.0, 2.0, 3.0, 4.0]), mx.array([4.0, 2.0, 2.0, 0.5]))", "array([1, 0, 1, 0], dtype=float32)";
    right_shift: "The bits moved down by b places.",
        "mx.right_shift(mx.array([1, 2, 3, 4]), mx.array([3, 1, 2, 1]))", "array([0, 1, 0, 2], dtype=int32)";
    subtract: "The difference.",
        "mx.subtract(mx.array([1.0, 2.0, 3.0, 4.0]), mx.array([4.0, 2.0, 2.0, 0.5]))", "array([-3, 0, 1, 3.5], dtype=float32)";
}

forms::reductions! {
    all method: "Whether all elements over axes are nonzero.",
        "mx.all(mx.array([[3.0, 1.0], [2.0, 5.0]]), axis=0)", "array([True, True], dtype=bool)";
    any method: "Whether any element over axes is nonzero.",
        "mx.any(mx.array([[3.0, 1.0], [2.0, 5.0]]), axis=0)", "array([True, True], dtype=bool)";
    count_nonzero: "The number of nonzero elements over axes.",
        "mx.count_nonzero(mx.array([[3.0, 1.0], [2.0, 5.0]]), axis=0)", "array([2, 2], dtype=int32)";
    logsumexp method: "The logarithm of the sum of exponentials over axes, without overflow.",
        "mx.logsumexp(mx.array([[3.0, 1.0], [2.0, 5.0]]), axis=-1)", "array([3.12693, 5.04859], dtype=float32)";
    max method: "The greatest element over axes.",
        "mx.max(mx.array([[3.0, 1.0], [2.0, 5.0]]), axis=0)", "array([3, 5], dtype=float32)";
    mean method: "The mean over axes.",
        "mx.mean(mx.array([[3.0, 1.0], [2.0, 5.0]]), axis=0)", "array([2.5, 3], dtype=float32)";
    median: "The middle element over axes in sorted order.",
        "mx.median(mx.array([[3.0, 1.0], [2.0, 5.0]]), axis=0)", "array([2.5, 3], dtype=float32)";
    min method: "The smallest element over axes.",
        "mx.min(mx.array([[3.0, 1.0], [2.0, 5.0]]), axis=0)", "array([2, 1], dtype=float32)";
    prod method: "The product over axes.",
        "mx.prod(mx.array([[3.0, 1.0], [2.0, 5.0]]), axis=0)", "array([6, 5], dtype=float32)";
    sum method: "The sum over axes.",
        "mx.sum(mx.array([[3.0, 1.0], [2.0, 5.0]]), axis=0)", "array([5, 6], dtype=float32)";
}

forms::cumulative_ops! {
    cummax method: "The greatest element so far.",
        "mx.cummax(mx.array([[3.0, 1.0], [2.0, 5.0]]), axis=0)", "array([[3, 1],\n           [3, 5]], dtype=float32)";
    cummin method: "The smallest element so far.",
        "mx.cummin(mx.array([[3.0, 1.0], [2.0, 5.0]]), axis=0)", "array([[3, 1],\n           [2, 1]], dtype=float32)";
    logcumsumexp method: "The logarithm of the running sum of exponentials, without overflow.",
        "mx.logcumsumexp(mx.array([[3.0, 1.0], [2.0, 5.0]]), axis=0)", "array([[3, 1],\n           [3.31326, 5.01815]], dtype=float32)";
}

forms::running_totals! {
    cumprod method: "The running product.",
        "mx.cumprod(mx.array([[3.0, 1.0], [2.0, 5.0]]), axis=0)", "array([[3, 1],\n           [6, 5]], dtype=float32)";
    cumsum method: "The running sum.",
        "mx.cumsum(mx.array([[3.0, 1.0], [2.0, 5.0]]), axis=0)", "array([[3, 1],\n           [5, 6]], dtype=float32)";
    cumulative_prod: "The running product.",
        "mx.cumulative_prod(mx.array([[3.0, 1.0], [2.0, 5.0]]), axis=0)", "array([[3, 1],\n           [6, 5]], dtype=float32)";
    cumulative_sum: "The running sum.",
        "mx.cumulative_sum(mx.array([[3.0, 1.0], [2.0, 5.0]]), axis=0)", "array([[3, 1],\n           [5, 6]], dtype=float32)";
}

forms::sorting_ops! {
    argsort: "The positions that sort.",
        "mx.argsort(mx.array([[3.0, 1.0], [2.0, 5.0]]), axis=-1)", "array([[1, 0],\n           [0, 1]], dtype=uint32)";
    sort: "Ascending order, NaN last.",
        "mx.sort(mx.array([[3.0, 1.0], [2.0, 5.0]]), axis=-1)", "array([[1, 3],\n           [2, 5]], dtype=float32)";
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    unary_ops(module)?;
    binary_ops(module)?;
    reductions(module)?;
    cumulative_ops(module)?;
    running_totals(module)?;
    sorting_ops(module)?;
    Ok(())
}
