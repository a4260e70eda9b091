//! Owns keys: whole numbers in the order that sorting puts elements in, equal where those are.

use olivine_core::{Complex64, Element, bf16, f16};

/// A key without a sign.
pub(super) trait Key: Copy + Ord + Send + Sync + 'static {
    /// A key and a position in one number, which is in order of the key first.
    type Placed: Placed<Self>;
    /// The bytes of a key.
    const BYTES: usize;

    /// A byte; number 0 weighs least.
    fn byte(self, number: usize) -> u8;
}

/// A key and the position of its element.
pub(super) trait Placed<K>: Copy + Ord + Send + Sync + 'static {
    fn new(key: K, position: usize) -> Self;
    fn key(self) -> K;
    fn position(self) -> u32;
}

/// An element that can be sorted.
pub(super) trait Ordered: Element {
    type Key: Key;

    fn key(self) -> Self::Key;
}

macro_rules! keys {
    ($($key:ty, $placed:ty);*) => {$(
        impl Key for $key {
            type Placed = $placed;
            const BYTES: usize = size_of::<$key>();

            #[inline(always)]
            fn byte(self, number: usize) -> u8 {
                (self >> (8 * number)) as u8
            }
        }

        impl Placed<$key> for $placed {
            #[inline(always)]
            fn new(key: $key, position: usize) -> Self {
                <$placed>::from(key) << 32 | position as u32 as $placed
            }
            #[inline(always)]
            fn key(self) -> $key {
                (self >> 32) as $key
            }
            #[inline(always)]
            fn position(self) -> u32 {
                self as u32
            }
        }
    )*};
}

keys!(u8, u64; u16, u64; u32, u64; u64, u128);

macro_rules! ordered_whole {
    ($($ty:ty, $key:ty, $flip:expr);*) => {$(
        impl Ordered for $ty {
            type Key = $key;

            #[inline(always)]
            fn key(self) -> $key {
                self as $key ^ $flip
            }
        }
    )*};
}

// The sign of a signed number is turned around, so that negative ones come first.
ordered_whole!(
    bool, u8, 0; u8, u8, 0; u16, u16, 0; u32, u32, 0; u64, u64, 0;
    i8, u8, 1 << 7; i16, u16, 1 << 15; i32, u32, 1 << 31; i64, u64, 1 << 63
);

macro_rules! ordered_floats {
    ($($ty:ty, $key:ty, $signed:ty);*) => {$(
        impl Ordered for $ty {
            type Key = $key;

            #[inline(always)]
            fn key(self) -> $key {
                const SIGN: $key = 1 << (<$key>::BITS - 1);
                let infinity = <$ty>::INFINITY.to_bits();
                let bits = self.to_bits();
                // Negative numbers count downwards, and -0 is 0.
                let negative = (bits as $signed >> (<$key>::BITS - 1)) as $key;
                let key = (bits ^ (negative | SIGN)) + <$key>::from(bits == SIGN);
                // NaN is greater than all numbers and equal to itself.
                key | <$key>::from(bits & !SIGN > infinity).wrapping_neg()
            }
        }
    )*};
}

ordered_floats!(f16, u16, i16; bf16, u16, i16; f32, u32, i32; f64, u64, i64);

impl Ordered for Complex64 {
    type Key = u64;

    #[inline(always)]
    fn key(self) -> u64 {
        u64::from(self.re.key()) << 32 | u64::from(self.im.key())
    }
}
