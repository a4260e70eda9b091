//! Owns how close a result must come to the reference.

use olivine_core::{
    Dtype,
    ops::{Family, OpInfo},
};

use crate::{Tensor, Value};

/// How far a result may lie from the reference.
#[derive(Clone, Copy, Debug)]
pub struct Tolerance {
    /// Relative to the expected magnitude.
    pub relative: f64,
    /// In absolute terms.
    pub absolute: f64,
}

/// The distance from one to the next number of a dtype; zero for integers.
pub fn epsilon(dtype: Dtype) -> f64 {
    match dtype {
        Dtype::Float16 => 2f64.powi(-10),
        Dtype::BFloat16 => 2f64.powi(-7),
        Dtype::Float32 | Dtype::Complex64 => 2f64.powi(-23),
        Dtype::Float64 => 2f64.powi(-52),
        Dtype::Bool
        | Dtype::Uint8
        | Dtype::Uint16
        | Dtype::Uint32
        | Dtype::Uint64
        | Dtype::Int8
        | Dtype::Int16
        | Dtype::Int32
        | Dtype::Int64 => 0.0,
    }
}

impl Tolerance {
    /// Equal, but for the sign of a zero.
    pub const EXACT: Tolerance = Tolerance {
        relative: 0.0,
        absolute: 0.0,
    };

    /// The same distance relatively and absolutely.
    pub fn both(distance: f64) -> Self {
        Tolerance {
            relative: distance,
            absolute: distance,
        }
    }

    /// What an operation owes a result of `dtype`, its inputs being around one.
    pub fn of(op: &OpInfo, dtype: Dtype) -> Self {
        let epsilon = epsilon(dtype);
        let steps = match dtype {
            Dtype::Float16 | Dtype::BFloat16 => 1.0,
            Dtype::Float64 => 64.0,
            _ => 8.0,
        };
        let sums = Tolerance::both(2.0 * steps * epsilon);
        match op.family {
            // Its result passes through zero where its arguments do not, so they set the distance.
            Family::Binary if op.name == "logaddexp" => Tolerance::both(steps * epsilon),
            Family::Unary | Family::Binary => Tolerance {
                relative: steps * epsilon,
                // A result below the normal numbers may lose digits, not vanish from far above.
                absolute: match dtype {
                    Dtype::Float16 => 2f64.powi(-24),
                    Dtype::Float64 => f64::MIN_POSITIVE * epsilon * 2.0,
                    _ => f64::from(f32::MIN_POSITIVE) * 2f64.powi(-22),
                },
            },
            // Their steps add up rounding errors.
            Family::Creation
                if matches!(
                    op.name,
                    "arange" | "linspace" | "bartlett" | "blackman" | "hamming" | "hanning"
                ) =>
            {
                sums
            }
            Family::Indexing if op.name.starts_with("scatter_") || op.name.starts_with("at.") => {
                sums
            }
            // Decompositions and transforms are long chains of sums.
            Family::Linear if op.name.starts_with("linalg.") || op.name.starts_with("fft.") => {
                Tolerance::both(8.0 * steps * epsilon)
            }
            Family::Creation
            | Family::Shape
            | Family::Indexing
            | Family::Sorting
            | Family::Elementwise
            | Family::Query => Tolerance::EXACT,
            Family::Reduction | Family::Linear | Family::Fast | Family::Random => sums,
        }
    }

    /// Whether `got` is close enough to `expected`; if not, says where it is not.
    pub fn check(&self, got: &Tensor, expected: &Tensor) -> Result<(), String> {
        if got.shape != expected.shape {
            return Err(format!(
                "shape {:?} where {:?} was expected",
                got.shape, expected.shape
            ));
        }
        if got.dtype != expected.dtype {
            return Err(format!(
                "dtype {} where {} was expected",
                got.dtype, expected.dtype
            ));
        }
        let mut wrong = got
            .values
            .iter()
            .zip(&expected.values)
            .enumerate()
            .filter(|(_, (g, e))| !self.close(**g, **e));
        let Some((at, (g, e))) = wrong.next() else {
            return Ok(());
        };
        let more = wrong.count();
        Err(format!(
            "element {at} is {g:?}, expected {e:?} (and {more} more of {})",
            got.values.len()
        ))
    }

    fn close(&self, got: Value, expected: Value) -> bool {
        match (got, expected) {
            (Value::Int(g), Value::Int(e)) => g == e,
            (Value::Real(g), Value::Real(e)) => self.real(g, e, e.abs()),
            _ => {
                let (g, e) = (got.complex(), expected.complex());
                // Each part may be off by what the modulus allows.
                let scale = e.norm();
                self.real(g.re, e.re, scale) && self.real(g.im, e.im, scale)
            }
        }
    }

    fn real(&self, got: f64, expected: f64, scale: f64) -> bool {
        if got.is_nan() || expected.is_nan() {
            return got.is_nan() && expected.is_nan();
        }
        got == expected
            || (got - expected).abs() <= self.absolute + self.relative * scale && scale.is_finite()
    }
}
