//! Owns how floating-point parameters are stored: JSON has no infinities and no NaN, so these are
//! written as text, with all their bits.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// A floating-point number as it is stored.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Stored<T> {
    Finite(T),
    /// The bits of another number, in hexadecimal.
    Bits(String),
}

/// A type of floating-point parameters.
pub(crate) trait Parameter: Copy + Serialize + for<'a> Deserialize<'a> {
    /// The bits of a number that JSON cannot hold.
    fn special(self) -> Option<String>;
    /// The number with these bits.
    fn of(bits: &str) -> Option<Self>;
}

macro_rules! parameters {
    ($($ty:ty, $bits:ty;)*) => {$(
        impl Parameter for $ty {
            fn special(self) -> Option<String> {
                (!self.is_finite()).then(|| format!("{:x}", self.to_bits()))
            }

            fn of(bits: &str) -> Option<Self> {
                <$bits>::from_str_radix(bits, 16).ok().map(<$ty>::from_bits)
            }
        }
    )*};
}

parameters! {
    f32, u32;
    f64, u64;
}

impl<T: Parameter> Stored<T> {
    fn new(value: T) -> Self {
        value.special().map_or(Stored::Finite(value), Stored::Bits)
    }

    fn value<E: Error>(self) -> Result<T, E> {
        match self {
            Stored::Finite(value) => Ok(value),
            Stored::Bits(bits) => {
                T::of(&bits).ok_or_else(|| E::custom(format!("`{bits}` are no bits of a number")))
            }
        }
    }
}

pub(crate) fn serialize<T: Parameter, S: Serializer>(
    value: &T,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    Stored::new(*value).serialize(serializer)
}

pub(crate) fn deserialize<'a, T: Parameter, D: Deserializer<'a>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Stored::deserialize(deserializer)?.value()
}

/// The same for parameters that may be missing.
pub(crate) mod option {
    use super::{Deserialize, Deserializer, Parameter, Serialize, Serializer, Stored};

    #[expect(clippy::ref_option, reason = "serde calls it so")]
    pub(crate) fn serialize<T: Parameter, S: Serializer>(
        value: &Option<T>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        value.map(Stored::new).serialize(serializer)
    }

    pub(crate) fn deserialize<'a, T: Parameter, D: Deserializer<'a>>(
        deserializer: D,
    ) -> Result<Option<T>, D::Error> {
        let stored = Option::<Stored<T>>::deserialize(deserializer)?;
        stored.map(Stored::value).transpose()
    }
}
