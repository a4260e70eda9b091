//! Owns running sums, products and extrema. Lines that lie side by side are walked together.

use olivine_core::{
    Call, Complex64, Dtype, Element, Result, bf16, dispatch, f16,
    ops::cumulative::{Cumulate, Running},
    shape::Strides,
};

use super::{
    merge::Mergeable,
    movement::{Source, Target},
};
use crate::{
    pool::parallel_for,
    tensor::{Loops, wrong_dtype},
};

/// Lines that are walked together, so that the inner loop becomes vector code.
const LANES: usize = 64;

/// Runs [`Cumulate`].
pub(crate) fn run(cumulate: &Cumulate, call: &mut Call) -> Result<()> {
    let dtype = call.input(0).dtype;
    if dtype == Dtype::Bool && cumulate.running == Running::Sum {
        return walk::<bool, i32>(cumulate, call, i32::from, 0, Mergeable::plus);
    }
    if cumulate.running == Running::LogSumExp {
        return dispatch!(inexact, dtype, T => {
            let nothing = <T as Cumulated>::Wide::NOTHING;
            walk::<T, T>(cumulate, call, Cumulated::widen, nothing, LogAdd::log_add)
        }, else Err(wrong_dtype("logcumsumexp", dtype)));
    }
    dispatch!(all, dtype, T => match cumulate.running {
        Running::Sum | Running::LogSumExp => walk::<T, T>(cumulate, call, Cumulated::widen, T::NOTHING_SUMMED, Mergeable::plus),
        Running::Prod => walk::<T, T>(cumulate, call, Cumulated::widen, T::NOTHING_MULTIPLIED, Mergeable::times),
        Running::Max => walk::<T, T>(cumulate, call, Cumulated::widen, T::LEAST, Mergeable::greater),
        Running::Min => walk::<T, T>(cumulate, call, Cumulated::widen, T::GREATEST, Mergeable::lesser),
    })
}

/// Lines of `count` elements, walked side by side. Steps are counted in elements.
struct Lines {
    source: *const u8,
    target: *mut u8,
    /// Where the first element of the first line is.
    first: (isize, isize),
    /// From line to line, in the source and in the target.
    jumps: (isize, isize),
    /// From element to element.
    steps: (isize, isize),
    len: usize,
    count: usize,
    inclusive: bool,
}

fn walk<I: Element, O: Cumulated>(
    cumulate: &Cumulate,
    call: &mut Call,
    widen: impl Fn(I) -> O::Wide + Sync,
    nothing: O::Wide,
    combine: impl Fn(O::Wide, O::Wide) -> O::Wide + Sync,
) -> Result<()> {
    walk_lines(cumulate, call, &|lines: Lines| {
        // Only lines whose elements are neighbours gain from being walked together.
        let together = if lines.jumps.1 == 1 { LANES } else { 1 };
        let (source, target) = (lines.source.cast::<I>(), lines.target.cast::<O>());
        let source = source.wrapping_offset(lines.first.0);
        let target = target.wrapping_offset(lines.first.1);
        let (from_line, to_line) = lines.jumps;
        for start in (0..lines.len).step_by(together) {
            let mut state = [nothing; LANES];
            let state = &mut state[..together.min(lines.len - start)];
            let mut source = source.wrapping_offset(start as isize * from_line);
            let mut target = target.wrapping_offset(start as isize * to_line);
            for _ in 0..lines.count {
                for (lane, state) in state.iter_mut().enumerate() {
                    let (read, write) = (lane as isize * from_line, lane as isize * to_line);
                    // SAFETY: both walks stay inside their arrays: `count` elements along the
                    // axis of each line; threads write different lines of fresh memory.
                    unsafe {
                        let before = *state;
                        *state = combine(before, widen(source.wrapping_offset(read).read()));
                        let value = if lines.inclusive { *state } else { before };
                        target.wrapping_offset(write).write(O::narrow(value));
                    }
                }
                source = source.wrapping_offset(lines.steps.0);
                target = target.wrapping_offset(lines.steps.1);
            }
        }
    })
}

/// Hands all lines to `body`, on several threads.
fn walk_lines(cumulate: &Cumulate, call: &mut Call, body: &(dyn Fn(Lines) + Sync)) -> Result<()> {
    let target = Target::new(call.allocate(0)?);
    let (x, axis) = (call.input(0), cumulate.axis);
    let (source, count) = (Source::new(x.ptr()), x.shape[axis]);
    let strides = x.shape.contiguous_strides();
    let (mut from, mut to) = (x.data.strides[axis], strides[axis]);
    let (mut first_from, mut first_to) = (0, 0);
    if cumulate.reverse {
        let last = count as isize - 1;
        (first_from, first_to) = (last * from, last * to);
        (from, to) = (-from, -to);
    }
    let without_axis = |strides: &Strides| -> Strides {
        let mut strides = strides.clone();
        strides.remove(axis);
        strides
    };
    let shape = x.shape.without_axis(axis);
    let lines = Loops::new(
        &shape,
        [&without_axis(&x.data.strides), &without_axis(&strides)],
    );
    let [from_line, to_line] = lines.inner_strides();
    parallel_for(lines.elements(), 2 * count, |range| {
        lines.for_each_run(range, |[source_at, target_at], len| {
            body(Lines {
                source: source.get(),
                target: target.get(),
                first: (source_at + first_from, target_at + first_to),
                jumps: (from_line, to_line),
                steps: (from, to),
                len,
                count,
                inclusive: cumulate.inclusive,
            });
        });
    });
    Ok(())
}

