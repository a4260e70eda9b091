//! Owns what scalar functions compute, for each dtype, and the loops that apply them to slices.

pub(crate) mod complex;
pub(crate) mod halves;
pub(crate) mod integer;
pub(crate) mod math32;
pub(crate) mod math64;

use crate::isa::{Isa, per_isa};

/// A function of one element.
pub(crate) trait Map1 {
    /// The argument.
    type In: Copy + 'static;
    /// The value.
    type Out: Copy + 'static;
    /// Computes it.
    fn map<S: Isa>(x: Self::In) -> Self::Out;
}

/// A function of two elements of one type.
pub(crate) trait Map2 {
    /// The arguments.
    type In: Copy + 'static;
    /// The value.
    type Out: Copy + 'static;
    /// Computes it.
    fn map<S: Isa>(a: Self::In, b: Self::In) -> Self::Out;
}

#[inline(always)]
fn body1<S: Isa, F: Map1>(x: &[F::In], y: &mut [F::Out]) {
    for (y, x) in y.iter_mut().zip(x) {
        *y = F::map::<S>(*x);
    }
}

#[inline(always)]
fn body2<S: Isa, F: Map2>(a: &[F::In], b: &[F::In], y: &mut [F::Out]) {
    for (y, (a, b)) in y.iter_mut().zip(a.iter().zip(b)) {
        *y = F::map::<S>(*a, *b);
    }
}

per_isa! { fn each1<F: Map1>(x: &[F::In], y: &mut [F::Out]) = body1; }
per_isa! { fn each2<F: Map2>(a: &[F::In], b: &[F::In], y: &mut [F::Out]) = body2; }
per_isa! { [v3] fn each1_v3<F: Map1>(x: &[F::In], y: &mut [F::Out]) = body1; }
per_isa! { [v3] fn each2_v3<F: Map2>(a: &[F::In], b: &[F::In], y: &mut [F::Out]) = body2; }

macro_rules! loops {
    ($one:ident $each1:ident $two:ident $each2:ident) => {
        /// The loop of a function of one element.
        ///
        /// # Safety
        /// As `elementwise::Loop` says, for the function's types.
        pub(crate) unsafe fn $one<F: Map1>(inputs: [*const u8; 3], output: *mut u8, count: usize) {
            // SAFETY: the caller passes `count` elements at each address, and no overlap.
            let (x, y) = unsafe {
                (
                    std::slice::from_raw_parts(inputs[0].cast(), count),
                    std::slice::from_raw_parts_mut(output.cast(), count),
                )
            };
            $each1::<F>(x, y);
        }

        /// The loop of a function of two elements.
        ///
        /// # Safety
        /// As `elementwise::Loop` says, for the function's types.
        pub(crate) unsafe fn $two<F: Map2>(inputs: [*const u8; 3], output: *mut u8, count: usize) {
            // SAFETY: the caller passes `count` elements at each address, and no overlap.
            let (a, b, y) = unsafe {
                (
                    std::slice::from_raw_parts(inputs[0].cast(), count),
                    std::slice::from_raw_parts(inputs[1].cast(), count),
                    std::slice::from_raw_parts_mut(output.cast(), count),
                )
            };
            $each2::<F>(a, b, y);
        }
    };
}

loops! { loop1 each1 loop2 each2 }
loops! { loop1_v3 each1_v3 loop2_v3 each2_v3 }

/// The plan of a function of one element, written as a closure; `S` names the instruction set.
macro_rules! map1 {
    ($run:ident, $cost:expr, $in:ty => $out:ty, |$x:pat_param| $body:expr) => {{
        struct F;
        impl $crate::kernels::scalar::Map1 for F {
            type In = $in;
            type Out = $out;
            #[inline(always)]
            fn map<S: $crate::isa::Isa>($x: $in) -> $out {
                $body
            }
        }
        Some($crate::kernels::elementwise::Plan::new(
            $crate::kernels::scalar::$run::<F>,
            $cost,
        ))
    }};
}
pub(crate) use map1;

/// The plan of a function of two elements, written as a closure; `S` names the instruction set.
macro_rules! map2 {
    ($run:ident, $cost:expr, $in:ty => $out:ty, |$a:pat_param, $b:pat_param| $body:expr) => {{
        struct F;
        impl $crate::kernels::scalar::Map2 for F {
            type In = $in;
            type Out = $out;
            #[inline(always)]
            fn map<S: $crate::isa::Isa>($a: $in, $b: $in) -> $out {
                $body
            }
        }
        Some($crate::kernels::elementwise::Plan::new(
            $crate::kernels::scalar::$run::<F>,
            $cost,
        ))
    }};
}
pub(crate) use map2;
