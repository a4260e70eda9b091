//! Owns integer arithmetic where Rust's operators differ from the arrays': floors, powers, shifts.

/// The operations of one integer type.
pub(crate) trait Integer: Copy {
    /// The quotient rounded down; zero where the divisor is.
    fn floor_divide(self, divisor: Self) -> Self;
    /// The remainder with the divisor's sign; the dividend where the divisor is zero.
    fn floor_remainder(self, divisor: Self) -> Self;
    /// The power, wrapping; zero where the exponent is negative.
    fn power(self, exponent: Self) -> Self;
    /// Bits moved up; the count is taken modulo the width, of 32 bits at least.
    fn shift_left(self, count: Self) -> Self;
    /// Bits moved down, keeping the sign; the count is taken modulo the width, of 32 bits at least.
    fn shift_right(self, count: Self) -> Self;
    /// -1, 0 or 1.
    fn sign(self) -> Self;
    /// The absolute value, wrapping.
    fn magnitude(self) -> Self;
}

macro_rules! integers {
    ($($ty:ident $wide:ident $signed:literal),*) => {$(
        impl Integer for $ty {
            #[inline(always)]
            fn floor_divide(self, divisor: Self) -> Self {
                let negative = |x: $ty| $signed && (x as i64) < 0;
                if divisor == 0 {
                    return 0;
                }
                let quotient = self.wrapping_div(divisor);
                let inexact = quotient.wrapping_mul(divisor) != self;
                let below = inexact && (negative(self) != negative(divisor));
                quotient.wrapping_sub(below as $ty)
            }
            #[inline(always)]
            fn floor_remainder(self, divisor: Self) -> Self {
                let negative = |x: $ty| $signed && (x as i64) < 0;
                if divisor == 0 {
                    return self;
                }
                let remainder = self.wrapping_rem(divisor);
                let other_sign = remainder != 0 && (negative(remainder) != negative(divisor));
                if other_sign { remainder.wrapping_add(divisor) } else { remainder }
            }
            #[inline(always)]
            fn power(self, exponent: Self) -> Self {
                let negative = |x: $ty| $signed && (x as i64) < 0;
                if negative(exponent) {
                    return 0;
                }
                let (mut result, mut base, mut left) = (1 as $ty, self, exponent);
                while left != 0 {
                    if left & 1 == 1 {
                        result = result.wrapping_mul(base);
                    }
                    base = base.wrapping_mul(base);
                    left >>= 1;
                }
                result
            }
            #[inline(always)]
            fn shift_left(self, count: Self) -> Self {
                (self as $wide).wrapping_shl(count as u32) as $ty
            }
            #[inline(always)]
            fn shift_right(self, count: Self) -> Self {
                (self as $wide).wrapping_shr(count as u32) as $ty
            }
            #[inline(always)]
            fn sign(self) -> Self {
                let negative = |x: $ty| $signed && (x as i64) < 0;
                ((self != 0 && !negative(self)) as $ty).wrapping_sub(negative(self) as $ty)
            }
            #[inline(always)]
            fn magnitude(self) -> Self {
                let negative = |x: $ty| $signed && (x as i64) < 0;
                if negative(self) { self.wrapping_neg() } else { self }
            }
        }
    )*};
}

integers! {
    u8 i32 false, u16 i32 false, u32 u32 false, u64 u64 false,
    i8 i32 true, i16 i32 true, i32 i32 true, i64 i64 true
}

#[cfg(test)]
mod tests {
    use super::Integer;

    #[test]
    fn division_rounds_down_and_never_traps() {
        assert_eq!((-7i32).floor_divide(3), -3);
        assert_eq!(7i32.floor_divide(-3), -3);
        assert_eq!((-7i32).floor_remainder(3), 2);
        assert_eq!(7i32.floor_remainder(-3), -2);
        assert_eq!(i32::MIN.floor_divide(-1), i32::MIN);
        assert_eq!(i32::MIN.floor_remainder(-1), 0);
        assert_eq!(5u8.floor_divide(0), 0);
        assert_eq!(5u8.floor_remainder(0), 5);
        for a in i8::MIN..=i8::MAX {
            for b in i8::MIN..=i8::MAX {
                if b != 0 {
                    let exact = (a as f64 / b as f64).floor() as i64 as i8;
                    assert_eq!(
                        a.floor_divide(b),
                        if (a, b) == (i8::MIN, -1) { a } else { exact }
                    );
                    let remainder = a as i64 - (a as f64 / b as f64).floor() as i64 * b as i64;
                    assert_eq!(a.floor_remainder(b) as i64, remainder);
                }
            }
        }
    }

    #[test]
    fn powers_wrap_and_negative_exponents_give_zero() {
        assert_eq!(3i32.power(4), 81);
        assert_eq!(2i8.power(7), -128);
        assert_eq!(0i32.power(0), 1);
        assert_eq!(1i32.power(-1), 0);
        assert_eq!(7u64.power(23), 7u64.wrapping_pow(23));
    }

    #[test]
    fn shift_counts_wrap_at_the_register_width() {
        assert_eq!(1i32.shift_left(33), 2);
        assert_eq!(255u8.shift_left(9), 0);
        assert_eq!((-8i8).shift_right(1), -4);
        assert_eq!(1i64.shift_left(65), 2);
    }
}