/// Numbers whose exponentials can be summed without leaving logarithms.
trait LogAdd {
    /// The logarithm of zero.
    const NOTHING: Self;
    /// `log(exp(self) + exp(other))`.
    fn log_add(self, other: Self) -> Self;
}

impl LogAdd for f64 {
    const NOTHING: f64 = f64::NEG_INFINITY;
    #[inline(always)]
    fn log_add(self, other: f64) -> f64 {
        if self.is_nan() || self == other {
            // Two equal infinities have no difference.
            return self + std::f64::consts::LN_2;
        }
        let (low, high) = if self < other {
            (self, other)
        } else {
            (other, self)
        };
        high + (low - high).exp().ln_1p()
    }
}

impl LogAdd for f32 {
    const NOTHING: f32 = f32::NEG_INFINITY;
    #[inline(always)]
    fn log_add(self, other: f32) -> f32 {
        f64::from(self).log_add(f64::from(other)) as f32
    }
}

impl LogAdd for Complex64 {
    const NOTHING: Complex64 = Complex64::new(f32::NEG_INFINITY, 0.0);
    #[inline(always)]
    fn log_add(self, other: Complex64) -> Complex64 {
        let (low, high) = if self.re < other.re {
            (self, other)
        } else {
            (other, self)
        };
        if low.re == f32::NEG_INFINITY {
            return high;
        }
        let wide = |z: Complex64| num_complex::Complex::new(f64::from(z.re), f64::from(z.im));
        let sum = wide(high) + ((wide(low) - wide(high)).exp() + 1.0).ln();
        Complex64::new(sum.re as f32, sum.im as f32)
    }
}

/// An element, the type its running value is kept in, and what nothing comes to.
pub(super) trait Cumulated: Element {
    type Wide: Mergeable + Send + Sync;
    const NOTHING_SUMMED: Self::Wide;
    const NOTHING_MULTIPLIED: Self::Wide;
    const LEAST: Self::Wide;
    const GREATEST: Self::Wide;
    fn widen(self) -> Self::Wide;
    fn narrow(wide: Self::Wide) -> Self;
}

macro_rules! cumulated {
    ($($ty:ty: $zero:expr, $one:expr, $least:expr, $greatest:expr;)*) => {$(
        impl Cumulated for $ty {
            type Wide = $ty;
            const NOTHING_SUMMED: $ty = $zero;
            const NOTHING_MULTIPLIED: $ty = $one;
            const LEAST: $ty = $least;
            const GREATEST: $ty = $greatest;
            #[inline(always)]
            fn widen(self) -> $ty {
                self
            }
            #[inline(always)]
            fn narrow(wide: $ty) -> $ty {
                wide
            }
        }
    )*};
}

cumulated! {
    bool: false, true, false, true;
    u8: 0, 1, u8::MIN, u8::MAX;
    u16: 0, 1, u16::MIN, u16::MAX;
    u32: 0, 1, u32::MIN, u32::MAX;
    u64: 0, 1, u64::MIN, u64::MAX;
    i8: 0, 1, i8::MIN, i8::MAX;
    i16: 0, 1, i16::MIN, i16::MAX;
    i32: 0, 1, i32::MIN, i32::MAX;
    i64: 0, 1, i64::MIN, i64::MAX;
    f32: 0.0, 1.0, f32::NEG_INFINITY, f32::INFINITY;
    f64: 0.0, 1.0, f64::NEG_INFINITY, f64::INFINITY;
    Complex64: Complex64::new(0.0, 0.0), Complex64::new(1.0, 0.0),
        Complex64::new(f32::NEG_INFINITY, f32::NEG_INFINITY),
        Complex64::new(f32::INFINITY, f32::INFINITY);
}

