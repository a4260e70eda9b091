//! Owns the fused AdamW step: one pass over the parameter, its gradient and both moments.

use std::sync::Arc;

use num_traits::{Float, One, Zero};
use olivine_core::{Buffer, Call, Dtype, Element, Result, bf16, f16, ops::adamw::AdamW};

use super::copy;
use crate::{
    isa::{Isa, per_isa},
    pool::parallel_for,
    tensor::{Output, wrong_dtype},
};

/// Elements that are worked on at a time, small enough for the first cache.
const BLOCK: usize = 256;

/// Scalar operations for one element; the division and the root are slow.
const COST: usize = 24;

/// The numbers that stay the same for all elements.
#[derive(Clone, Copy)]
struct Rates<C> {
    beta1: C,
    beta2: C,
    eps: C,
    /// What is left of a parameter after weight decay.
    kept: C,
    /// The learning rate over the mean's correction.
    rate: C,
    /// One over the root of the mean square's correction.
    root_scale: C,
}

/// One block: the old values, replaced by the new ones.
struct Block<'a, C> {
    parameter: &'a mut [C],
    gradient: &'a [C],
    mean: &'a mut [C],
    square: &'a mut [C],
}

#[inline(always)]
fn step_body<S: Isa, C: Float>(rates: Rates<C>, block: Block<C>) {
    let Block {
        parameter,
        gradient,
        mean,
        square,
    } = block;
    let (one, len) = (C::one(), parameter.len());
    let (gradient, mean, square) = (&gradient[..len], &mut mean[..len], &mut square[..len]);
    let (rest1, rest2) = (one - rates.beta1, one - rates.beta2);
    for i in 0..len {
        let g = gradient[i];
        let m = mean[i] * rates.beta1 + g * rest1;
        let v = square[i] * rates.beta2 + g * g * rest2;
        // Corrections come after the root, so that large moments do not overflow on the way.
        let divisor = v.sqrt() * rates.root_scale + rates.eps;
        let change = m / divisor * rates.rate;
        parameter[i] = parameter[i] * rates.kept - change;
        mean[i] = m;
        square[i] = v;
    }
}

per_isa! {
    fn step<C: Float>(rates: Rates<C>, block: Block<C>) = step_body;
}

/// A dtype of parameters: how it converts to the dtype its moments have.
trait Parameter: Element {
    type Moment: Element + Float;
    fn widen(self) -> Self::Moment;
    fn narrow(value: Self::Moment) -> Self;
}

macro_rules! parameters {
    ($($ty:ty => $moment:ty, $widen:expr, $narrow:expr;)*) => {$(
        impl Parameter for $ty {
            type Moment = $moment;
            #[inline(always)]
            fn widen(self) -> $moment {
                ($widen)(self)
            }
            #[inline(always)]
            fn narrow(value: $moment) -> $ty {
                ($narrow)(value)
            }
        }
    )*};
}

parameters! {
    f16 => f32, f16::to_f32, f16::from_f32;
    bf16 => f32, bf16::to_f32, bf16::from_f32;
    f32 => f32, std::convert::identity, std::convert::identity;
    f64 => f64, std::convert::identity, std::convert::identity;
}

/// Takes the step.
pub(crate) fn run(rule: &AdamW, call: &mut Call) -> Result<()> {
    match call.dtype(0) {
        Dtype::Float16 => run_as::<f16>(rule, call),
        Dtype::BFloat16 => run_as::<bf16>(rule, call),
        Dtype::Float32 => run_as::<f32>(rule, call),
        Dtype::Float64 => run_as::<f64>(rule, call),
        dtype => Err(wrong_dtype("adamw", dtype)),
    }
}

/// Row-major elements of an input.
struct Source<T> {
    start: *const T,
    /// The memory, if the input had to be copied.
    _copied: Option<Arc<dyn Buffer>>,
}

// SAFETY: threads only read, and the call keeps the memory.
unsafe impl<T: Sync> Sync for Source<T> {}

impl<T: Element> Source<T> {
    fn new(call: &Call, i: usize) -> Result<Self> {
        let input = call.input(i);
        if input.is_contiguous() {
            return Ok(Source {
                start: input.ptr().cast(),
                _copied: None,
            });
        }
        let buffer = call.scratch(input.shape.elements() * size_of::<T>())?;
        let start = buffer.host().as_ptr();
        // SAFETY: the scratch memory is fresh and has room for all elements.
        unsafe { copy::pack(input, start) };
        Ok(Source {
            start: start.cast(),
            _copied: Some(buffer),
        })
    }

    /// Loads elements from position `start` on.
    ///
    /// # Safety
    /// There must be that many elements.
    #[inline(always)]
    unsafe fn load<C>(&self, start: usize, target: &mut [C], convert: impl Fn(T) -> C) {
        for (i, element) in target.iter_mut().enumerate() {
            // SAFETY: passed on from the caller.
            *element = convert(unsafe { self.start.add(start + i).read() });
        }
    }
}

fn run_as<T: Parameter>(rule: &AdamW, call: &mut Call) -> Result<()> {
    let number = |value: f64| {
        <T::Moment as num_traits::NumCast>::from(value).expect("floats hold any number, rounded")
    };
    let numbers = Source::<T::Moment>::new(call, 4)?;
    // SAFETY: infer() checked that there are three rates of this dtype.
    let [learning_rate, mean_correction, square_correction] =
        unsafe { numbers.start.cast::<[T::Moment; 3]>().read() };
    let rates = Rates {
        beta1: number(rule.beta1),
        beta2: number(rule.beta2),
        eps: number(rule.eps),
        kept: T::Moment::one() - number(rule.weight_decay) * learning_rate,
        rate: learning_rate / mean_correction,
        root_scale: square_correction.sqrt().recip(),
    };
    let parameter = Source::<T>::new(call, 0)?;
    let gradient = Source::<T>::new(call, 1)?;
    let mean = Source::<T::Moment>::new(call, 2)?;
    let square = Source::<T::Moment>::new(call, 3)?;
    // Blocks are loaded before anything of theirs is stored, so outputs may replace inputs.
    let next_parameter = Output::<T>::reuse(call, 0, &[0], "adamw")?;
    let next_mean = Output::<T::Moment>::reuse(call, 1, &[2], "adamw")?;
    let next_square = Output::<T::Moment>::reuse(call, 2, &[3], "adamw")?;
    parallel_for(next_parameter.len(), COST, |range| {
        let zero = T::Moment::zero();
        let [mut p, mut g, mut m, mut v] = [[zero; BLOCK]; 4];
        let mut start = range.start;
        while start < range.end {
            let len = BLOCK.min(range.end - start);
            let (p, g) = (&mut p[..len], &mut g[..len]);
            let (m, v) = (&mut m[..len], &mut v[..len]);
            // SAFETY: all inputs have the output's shape, and the block lies within it.
            unsafe {
                parameter.load(start, p, T::widen);
                gradient.load(start, g, T::widen);
                mean.load(start, m, std::convert::identity);
                square.load(start, v, std::convert::identity);
            }
            step(
                rates,
                Block {
                    parameter: &mut *p,
                    gradient: g,
                    mean: &mut *m,
                    square: &mut *v,
                },
            );
            // SAFETY: `parallel_for` hands out disjoint ranges.
            unsafe {
                let block = start..start + len;
                next_mean.part(block.clone()).copy_from_slice(m);
                next_square.part(block.clone()).copy_from_slice(v);
                let target = next_parameter.part(block);
                target
                    .iter_mut()
                    .zip(p)
                    .for_each(|(to, from)| *to = T::narrow(*from));
            }
            start += len;
        }
    });
    Ok(())
}
