//! Owns random inputs for tests of kernels: values, and arrays of many layouts.

use olivine_core::{Array, Dtype, Result};

/// A small random number generator, so that failures repeat.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (self.0 >> 33) as usize % bound
    }

    /// A number between −1 and 1.
    pub(crate) fn unit(&mut self) -> f32 {
        self.below(1 << 20) as f32 / (1 << 19) as f32 - 1.0
    }

    /// An array of `shape` and `dtype` with numbers between −1 and 1, in one of several layouts:
    /// row-major, transposed, every second element of a larger array, backwards, or broadcast.
    pub(crate) fn array(&mut self, shape: &[usize], dtype: Dtype) -> Result<Array> {
        let rank = shape.len();
        let fresh = |random: &mut Self, shape: &[usize]| {
            let values: Vec<f32> = (0..shape.iter().product()).map(|_| random.unit()).collect();
            Array::from_slice(&values, shape)?.astype(dtype)
        };
        match self.below(5) {
            1 => {
                let reversed: Vec<usize> = shape.iter().rev().copied().collect();
                fresh(self, &reversed)?.transpose(..)
            }
            2 if rank >= 2 => {
                let mut order: Vec<i64> = (0..rank as i64).collect();
                order.swap(rank - 1, rank - 2);
                let swapped: Vec<usize> = order.iter().map(|&i| shape[i as usize]).collect();
                fresh(self, &swapped)?.transpose(&order[..])
            }
            3 if rank >= 1 => {
                // A column of pairs: steps of two along the last axis.
                let mut pairs = shape.to_vec();
                pairs.push(2);
                let mut order: Vec<i64> = (0..rank as i64).collect();
                order.insert(0, rank as i64);
                let moved = fresh(self, &pairs)?.transpose(&order[..])?;
                moved.max(0)?.add(0)?.eval()?;
                moved.min(0)
            }
            4 if rank >= 1 => {
                let mut thin = shape.to_vec();
                let axis = self.below(rank);
                thin[axis] = 1;
                fresh(self, &thin)?.broadcast_to(shape)
            }
            _ => fresh(self, shape),
        }
    }
}

/// The values of an array as `f64`, in row-major order.
pub(crate) fn values(x: &Array) -> Result<Vec<f64>> {
    x.astype(Dtype::Float64)?.to_vec::<f64>()
}

/// The relative error that one rounding of `dtype` may make.
pub(crate) fn rounding(dtype: Dtype) -> f64 {
    match dtype {
        Dtype::Float16 => 1.0 / 2048.0,
        Dtype::BFloat16 => 1.0 / 256.0,
        Dtype::Float64 => 1e-15,
        _ => 1e-7,
    }
}

/// Fails if two lists differ by more than `tolerance`, absolute and relative.
#[track_caller]
pub(crate) fn assert_close(found: &[f64], expected: &[f64], tolerance: f64, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (i, (f, e)) in found.iter().zip(expected).enumerate() {
        let close =
            f == e || f.is_nan() && e.is_nan() || (f - e).abs() <= tolerance * (1.0 + e.abs());
        assert!(close, "{what}: {f} instead of {e} at {i}");
    }
}