// f16 stops counting at 2048 and bf16 at 256, so both keep an f32.
macro_rules! cumulated_halves {
    ($($ty:ty),*) => {$(
        impl Cumulated for $ty {
            type Wide = f32;
            const NOTHING_SUMMED: f32 = 0.0;
            const NOTHING_MULTIPLIED: f32 = 1.0;
            const LEAST: f32 = f32::NEG_INFINITY;
            const GREATEST: f32 = f32::INFINITY;
            #[inline(always)]
            fn widen(self) -> f32 {
                self.to_f32()
            }
            #[inline(always)]
            fn narrow(wide: f32) -> $ty {
                <$ty>::from_f32(wide)
            }
        }
    )*};
}

cumulated_halves!(f16, bf16);

#[cfg(test)]
mod tests {
    use olivine_core::{Array, Dtype, Result, Walk, grad};

    #[test]
    fn sums_run_both_ways_with_and_without_the_element() -> Result<()> {
        let x = Array::arange(1, 7, 1)?.reshape([2, 3])?;
        let sum = |walk: Walk| x.cumsum(walk)?.to_vec::<i32>();
        assert_eq!(sum(Walk::along(1))?, [1, 3, 6, 4, 9, 15]);
        assert_eq!(sum(Walk::along(0))?, [1, 2, 3, 5, 7, 9]);
        assert_eq!(sum(Walk::along(1).reverse())?, [6, 5, 3, 15, 11, 6]);
        assert_eq!(sum(Walk::along(-1).exclusive())?, [0, 1, 3, 0, 4, 9]);
        assert_eq!(
            sum(Walk::along(0).reverse().exclusive())?,
            [4, 5, 6, 0, 0, 0]
        );
        assert_eq!(
            x.transpose(..)?.cumsum(0)?.to_vec::<i32>()?,
            [1, 4, 3, 9, 6, 15]
        );
        assert!(x.cumsum(2).is_err());
        Ok(())
    }

    #[test]
    fn every_dtype_runs() -> Result<()> {
        for dtype in Dtype::ALL {
            let x = Array::from_slice(&[0, 1, 1, 0, 1], [5])?.astype(dtype)?;
            let as_int = |x: Array| x.astype(Dtype::Int32)?.to_vec::<i32>();
            assert_eq!(as_int(x.cumsum(0)?)?, [0, 1, 2, 2, 3], "{dtype}");
            assert_eq!(
                as_int(x.cumprod(Walk::along(0).reverse())?)?,
                [0, 0, 0, 0, 1],
                "{dtype}"
            );
            assert_eq!(as_int(x.cummax(0)?)?, [0, 1, 1, 1, 1], "{dtype}");
            assert_eq!(
                as_int(x.cummin(Walk::along(0).reverse())?)?,
                [0, 0, 0, 0, 1],
                "{dtype}"
            );
        }
        Ok(())
    }

    #[test]
    fn halves_are_summed_in_float32_and_nan_stays() -> Result<()> {
        let x = Array::ones([1000], Dtype::BFloat16)?
            .cumsum(0)?
            .astype(Dtype::Float32)?;
        assert_eq!(x.to_vec::<f32>()?[999], 1000.0);
        let x = Array::from_slice(&[1.0f32, f32::NAN, 3.0], [3])?;
        let y = x.cummax(0)?.to_vec::<f32>()?;
        assert!(y[0] == 1.0 && y[1].is_nan() && y[2].is_nan());
        let first = x.cummax(Walk::along(0).exclusive())?.to_vec::<f32>()?[0];
        assert_eq!(first, f32::NEG_INFINITY);
        Ok(())
    }

    #[test]
    fn many_lines_side_by_side_run_on_their_own() -> Result<()> {
        let x = Array::arange(0, 300 * 200, 1)?.reshape([300, 200])?;
        let y = x.cumsum(0)?.to_vec::<i32>()?;
        for j in 0..200 {
            let mut sum = 0;
            for i in 0..300 {
                sum += i * 200 + j;
                assert_eq!(y[(i * 200 + j) as usize], sum);
            }
        }
        Ok(())
    }

    #[test]
    fn gradients_flow_back_along_the_axis() -> Result<()> {
        let x = Array::from_slice(&[1.0f32, 3.0, 2.0, 5.0], [4])?;
        let w = Array::from_slice(&[1.0f32, 10.0, 100.0, 1000.0], [4])?;
        let sum = grad(|x: &Array| x.cumsum(0)?.multiply(&w)?.sum(..))(&x)?;
        assert_eq!(sum.to_vec::<f32>()?, [1111.0, 1110.0, 1100.0, 1000.0]);
        let max = grad(|x: &Array| x.cummax(0)?.multiply(&w)?.sum(..))(&x)?;
        assert_eq!(max.to_vec::<f32>()?, [1.0, 110.0, 0.0, 1000.0]);
        let back = Walk::along(0).reverse();
        let max = grad(|x: &Array| x.cummax(back)?.multiply(&w)?.sum(..))(&x)?;
        assert_eq!(max.to_vec::<f32>()?, [0.0, 0.0, 0.0, 1111.0]);
        Ok(())
    }
}
