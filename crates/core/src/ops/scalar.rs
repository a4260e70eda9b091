//! Owns scalar math: one row per function gives its name, dtype rule and derivative.

use std::sync::LazyLock;

use super::{Domain, Family, Gradient, Input, OpInfo, Sample, info::kinds};
use crate::{
    Array, Complex64, Dtype, Error, IntoOperand, Kind, Result,
    graph::{Gradients, Jvp, Op, Spec, Vjp},
    transforms::integers::is_smooth,
};

/// How an input's dtype becomes an output's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    /// Integers become `float32`; the result has the input's dtype.
    Inexact,
    /// The result has the input's dtype.
    Same,
    /// As `Same`, but the result of a complex input is real.
    RealPart,
    /// The input is taken as it is and the result is `bool`.
    Compare,
    /// The input is taken as truth values and the result is `bool`.
    Logic,
    /// As `Same`, but `bool` becomes `uint8`.
    Shift,
}

impl Rule {
    /// The dtypes that inputs are converted to, and of the result.
    fn apply(self, dtype: Dtype) -> (Dtype, Dtype) {
        match self {
            Rule::Inexact => (dtype.to_inexact(), dtype.to_inexact()),
            Rule::Same => (dtype, dtype),
            Rule::RealPart if dtype == Dtype::Complex64 => (dtype, Dtype::Float32),
            Rule::RealPart => (dtype, dtype),
            Rule::Compare => (dtype, Dtype::Bool),
            Rule::Logic => (Dtype::Bool, Dtype::Bool),
            Rule::Shift if dtype == Dtype::Bool => (Dtype::Uint8, Dtype::Uint8),
            Rule::Shift => (dtype, dtype),
        }
    }
}

/// A derivative of a scalar function's result with respect to one input.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::array;
/// use olivine_core::ops::scalar::{Partial, Unary};
/// let x = array!([3.0]);
/// assert!(matches!(Unary::Negative.partial(&x, &x.negative()?)?, Partial::MinusOne));
/// let Partial::Is(slope) = Unary::Square.partial(&x, &x.square()?)? else {
///     unreachable!("the slope of a square is no constant")
/// };
/// assert_eq!(slope.item::<f32>()?, 6.0);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub enum Partial {
    /// Zero wherever it exists.
    Zero,
    /// One.
    One,
    /// Minus one.
    MinusOne,
    /// This array.
    Is(Array),
}

impl Partial {
    fn times(self, cotangent: &Array) -> Result<Option<Array>> {
        match self {
            Partial::Zero => Ok(None),
            Partial::One => Ok(Some(cotangent.clone())),
            Partial::MinusOne => cotangent.negative().map(Some),
            Partial::Is(factor) => cotangent.multiply(&factor).map(Some),
        }
    }
}

fn is(array: Result<Array>) -> Result<Partial> {
    array.map(Partial::Is)
}

fn check_kind(op: &'static str, dtype: Dtype, kinds: &'static [Kind]) -> Result<()> {
    if kinds.contains(&dtype.kind()) {
        return Ok(());
    }
    let reason = match dtype.kind() {
        Kind::Bool => "it takes numbers; use the logical operations for bool",
        Kind::Complex => "complex numbers have no such function here; take real or imag first",
        Kind::Float => "it takes integers or bool",
        Kind::Unsigned | Kind::Signed => "it takes floating-point numbers",
    };
    Err(Error::Dtype { op, dtype, reason })
}

