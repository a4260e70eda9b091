//! Owns what scalar functions compute, for each dtype, and the loops that apply them to slices.

#[cfg(test)]
mod accuracy_tests;
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
    /// True if some arguments are rare and slow enough to be computed by [`Map1::slow`] instead, so
    /// that they do not slow down the others.
    const HAS_RARE: bool = false;
    /// True for such an argument.
    #[inline(always)]
    fn rare(_: Self::In) -> bool {
        false
    }
    /// Computes the value of such an argument.
    fn slow(x: Self::In) -> Self::Out {
        Self::map::<crate::isa::Portable>(x)
    }
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
    if F::HAS_RARE {
        for (x, y) in x.chunks(256).zip(y.chunks_mut(256)) {
            let any = x.iter().fold(false, |any, x| any | F::rare(*x));
            if any {
                for (y, x) in y.iter_mut().zip(x).filter(|(_, x)| F::rare(**x)) {
                    *y = F::slow(*x);
                }
            }
        }
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

/// The loop of the inverse error function of `f32`, whose logarithm is not ours and so does not
/// vectorise: it is taken first, the rest vectorises.
///
/// # Safety
/// As `elementwise::Loop` says.
pub(crate) unsafe fn erfinv_loop(inputs: [*const u8; 3], output: *mut u8, count: usize) {
    struct Log;
    impl Map1 for Log {
        type In = f32;
        type Out = f32;
        #[inline(always)]
        fn map<S: Isa>(x: f32) -> f32 {
            math32::erfinv_log(x)
        }
    }
    struct OfLog;
    impl Map2 for OfLog {
        type In = f32;
        type Out = f32;
        #[inline(always)]
        fn map<S: Isa>(x: f32, log: f32) -> f32 {
            math32::erfinv_of_log(x, log)
        }
    }
    // SAFETY: the caller passes `count` elements at each address, and no overlap.
    let (x, y) = unsafe {
        (
            std::slice::from_raw_parts(inputs[0].cast::<f32>(), count),
            std::slice::from_raw_parts_mut(output.cast::<f32>(), count),
        )
    };
    for (x, y) in x.chunks(128).zip(y.chunks_mut(128)) {
        let mut logs = [0.0; 128];
        let logs = &mut logs[..x.len()];
        each1::<Log>(x, logs);
        each2::<OfLog>(x, logs, y);
    }
}

/// The plan of a function of one element, written as a closure; `S` names the instruction set.
macro_rules! plan1 {
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
        $crate::kernels::elementwise::Plan::new($crate::kernels::scalar::$run::<F>, $cost)
    }};
}
pub(crate) use plan1;

/// As `plan1`, for matches in which some operations have no plan.
macro_rules! map1 {
    ($($rest:tt)*) => {
        Some($crate::kernels::scalar::plan1!($($rest)*))
    };
}
pub(crate) use map1;

/// As `map1`, for a function whose `rare` arguments another one computes.
macro_rules! map1_rare {
    ($run:ident, $cost:expr, $ty:ty, |$x:pat_param| $body:expr, $rare:expr, $slow:expr) => {{
        struct F;
        impl $crate::kernels::scalar::Map1 for F {
            type In = $ty;
            type Out = $ty;
            #[inline(always)]
            fn map<S: $crate::isa::Isa>($x: $ty) -> $ty {
                $body
            }
            const HAS_RARE: bool = true;
            #[inline(always)]
            fn rare(x: $ty) -> bool {
                $rare(x)
            }
            fn slow(x: $ty) -> $ty {
                $slow(x)
            }
        }
        Some($crate::kernels::elementwise::Plan::new(
            $crate::kernels::scalar::$run::<F>,
            $cost,
        ))
    }};
}
pub(crate) use map1_rare;

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