macro_rules! unary {
    ($($(#[doc = $doc:literal])+ ($of:literal => $is:literal)
        $variant:ident $method:ident, $rule:ident, $kinds:ident, $domain:ident,
        $gradient:ident |$x:pat_param, $y:pat_param| $partial:expr;)*) => {
        /// A scalar function of one argument.
        ///
        /// ```
        /// use olivine_core::ops::scalar::Unary;
        /// assert!(Unary::ALL.iter().any(|function| function.name() == "exp"));
        /// ```
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
        #[repr(u8)]
        pub enum Unary {
            $($(#[doc = $doc])+ $variant,)*
        }

        impl Unary {
            /// Every function.
            pub const ALL: &[Unary] = &[$(Unary::$variant),*];

            /// The name, as users know it.
            ///
            /// ```
            /// use olivine_core::ops::scalar::Unary;
            /// assert_eq!(Unary::ArcTan.name(), "arctan");
            /// ```
            pub const fn name(self) -> &'static str {
                match self { $(Unary::$variant => stringify!($method),)* }
            }

            const fn rule(self) -> Rule {
                match self { $(Unary::$variant => Rule::$rule,)* }
            }

            const fn kinds(self) -> &'static [Kind] {
                match self { $(Unary::$variant => kinds::$kinds,)* }
            }

            /// The dtypes that inputs of `dtype` are converted to, and of the result; none if there is
            /// no such function for them.
            pub(crate) fn dtypes(self, dtype: Dtype) -> Option<(Dtype, Dtype)> {
                self.kinds().contains(&dtype.kind()).then(|| self.rule().apply(dtype))
            }

            /// The derivative at `x`, where the function's value is `y`.
            ///
            /// ```
            /// # use olivine_cpu as _;
            /// use olivine_core::{array, ops::scalar::{Partial, Unary}};
            /// let x = array!([0.0, 1.0]);
            /// // The slope of the exponential is its value, which is there already.
            /// let y = x.exp()?;
            /// assert!(matches!(Unary::Exp.partial(&x, &y)?, Partial::Is(slope) if slope.id() == y.id()));
            /// # Ok::<(), olivine_core::Error>(())
            /// ```
            pub fn partial(self, x: &Array, y: &Array) -> Result<Partial> {
                match self { $(Unary::$variant => { let ($x, $y) = (x, y); $partial })* }
            }
        }

        impl Array {
            $($(#[doc = $doc])+
            ///
            /// ```
            /// # use olivine_cpu as _;
            /// # use olivine_core::Complex64;
            /// use olivine_core::{Tolerance, array};
            #[doc = concat!("let y = array!(", $of, ").", stringify!($method), "()?;")]
            #[doc = concat!("let expected = array!(", $is, ");")]
            /// assert_eq!(y.dtype(), expected.dtype());
            /// assert!(y.allclose(expected, Tolerance::default())?.item::<bool>()?);
            /// # Ok::<(), olivine_core::Error>(())
            /// ```
            pub fn $method(&self) -> Result<Array> {
                self.unary(Unary::$variant)
            })*
        }

        fn unary_ops() -> Vec<OpInfo> {
            vec![$({
                fn samples() -> Vec<Sample> {
                    unary_samples(Unary::$variant, Domain::$domain)
                }
                OpInfo {
                    name: stringify!($method),
                    doc: first_of(&[$($doc),+]),
                    signature: concat!(stringify!($method), "(x)"),
                    family: Family::Unary,
                    kinds: kinds::$kinds,
                    gradient: Gradient::$gradient,
                    samples,
                }
            }),*]
        }
    };
}

const fn first_of(lines: &[&'static str]) -> &'static str {
    lines[0].trim_ascii()
}

fn unary_samples(op: Unary, domain: Domain) -> Vec<Sample> {
    [vec![3, 5], vec![], vec![0, 2], vec![67]]
        .into_iter()
        .map(|shape| Sample::new("", [Input::new(shape, domain)], move |x| x[0].unary(op)))
        .collect()
}

unary! {
    /// The absolute value, or the magnitude of a complex number.
    ("[-1.5, 2.0]" => "[1.5, 2.0]")
    Abs abs, RealPart, ALL, NonZero, Smooth |x, y| match x.dtype() {
        Dtype::Complex64 => is(x.divide(y)),
        _ => is(x.sign()),
    };
    /// The inverse cosine, in radians.
    ("[1.0, 0.0]" => "[0.0, 1.5707963]")
    ArcCos arccos, Inexact, ALL, Unit, Smooth
        |x, _| is(x.square()?.negative()?.add(1.0)?.rsqrt()?.negative());
    /// The inverse hyperbolic cosine.
    ("[1.0, 2.0]" => "[0.0, 1.316958]")
    ArcCosh arccosh, Inexact, ALL, AboveOne, Smooth |x, _| is(x.square()?.subtract(1.0)?.rsqrt());
    /// The inverse sine, in radians.
    ("[0.0, 1.0]" => "[0.0, 1.5707963]")
    ArcSin arcsin, Inexact, ALL, Unit, Smooth |x, _| is(x.square()?.negative()?.add(1.0)?.rsqrt());
    /// The inverse hyperbolic sine.
    ("[0.0, 1.0]" => "[0.0, 0.8813736]")
    ArcSinh arcsinh, Inexact, ALL, Any, Smooth |x, _| is(x.square()?.add(1.0)?.rsqrt());
    /// The inverse tangent, in radians.
    ("[0.0, 1.0]" => "[0.0, 0.7853982]")
    ArcTan arctan, Inexact, ALL, Any, Smooth |x, _| is(x.square()?.add(1.0)?.reciprocal());
    /// The inverse hyperbolic tangent.
    ("[0.0, 0.5]" => "[0.0, 0.5493061]")
    ArcTanh arctanh, Inexact, ALL, Unit, Smooth |x, _| is(x.square()?.negative()?.add(1.0)?.reciprocal());
    /// Every bit flipped; for bool, the opposite truth value.
    ("[0, 5]" => "[-1, -6]")
    BitwiseInvert bitwise_invert, Same, INTEGRAL, Any, Zero |_, _| Ok(Partial::Zero);
    /// The smallest whole number not below.
    ("[-1.5, 1.5]" => "[-1.0, 2.0]")
    Ceil ceil, Same, REAL, Any, Zero |_, _| Ok(Partial::Zero);
    /// The complex conjugate; real numbers are their own.
    ("[Complex64::new(1.0, 2.0)]" => "[Complex64::new(1.0, -2.0)]")
    Conjugate conjugate, Same, ALL, Any, Smooth |_, _| Ok(Partial::One);
    /// The cosine of an angle in radians.
    ("[0.0, 1.0]" => "[1.0, 0.5403023]")
    Cos cos, Inexact, ALL, Any, Smooth |x, _| is(x.sin()?.negative());
    /// The hyperbolic cosine.
    ("[0.0, 1.0]" => "[1.0, 1.5430806]")
    Cosh cosh, Inexact, ALL, Any, Smooth |x, _| is(x.sinh());
    /// The error function.
    ("[0.0, 1.0]" => "[0.0, 0.8427008]")
    Erf erf, Inexact, REAL, Any, Smooth
        |x, _| is((x.square()?.negative()?.exp()?).multiply(std::f64::consts::FRAC_2_SQRT_PI));
    /// The inverse of the error function.
    ("[0.0, 0.5]" => "[0.0, 0.4769363]")
    ErfInv erfinv, Inexact, REAL, Unit, Smooth
        |_, y| is((y.square()?.exp()?).multiply(1.0 / std::f64::consts::FRAC_2_SQRT_PI));
    /// e raised to the power of each element.
    ("[0.0, 1.0]" => "[1.0, 2.7182817]")
    Exp exp, Inexact, ALL, Any, Smooth |_, y| Ok(Partial::Is(y.clone()));
    /// `exp(x) - 1`, exact near zero.
    ("[0.0, 1e-5]" => "[0.0, 1.000005e-5]")
    Expm1 expm1, Inexact, REAL, Any, Smooth |_, y| is(y.add(1.0));
    /// The largest whole number not above.
    ("[-1.5, 1.5]" => "[-2.0, 1.0]")
    Floor floor, Same, REAL, Any, Zero |_, _| Ok(Partial::Zero);
    /// The imaginary part; zero for real numbers.
    ("[Complex64::new(1.0, 2.0)]" => "[2.0]")
    Imag imag, RealPart, ALL, Any, Zero |_, _| Ok(Partial::Zero);
    /// True where the element is neither infinite nor NaN.
    ("[1.0, f32::INFINITY, f32::NAN]" => "[true, false, false]")
    IsFinite isfinite, Compare, ALL, Any, Zero |_, _| Ok(Partial::Zero);
    /// True where the element is infinite.
    ("[1.0, f32::INFINITY, f32::NAN]" => "[false, true, false]")
    IsInf isinf, Compare, ALL, Any, Zero |_, _| Ok(Partial::Zero);
    /// True where the element is not a number.
    ("[1.0, f32::INFINITY, f32::NAN]" => "[false, false, true]")
    IsNan isnan, Compare, ALL, Any, Zero |_, _| Ok(Partial::Zero);
    /// The natural logarithm.
    ("[1.0, 10.0]" => "[0.0, 2.3025851]")
    Log log, Inexact, ALL, Positive, Smooth |x, _| is(x.reciprocal());
    /// The logarithm to base 10.
    ("[1.0, 1000.0]" => "[0.0, 3.0]")
    Log10 log10, Inexact, ALL, Positive, Smooth
        |x, _| is(x.reciprocal()?.multiply(std::f64::consts::LOG10_E));
    /// `log(1 + x)`, exact near zero.
    ("[0.0, 1e-5]" => "[0.0, 9.99995e-6]")
    Log1p log1p, Inexact, ALL, Positive, Smooth |x, _| is(x.add(1.0)?.reciprocal());
    /// The logarithm to base 2.
    ("[1.0, 8.0]" => "[0.0, 3.0]")
    Log2 log2, Inexact, ALL, Positive, Smooth
        |x, _| is(x.reciprocal()?.multiply(std::f64::consts::LOG2_E));
    /// True where the element is zero.
    ("[0.0, 2.0]" => "[true, false]")
    LogicalNot logical_not, Logic, ALL, Any, Zero |_, _| Ok(Partial::Zero);
    /// The element with its sign changed.
    ("[1, -2]" => "[-1, 2]")
    Negative negative, Same, NUMBER, Any, Smooth |_, _| Ok(Partial::MinusOne);
    /// The real part.
    ("[Complex64::new(1.0, 2.0)]" => "[1.0]")
    Real real, RealPart, ALL, Any, Smooth |_, _| Ok(Partial::One);
    /// One divided by the element.
    ("[2.0, -4.0]" => "[0.5, -0.25]")
    Reciprocal reciprocal, Inexact, ALL, NonZero, Smooth |_, y| is(y.square()?.negative());
    /// The nearest whole number; ties go to the even one.
    ("[0.5, 1.5, -1.6]" => "[0.0, 2.0, -2.0]")
    Round round, Same, ALL, Any, Zero |_, _| Ok(Partial::Zero);
    /// One divided by the square root.
    ("[1.0, 4.0]" => "[1.0, 0.5]")
    Rsqrt rsqrt, Inexact, ALL, Positive, Smooth |x, y| is(y.divide(x)?.multiply(-0.5));
    /// The logistic function `1 / (1 + exp(-x))`.
    ("[0.0, 1.0]" => "[0.5, 0.7310586]")
    Sigmoid sigmoid, Inexact, REAL, Any, Smooth |_, y| is(y.multiply(y.negative()?.add(1.0)?));
    /// −1, 0 or 1 by the element's sign; for complex numbers, the direction.
    ("[-3.0, 0.0, 2.0]" => "[-1.0, 0.0, 1.0]")
    Sign sign, Same, ALL, NonZero, Zero |_, _| Ok(Partial::Zero);
    /// The sine of an angle in radians.
    ("[0.0, 1.0]" => "[0.0, 0.841471]")
    Sin sin, Inexact, ALL, Any, Smooth |x, _| is(x.cos());
    /// The hyperbolic sine.
    ("[0.0, 1.0]" => "[0.0, 1.1752012]")
    Sinh sinh, Inexact, ALL, Any, Smooth |x, _| is(x.cosh());
    /// The square root.
    ("[4.0, 2.0]" => "[2.0, 1.4142135]")
    Sqrt sqrt, Inexact, ALL, Positive, Smooth |_, y| is(y.reciprocal()?.multiply(0.5));
    /// The element times itself.
    ("[3, -4]" => "[9, 16]")
    Square square, Same, ALL, Any, Smooth |x, _| is(x.multiply(2));
    /// The tangent of an angle in radians.
    ("[0.0, 1.0]" => "[0.0, 1.5574077]")
    Tan tan, Inexact, ALL, Unit, Smooth |_, y| is(y.square()?.add(1.0));
    /// The hyperbolic tangent.
    ("[0.0, 1.0]" => "[0.0, 0.7615942]")
    Tanh tanh, Inexact, ALL, Any, Smooth |_, y| is(y.square()?.negative()?.add(1.0));
    /// The element without its fraction.
    ("[-1.5, 1.5]" => "[-1.0, 1.0]")
    Trunc trunc, Same, REAL, Any, Zero |_, _| Ok(Partial::Zero);
}

macro_rules! binary {
    ($($(#[doc = $doc:literal])+ ($a_of:literal, $b_of:literal => $is:literal)
        $variant:ident $method:ident, $rule:ident, $kinds:ident,
        ($left:ident, $right:ident), $gradient:ident
        |$i:pat_param, $a:pat_param, $b:pat_param, $y:pat_param| $partial:expr;)*) => {
        /// A scalar function of two arguments.
        ///
        /// ```
        /// use olivine_core::ops::scalar::Binary;
        /// assert!(Binary::ALL.iter().any(|function| function.name() == "logaddexp"));
        /// ```
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
        #[repr(u8)]
        pub enum Binary {
            $($(#[doc = $doc])+ $variant,)*
        }

        impl Binary {
            /// Every function.
            pub const ALL: &[Binary] = &[$(Binary::$variant),*];

            /// The name, as users know it.
            ///
            /// ```
            /// use olivine_core::ops::scalar::Binary;
            /// assert_eq!(Binary::FloorDivide.name(), "floor_divide");
            /// ```
            pub const fn name(self) -> &'static str {
                match self { $(Binary::$variant => stringify!($method),)* }
            }

            const fn rule(self) -> Rule {
                match self { $(Binary::$variant => Rule::$rule,)* }
            }

            const fn kinds(self) -> &'static [Kind] {
                match self { $(Binary::$variant => kinds::$kinds,)* }
            }

            /// The dtypes that inputs of `dtype` are converted to, and of the result; none if there is
            /// no such function for them.
            pub(crate) fn dtypes(self, dtype: Dtype) -> Option<(Dtype, Dtype)> {
                self.kinds().contains(&dtype.kind()).then(|| self.rule().apply(dtype))
            }

            /// The derivative with respect to input `i`, at `a` and `b`, where the value is `y`.
            ///
            /// ```
            /// # use olivine_cpu as _;
            /// use olivine_core::{array, ops::scalar::{Binary, Partial}};
            /// let (a, b) = (array!([3.0]), array!([4.0]));
            /// let y = a.subtract(&b)?;
            /// assert!(matches!(Binary::Subtract.partial(0, &a, &b, &y)?, Partial::One));
            /// assert!(matches!(Binary::Subtract.partial(1, &a, &b, &y)?, Partial::MinusOne));
            /// # Ok::<(), olivine_core::Error>(())
            /// ```
            pub fn partial(self, i: usize, a: &Array, b: &Array, y: &Array) -> Result<Partial> {
                match self {
                    $(Binary::$variant => { let ($i, $a, $b, $y) = (i, a, b, y); $partial })*
                }
            }
        }

        impl Array {
            $($(#[doc = $doc])+
            ///
            /// The operands broadcast together and meet in their common dtype.
            ///
            /// ```
            /// # use olivine_cpu as _;
            /// use olivine_core::{Tolerance, array};
            #[doc = concat!("let a = array!(", $a_of, ");")]
            #[doc = concat!("let y = a.", stringify!($method), "(array!(", $b_of, "))?;")]
            #[doc = concat!("let expected = array!(", $is, ");")]
            /// assert_eq!(y.dtype(), expected.dtype());
            /// assert!(y.allclose(expected, Tolerance::default())?.item::<bool>()?);
            /// # Ok::<(), olivine_core::Error>(())
            /// ```
            pub fn $method(&self, other: impl IntoOperand) -> Result<Array> {
                self.binary(Binary::$variant, &other.to_operand(self))
            })*
        }

        fn binary_ops() -> Vec<OpInfo> {
            vec![$({
                fn samples() -> Vec<Sample> {
                    binary_samples(Binary::$variant, Domain::$left, Domain::$right)
                }
                OpInfo {
                    name: stringify!($method),
                    doc: first_of(&[$($doc),+]),
                    signature: concat!(stringify!($method), "(a, b)"),
                    family: Family::Binary,
                    kinds: kinds::$kinds,
                    gradient: Gradient::$gradient,
                    samples,
                }
            }),*]
        }
    };
}

fn binary_samples(op: Binary, left: Domain, right: Domain) -> Vec<Sample> {
    let shapes: [(&[usize], &[usize]); 6] = [
        (&[3, 5], &[3, 5]),
        (&[3, 1], &[1, 4]),
        (&[], &[7]),
        (&[2, 3, 4], &[4]),
        (&[0, 3], &[1, 3]),
        (&[131], &[131]),
    ];
    shapes
        .into_iter()
        .map(|(a, b)| {
            Sample::new("", [Input::new(a, left), Input::new(b, right)], move |x| {
                x[0].binary(op, &x[1])
            })
        })
        .collect()
}

binary! {
    /// The sum.
    ("[1, 2]", "[10]" => "[11, 12]")
    Add add, Same, ALL, (Any, Any), Smooth |_, _, _, _| Ok(Partial::One);
    /// The angle of the point (b, a), in radians.
    ("[1.0, 1.0]", "[1.0, -1.0]" => "[0.7853982, 2.3561945]")
    ArcTan2 arctan2, Inexact, REAL, (NonZero, NonZero), Smooth |i, a, b, _| {
        let scale = a.square()?.add(b.square()?)?.reciprocal()?;
        is(if i == 0 { b.multiply(scale) } else { a.multiply(scale)?.negative() })
    };
    /// The bits set in both.
    ("[6]", "[3]" => "[2]")
    BitwiseAnd bitwise_and, Same, INTEGRAL, (Any, Any), Zero |_, _, _, _| Ok(Partial::Zero);
    /// The bits set in either.
    ("[6]", "[3]" => "[7]")
    BitwiseOr bitwise_or, Same, INTEGRAL, (Any, Any), Zero |_, _, _, _| Ok(Partial::Zero);
    /// The bits set in just one.
    ("[6]", "[3]" => "[5]")
    BitwiseXor bitwise_xor, Same, INTEGRAL, (Any, Any), Zero |_, _, _, _| Ok(Partial::Zero);
    /// The quotient; integers are divided as `float32`.
    ("[1, 3]", "[2, 2]" => "[0.5, 1.5]")
    Divide divide, Inexact, ALL, (Any, NonZero), Smooth |i, _, b, y| {
        is(if i == 0 { b.reciprocal() } else { y.divide(b)?.negative() })
    };
    /// True where equal.
    ("[1, 2]", "[1, 3]" => "[true, false]")
    Equal equal, Compare, ALL, (Any, Any), Zero |_, _, _, _| Ok(Partial::Zero);
    /// The quotient rounded down.
    ("[7, -7]", "[2]" => "[3, -4]")
    FloorDivide floor_divide, Same, REAL, (Any, NonZero), Zero |_, _, _, _| Ok(Partial::Zero);
    /// True where a is greater.
    ("[1, 2]", "[1]" => "[false, true]")
    Greater greater, Compare, ALL, (Any, Any), Zero |_, _, _, _| Ok(Partial::Zero);
    /// True where a is greater or equal.
    ("[0, 1, 2]", "[1]" => "[false, true, true]")
    GreaterEqual greater_equal, Compare, ALL, (Any, Any), Zero |_, _, _, _| Ok(Partial::Zero);
    /// The bits moved up by b places.
    ("[1, 3]", "[4]" => "[16, 48]")
    LeftShift left_shift, Shift, INTEGRAL, (Any, Any), Zero |_, _, _, _| Ok(Partial::Zero);
    /// True where a is less.
    ("[0, 1]", "[1]" => "[true, false]")
    Less less, Compare, ALL, (Any, Any), Zero |_, _, _, _| Ok(Partial::Zero);
    /// True where a is less or equal.
    ("[0, 1, 2]", "[1]" => "[true, true, false]")
    LessEqual less_equal, Compare, ALL, (Any, Any), Zero |_, _, _, _| Ok(Partial::Zero);
    /// `log(exp(a) + exp(b))` without overflow.
    ("[1000.0]", "[1000.0]" => "[1000.6931]")
    LogAddExp logaddexp, Inexact, ALL, (Any, Any), Smooth |i, a, b, y| {
        if y.dtype() == Dtype::Complex64 {
            return is(if i == 0 { a } else { b }.subtract(y)?.exp());
        }
        let difference = if i == 0 { a.subtract(b) } else { b.subtract(a) };
        is(difference?.sigmoid())
    };
    /// True where both are nonzero.
    ("[0, 1, 2]", "[1, 0, 3]" => "[false, false, true]")
    LogicalAnd logical_and, Logic, ALL, (Any, Any), Zero |_, _, _, _| Ok(Partial::Zero);
    /// True where either is nonzero.
    ("[0, 1, 0]", "[1, 0, 0]" => "[true, true, false]")
    LogicalOr logical_or, Logic, ALL, (Any, Any), Zero |_, _, _, _| Ok(Partial::Zero);
    /// The greater of two; NaN if either is.
    ("[1, 5]", "[3]" => "[3, 5]")
    Maximum maximum, Same, ALL, (Any, Any), Smooth |i, a, b, _| {
        is(if i == 0 { a.greater(b) } else { a.less_equal(b) })
    };
    /// The lesser of two; NaN if either is.
    ("[1, 5]", "[3]" => "[1, 3]")
    Minimum minimum, Same, ALL, (Any, Any), Smooth |i, a, b, _| {
        is(if i == 0 { a.less(b) } else { a.greater_equal(b) })
    };
    /// The product.
    ("[[1], [2]]", "[10, 20]" => "[[10, 20], [20, 40]]")
    Multiply multiply, Same, ALL, (Any, Any), Smooth |i, a, b, _| {
        Ok(Partial::Is(if i == 0 { b.clone() } else { a.clone() }))
    };
    /// True where different.
    ("[1, 2]", "[1, 3]" => "[false, true]")
    NotEqual not_equal, Compare, ALL, (Any, Any), Zero |_, _, _, _| Ok(Partial::Zero);
    /// a raised to the power b.
    ("[2, 3]", "[10, 2]" => "[1024, 9]")
    Power power, Same, ALL, (Positive, Positive), Smooth |i, a, b, y| {
        is(if i == 0 {
            a.power(b.subtract(1)?)?.multiply(b)
        } else {
            // At a = 0 the logarithm is infinite but the product's limit is zero.
            let log = a.equal(0)?.select(0.0, a.log()?)?;
            y.multiply(log)
        })
    };
    /// The remainder of `floor_divide`; it has the sign of b.
    ("[7, -7]", "[3]" => "[1, 2]")
    Remainder remainder, Same, REAL, (Any, NonZero), Smooth |i, a, b, _| {
        if i == 0 { Ok(Partial::One) } else { is(a.floor_divide(b)?.negative()) }
    };
    /// The bits moved down by b places.
    ("[16, 48]", "[4]" => "[1, 3]")
    RightShift right_shift, Shift, INTEGRAL, (Any, Any), Zero |_, _, _, _| Ok(Partial::Zero);
    /// The difference.
    ("[1, 2]", "[10]" => "[-9, -8]")
    Subtract subtract, Same, ALL, (Any, Any), Smooth |i, _, _, _| {
        Ok(if i == 0 { Partial::One } else { Partial::MinusOne })
    };
}

impl Array {
    pub(crate) fn unary(&self, op: Unary) -> Result<Array> {
        check_kind(op.name(), self.dtype(), op.kinds())?;
        let (input, output) = op.rule().apply(self.dtype());
        let spec = Spec {
            shape: self.shape().clone(),
            dtype: output,
        };
        Ok(Array::record(Op::Unary(op), [self.astype(input)?], spec))
    }

    pub(crate) fn binary(&self, op: Binary, other: &Array) -> Result<Array> {
        let dtype = self.dtype().promote(other.dtype());
        check_kind(op.name(), dtype, op.kinds())?;
        let (input, output) = op.rule().apply(dtype);
        let shape = self.shape().broadcast(other.shape(), op.name())?;
        shape.checked_bytes(output.size(), op.name())?;
        let left = self.astype(input)?.broadcast_shape(&shape);
        let right = other.astype(input)?.broadcast_shape(&shape);
        Ok(Array::record(
            Op::Binary(op),
            [left, right],
            Spec {
                shape,
                dtype: output,
            },
        ))
    }

    /// Converts the elements to `dtype`; no copy is made if they have it already.
    ///
    /// Floats become integers by dropping the fraction and saturating; NaN becomes zero. Everything
    /// but zero becomes `true`. Complex numbers lose their imaginary part.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, Dtype};
    /// let x = Array::from_slice(&[-1.5f32, 2.7], [2])?.astype(Dtype::Int32)?;
    /// assert_eq!(x.to_vec::<i32>()?, [-1, 2]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn astype(&self, dtype: Dtype) -> Result<Array> {
        if dtype == self.dtype() {
            return Ok(self.clone());
        }
        let spec = Spec {
            shape: self.shape().clone(),
            dtype,
        };
        spec.shape.checked_bytes(dtype.size(), "astype")?;
        Ok(Array::record(Op::Cast, [self.clone()], spec))
    }

    /// Chooses elementwise: from `yes` where this array is nonzero, from `no` elsewhere.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::Array;
    /// let x = Array::from_slice(&[-1.0f32, 2.0], [2])?;
    /// assert_eq!(x.less(0.0)?.select(0.0, &x)?.to_vec::<f32>()?, [0.0, 2.0]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn select(&self, yes: impl IntoOperand, no: impl IntoOperand) -> Result<Array> {
        // A number takes the dtype of the array on the other side, whichever side that is.
        let first = yes.to_operand(self).into_owned();
        let no = no.to_operand(&first).into_owned();
        let yes = yes.to_operand(&no).into_owned();
        let dtype = yes.dtype().promote(no.dtype());
        let shape = self.shape().broadcast(yes.shape(), "select")?;
        let shape = shape.broadcast(no.shape(), "select")?;
        shape.checked_bytes(dtype.size(), "select")?;
        let inputs = [
            self.astype(Dtype::Bool)?.broadcast_shape(&shape),
            yes.astype(dtype)?.broadcast_shape(&shape),
            no.astype(dtype)?.broadcast_shape(&shape),
        ];
        Ok(Array::record(Op::Select, inputs, Spec { shape, dtype }))
    }

    /// The same elements in row-major order in memory of their own.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// let x = array!([[1, 2], [3, 4]]).transpose(..)?;
    /// assert_eq!(&x.data()?.strides[..], &[1, 2]);
    /// assert_eq!(&x.contiguous()?.data()?.strides[..], &[2, 1]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn contiguous(&self) -> Result<Array> {
        Ok(Array::record(Op::Copy, [self.clone()], self.spec().clone()))
    }
}

/// The gradients of a recorded operation that is not a primitive or a view.
///
/// As everywhere in rules, the gradient of a complex input is such that its product with a step, of
/// which the real part counts, is that of the cotangent with the output's step; see [`crate::vjp`].
pub(crate) fn vjp(op: &Op, vjp: &Vjp) -> Result<Gradients> {
    let cotangent = vjp.cotangent();
    let inputs = vjp.inputs;
    match op {
        // The functions that are not complex-differentiable.
        Op::Unary(Unary::Conjugate) => vjp.each(|_| cotangent.conjugate().map(Some)),
        Op::Unary(Unary::Imag) if inputs[0].dtype() == Dtype::Complex64 => vjp.each(|_| {
            let turn = Array::scalar(Complex64::new(0.0, -1.0));
            cotangent.multiply(turn).map(Some)
        }),
        Op::Unary(Unary::Sign) if inputs[0].dtype() == Dtype::Complex64 => vjp.each(|_| {
            let direction = &vjp.outputs[0];
            let along = cotangent.multiply(direction)?.real()?;
            across(
                cotangent,
                &direction.conjugate()?.multiply(along)?,
                &inputs[0],
            )
            .map(Some)
        }),
        Op::Unary(Unary::Abs) if inputs[0].dtype() == Dtype::Complex64 => {
            vjp.each(|_| cotangent.multiply(inputs[0].sign()?.conjugate()?).map(Some))
        }
        Op::Unary(unary) => vjp.each(|_| {
            let gradient = unary
                .partial(&inputs[0], &vjp.outputs[0])?
                .times(cotangent)?;
            gradient.map(|g| g.astype(inputs[0].dtype())).transpose()
        }),
        Op::Binary(binary) => vjp.each(|i| {
            let partial = binary.partial(i, &inputs[0], &inputs[1], &vjp.outputs[0])?;
            let gradient = partial.times(cotangent)?;
            gradient.map(|g| g.astype(inputs[i].dtype())).transpose()
        }),
        Op::Select => vjp.each(|i| match i {
            0 => Ok(None),
            1 => inputs[0].select(cotangent, 0).map(Some),
            _ => inputs[0].select(0, cotangent).map(Some),
        }),
        Op::Cast => vjp.each(|_| {
            let dtype = inputs[0].dtype();
            if is_smooth(dtype) && is_smooth(vjp.outputs[0].dtype()) {
                cotangent.astype(dtype).map(Some)
            } else {
                Ok(None)
            }
        }),
        Op::Copy => vjp.each(|_| Ok(Some(cotangent.clone()))),
        Op::View(_) | Op::Primitive(_) | Op::Placeholder(_) => {
            vjp.unsupported("the operation has rules of its own")
        }
    }
}

/// A step of `z` without its part along `z`, as the direction of `z` sees it; zero at zero.
fn across(step: &Array, along: &Array, z: &Array) -> Result<Array> {
    let size = z.abs()?;
    size.equal(0)?
        .select(0, step.subtract(along)?.divide(size)?)
}

/// The tangent of a recorded operation that is not a primitive or a view.
pub(crate) fn jvp(op: &Op, jvp: &Jvp) -> Result<Option<Array>> {
    let (inputs, output) = (jvp.inputs, &jvp.outputs[0]);
    let dtype = output.dtype();
    let tangent = |i: usize| jvp.tangents[i].as_ref();
    match op {
        // The functions that are not complex-differentiable.
        Op::Unary(Unary::Conjugate) => tangent(0).map(Array::conjugate).transpose(),
        Op::Unary(unary @ (Unary::Real | Unary::Imag)) => {
            tangent(0).map(|t| t.unary(*unary)).transpose()
        }
        Op::Unary(Unary::Sign) if inputs[0].dtype() == Dtype::Complex64 => {
            let Some(tangent) = tangent(0) else {
                return Ok(None);
            };
            let along = output.conjugate()?.multiply(tangent)?.real()?;
            across(tangent, &output.multiply(along)?, &inputs[0]).map(Some)
        }
        Op::Unary(Unary::Abs) if inputs[0].dtype() == Dtype::Complex64 => {
            let Some(tangent) = tangent(0) else {
                return Ok(None);
            };
            let along = inputs[0].sign()?.conjugate()?.multiply(tangent)?;
            along.real().map(Some)
        }
        Op::Unary(unary) => {
            let Some(tangent) = tangent(0) else {
                return Ok(None);
            };
            let tangent = unary.partial(&inputs[0], output)?.times(tangent)?;
            tangent.map(|t| t.astype(dtype)).transpose()
        }
        Op::Binary(binary) => {
            let mut sum: Option<Array> = None;
            for i in 0..2 {
                let Some(tangent) = tangent(i) else { continue };
                let partial = binary.partial(i, &inputs[0], &inputs[1], output)?;
                if let Some(term) = partial.times(tangent)? {
                    sum = Some(match sum {
                        Some(sum) => sum.add(term)?,
                        None => term,
                    });
                }
            }
            sum.map(|t| t.astype(dtype)).transpose()
        }
        Op::Select => match (tangent(1), tangent(2)) {
            (None, None) => Ok(None),
            (Some(yes), None) => inputs[0].select(yes, 0).map(Some),
            (None, Some(no)) => inputs[0].select(0, no).map(Some),
            (Some(yes), Some(no)) => inputs[0].select(yes, no).map(Some),
        },
        Op::Cast if !is_smooth(dtype) => Ok(None),
        Op::Cast => tangent(0).map(|t| t.astype(dtype)).transpose(),
        Op::Copy | Op::View(_) | Op::Primitive(_) | Op::Placeholder(_) => Ok(tangent(0).cloned()),
    }
}

pub(super) fn ops() -> Vec<OpInfo> {
    static ELEMENTWISE: LazyLock<[OpInfo; 3]> = LazyLock::new(|| {
        [
            OpInfo {
                name: "select",
                doc: "Chooses elementwise between two arrays by a condition.",
                signature: "where(condition, x, y)",
                family: Family::Elementwise,
                kinds: kinds::ALL,
                gradient: Gradient::Smooth,
                samples: || {
                    let truth = |shape: &[usize]| Input::new(shape, Domain::Truth);
                    let call = |x: &[Array]| x[0].select(&x[1], &x[2]);
                    vec![
                        Sample::new(
                            "",
                            [truth(&[3, 4]), Input::any([3, 4]), Input::any([4])],
                            call,
                        ),
                        Sample::new(
                            "",
                            [truth(&[3, 1]), Input::any([]), Input::any([1, 5])],
                            call,
                        ),
                        Sample::new("", [truth(&[0]), Input::any([0]), Input::any([1])], call),
                    ]
                },
            },
            OpInfo {
                name: "astype",
                doc: "Converts the elements to another dtype.",
                signature: "astype(x, dtype)",
                family: Family::Elementwise,
                kinds: kinds::ALL,
                gradient: Gradient::Smooth,
                samples: || {
                    [Dtype::Float32, Dtype::Int32, Dtype::Bool, Dtype::Float64]
                        .map(|dtype| {
                            let call = move |x: &[Array]| x[0].astype(dtype);
                            Sample::new(dtype.name(), [Input::any([4, 5])], call)
                        })
                        .to_vec()
                },
            },
            OpInfo {
                name: "contiguous",
                doc: "Copies to row-major order.",
                signature: "contiguous(x)",
                family: Family::Elementwise,
                kinds: kinds::ALL,
                gradient: Gradient::Smooth,
                samples: || vec![Sample::new("", [Input::any([4, 5])], |x| x[0].contiguous())],
            },
        ]
    });
    let mut ops = unary_ops();
    ops.extend(binary_ops());
    ops.extend(ELEMENTWISE.iter().cloned());
    ops
}
