//! Owns the choice of instruction set: made once at run time, forced by `OLIVINE_ISA`.

use std::sync::atomic::{AtomicU8, Ordering};

/// A set of instructions that kernels are compiled for.
///
/// ```
/// use olivine_cpu::Level;
/// assert!(Level::V4 > Level::Portable);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Level {
    /// What every processor of the architecture has: SSE2 on x86-64, NEON on AArch64.
    Portable = 1,
    /// NEON and dot products of bytes: AArch64 with `dotprod`.
    Dot = 2,
    /// AVX2, FMA and F16C: x86-64-v3.
    V3 = 3,
    /// The 512-bit extensions F, BW, DQ, VL and CD: x86-64-v4.
    V4 = 4,
    /// On x86-64 V4 and dot products of `bf16` pairs and of bytes; pairs are twice as fast as `f32` on
    /// Zen 4 and later. On AArch64 Dot and `bf16` and `i8mm`: dot products of pairs, and products of
    /// small matrices of bytes.
    Bf16 = 5,
}

static CHOSEN: AtomicU8 = AtomicU8::new(0);

/// The level for whole numbers, where it does not matter that pairs are slow.
static CHOSEN_FOR_BYTES: AtomicU8 = AtomicU8::new(0);

/// The instruction set that kernels run with on this machine.
///
/// The variable `OLIVINE_ISA` (`portable`, `dot`, `v3`, `v4` or `bf16`) changes it; levels the machine
/// lacks are never chosen. Intel's processors multiply pairs of `bf16` at half the speed of `f32`, so they
/// run with V4 if the variable does not say `bf16`.
///
/// ```
/// // It is found out once; the variable `OLIVINE_ISA` can change it.
/// assert_eq!(olivine_cpu::level(), olivine_cpu::level());
/// ```
#[inline]
pub fn level() -> Level {
    read(&CHOSEN)
}

/// The instruction set for dot products of bytes: as [`level`], but all that the machine has where the
/// variable does not forbid it.
#[inline]
pub(crate) fn level_for_bytes() -> Level {
    read(&CHOSEN_FOR_BYTES)
}

#[inline]
fn read(choice: &AtomicU8) -> Level {
    match choice.load(Ordering::Relaxed) {
        0 => {
            choose();
            read(choice)
        }
        1 => Level::Portable,
        2 => Level::Dot,
        3 => Level::V3,
        4 => Level::V4,
        _ => Level::Bf16,
    }
}

#[cold]
fn choose() {
    let best = detect();
    let wanted = match std::env::var("OLIVINE_ISA").as_deref() {
        Ok("portable") => Some(Level::Portable),
        Ok("dot") if cfg!(target_arch = "aarch64") => Some(Level::Dot),
        Ok("v3") if cfg!(target_arch = "x86_64") => Some(Level::V3),
        Ok("v4") if cfg!(target_arch = "x86_64") => Some(Level::V4),
        Ok("bf16") => Some(Level::Bf16),
        _ => None,
    };
    let usual = if pairs_are_slow() { Level::V4 } else { best };
    let level = wanted.unwrap_or(usual).min(best);
    CHOSEN.store(level as u8, Ordering::Relaxed);
    let level = wanted.unwrap_or(best).min(best);
    CHOSEN_FOR_BYTES.store(level as u8, Ordering::Relaxed);
}

/// The best level of this machine.
pub(crate) fn detect() -> Level {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        let v3 = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("f16c")
            && is_x86_feature_detected!("bmi2");
        let v4 = v3
            && is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512cd");
        if v4 && is_x86_feature_detected!("avx512bf16") && is_x86_feature_detected!("avx512vnni") {
            return Level::Bf16;
        }
        if v4 {
            return Level::V4;
        }
        if v3 {
            return Level::V3;
        }
    }
    #[cfg(all(target_arch = "aarch64", not(miri)))]
    if std::arch::is_aarch64_feature_detected!("dotprod") {
        let more = std::arch::is_aarch64_feature_detected!("bf16")
            && std::arch::is_aarch64_feature_detected!("i8mm");
        return if more { Level::Bf16 } else { Level::Dot };
    }
    Level::Portable
}

/// True if the processor is Intel's, measured on Sapphire Rapids: one dot product of pairs in two
/// cycles, but two multiply-adds of `f32` in one.
fn pairs_are_slow() -> bool {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        let vendor = std::arch::x86_64::__cpuid(0);
        let name = [vendor.ebx, vendor.edx, vendor.ecx].map(u32::to_le_bytes);
        name.as_flattened() == b"GenuineIntel"
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    false
}

/// A level as a type, so that one generic body can ask what it is being compiled for.
pub(crate) trait Isa: Copy + 'static {
    /// True if halves are converted by instructions of their own.
    const F16C: bool;
    /// True if fused multiply-add is one instruction.
    const FMA: bool;

    /// `a * b + c`, fused where that is fast and rounded twice where it is not.
    #[inline(always)]
    fn fma(a: f32, b: f32, c: f32) -> f32 {
        if Self::FMA {
            a.mul_add(b, c)
        } else {
            a * b + c
        }
    }
}

/// The type of [`Level::Portable`], and of levels that add a few instructions to it.
#[derive(Clone, Copy)]
pub(crate) struct Plain<const MORE: u8>;

/// The type of [`Level::Portable`].
pub(crate) type Portable = Plain<0>;

/// What [`Plain`] has more at [`Level::Dot`] and, on AArch64, at [`Level::Bf16`].
#[cfg(target_arch = "aarch64")]
pub(crate) const MORE_DOT: u8 = 1;
#[cfg(target_arch = "aarch64")]
pub(crate) const MORE_BF16: u8 = 2;

/// The type of [`Level::Dot`].
#[cfg(target_arch = "aarch64")]
pub(crate) type ArmDot = Plain<MORE_DOT>;
/// The type of [`Level::Bf16`] on AArch64.
#[cfg(target_arch = "aarch64")]
pub(crate) type ArmBf16 = Plain<MORE_BF16>;

/// The type of [`Level::V3`].
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub(crate) struct V3;
/// The type of [`Level::V4`].
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub(crate) struct V4;

/// The type of [`Level::Bf16`].
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub(crate) struct V4Bf16;

impl<const MORE: u8> Isa for Plain<MORE> {
    const F16C: bool = cfg!(target_arch = "aarch64");
    const FMA: bool = cfg!(target_arch = "aarch64");
}
#[cfg(target_arch = "x86_64")]
impl Isa for V3 {
    const F16C: bool = true;
    const FMA: bool = true;
}
#[cfg(target_arch = "x86_64")]
impl Isa for V4 {
    const F16C: bool = true;
    const FMA: bool = true;
}

#[cfg(target_arch = "x86_64")]
impl Isa for V4Bf16 {
    const F16C: bool = true;
    const FMA: bool = true;
}

/// Compiles one generic body for each instruction set and calls the one this machine has.
///
/// `body` must be `#[inline(always)]` and take an [`Isa`] as its first type parameter:
///
/// ```text
/// #[inline(always)]
/// fn dot_body<S: Isa>(a: &[f32], b: &[f32]) -> f32 { … S::fma(…) … }
/// per_isa! { pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 = dot_body; }
/// ```
///
/// `[v3]` before the name leaves out the 512-bit version, which saves compile time where it gains
/// nothing; `[bf16]` compiles only one for [`Level::Bf16`], and in tests a portable one, with which
/// other machines check the rest of the code; `[bytes]` is for dot products of bytes, of which V4 alone
/// has none that are wider than those of V3.
macro_rules! per_isa {
    ($(#[$meta:meta])* $vis:vis fn $name:ident $(<$($g:ident : $bound:path),+>)?
        ($($arg:ident : $ty:ty),* $(,)?) $(-> $ret:ty)? = $body:ident;) => {
        $(#[$meta])*
        #[inline]
        $vis fn $name $(<$($g: $bound),+>)? ($($arg: $ty),*) $(-> $ret)? {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512cd,avx2,fma,f16c,bmi2")]
                fn v4 $(<$($g: $bound),+>)? ($($arg: $ty),*) $(-> $ret)? {
                    $body::<$crate::isa::V4 $($(, $g)+)?>($($arg),*)
                }
                #[target_feature(enable = "avx2,fma,f16c,bmi2")]
                fn v3 $(<$($g: $bound),+>)? ($($arg: $ty),*) $(-> $ret)? {
                    $body::<$crate::isa::V3 $($(, $g)+)?>($($arg),*)
                }
                match $crate::isa::level() {
                    // SAFETY: the level was detected, so the processor has these instructions.
                    $crate::isa::Level::V4 | $crate::isa::Level::Bf16 => return unsafe { v4 $(::<$($g),+>)? ($($arg),*) },
                    // SAFETY: as above.
                    $crate::isa::Level::V3 => return unsafe { v3 $(::<$($g),+>)? ($($arg),*) },
                    $crate::isa::Level::Dot | $crate::isa::Level::Portable => {}
                }
            }
            $body::<$crate::isa::Portable $($(, $g)+)?>($($arg),*)
        }
    };
    ([bf16] $(#[$meta:meta])* $vis:vis fn $name:ident $(<$($g:ident : $bound:path),+>)?
        ($($arg:ident : $ty:ty),* $(,)?) $(-> $ret:ty)? = $body:ident;) => {
        $(#[$meta])*
        $vis fn $name $(<$($g: $bound),+>)? ($($arg: $ty),*) $(-> $ret)? {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(
                    enable = "avx512bf16,avx512f,avx512bw,avx512dq,avx512vl,avx512cd,avx2,fma,f16c,bmi2"
                )]
                fn bf16 $(<$($g: $bound),+>)? ($($arg: $ty),*) $(-> $ret)? {
                    $body::<$crate::isa::V4Bf16 $($(, $g)+)?>($($arg),*)
                }
                if $crate::isa::level() == $crate::isa::Level::Bf16 {
                    // SAFETY: the level was detected, so the processor has these instructions.
                    return unsafe { bf16 $(::<$($g),+>)? ($($arg),*) };
                }
            }
            #[cfg(target_arch = "aarch64")]
            {
                #[target_feature(enable = "bf16,i8mm,dotprod")]
                fn bf16 $(<$($g: $bound),+>)? ($($arg: $ty),*) $(-> $ret)? {
                    $body::<$crate::isa::ArmBf16 $($(, $g)+)?>($($arg),*)
                }
                if $crate::isa::level() == $crate::isa::Level::Bf16 {
                    // SAFETY: as above.
                    return unsafe { bf16 $(::<$($g),+>)? ($($arg),*) };
                }
            }
            #[cfg(test)]
            return $body::<$crate::isa::Portable $($(, $g)+)?>($($arg),*);
            #[cfg(not(test))]
            {
                $(let _ = $arg;)*
                unreachable!("pairs are computed with only where they are fast")
            }
        }
    };
    ([bytes] $(#[$meta:meta])* $vis:vis fn $name:ident $(<$($g:ident : $bound:path),+>)?
        ($($arg:ident : $ty:ty),* $(,)?) $(-> $ret:ty)? = $body:ident;) => {
        $(#[$meta])*
        $vis fn $name $(<$($g: $bound),+>)? ($($arg: $ty),*) $(-> $ret)? {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(
                    enable = "avx512vnni,avx512f,avx512bw,avx512dq,avx512vl,avx512cd,avx2,fma,f16c,bmi2"
                )]
                fn vnni $(<$($g: $bound),+>)? ($($arg: $ty),*) $(-> $ret)? {
                    $body::<$crate::isa::V4Bf16 $($(, $g)+)?>($($arg),*)
                }
                #[target_feature(enable = "avx2,fma,f16c,bmi2")]
                fn v3 $(<$($g: $bound),+>)? ($($arg: $ty),*) $(-> $ret)? {
                    $body::<$crate::isa::V3 $($(, $g)+)?>($($arg),*)
                }
                match $crate::isa::level_for_bytes() {
                    // SAFETY: the level was detected, so the processor has these instructions.
                    $crate::isa::Level::Bf16 => return unsafe { vnni $(::<$($g),+>)? ($($arg),*) },
                    // SAFETY: as above.
                    $crate::isa::Level::V4 | $crate::isa::Level::V3 => return unsafe { v3 $(::<$($g),+>)? ($($arg),*) },
                    $crate::isa::Level::Dot | $crate::isa::Level::Portable => {}
                }
            }
            #[cfg(target_arch = "aarch64")]
            {
                #[target_feature(enable = "bf16,i8mm,dotprod")]
                fn bf16 $(<$($g: $bound),+>)? ($($arg: $ty),*) $(-> $ret)? {
                    $body::<$crate::isa::ArmBf16 $($(, $g)+)?>($($arg),*)
                }
                #[target_feature(enable = "dotprod")]
                fn dot $(<$($g: $bound),+>)? ($($arg: $ty),*) $(-> $ret)? {
                    $body::<$crate::isa::ArmDot $($(, $g)+)?>($($arg),*)
                }
                match $crate::isa::level_for_bytes() {
                    // SAFETY: as above.
                    $crate::isa::Level::Bf16 => return unsafe { bf16 $(::<$($g),+>)? ($($arg),*) },
                    // SAFETY: as above.
                    $crate::isa::Level::Dot => return unsafe { dot $(::<$($g),+>)? ($($arg),*) },
                    _ => {}
                }
            }
            $body::<$crate::isa::Portable $($(, $g)+)?>($($arg),*)
        }
    };
    ([v3] $(#[$meta:meta])* $vis:vis fn $name:ident $(<$($g:ident : $bound:path),+>)?
        ($($arg:ident : $ty:ty),* $(,)?) $(-> $ret:ty)? = $body:ident;) => {
        $(#[$meta])*
        #[inline]
        $vis fn $name $(<$($g: $bound),+>)? ($($arg: $ty),*) $(-> $ret)? {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2,fma,f16c,bmi2")]
                fn v3 $(<$($g: $bound),+>)? ($($arg: $ty),*) $(-> $ret)? {
                    $body::<$crate::isa::V3 $($(, $g)+)?>($($arg),*)
                }
                if $crate::isa::level() >= $crate::isa::Level::V3 {
                    // SAFETY: the level was detected, so the processor has these instructions.
                    return unsafe { v3 $(::<$($g),+>)? ($($arg),*) };
                }
            }
            $body::<$crate::isa::Portable $($(, $g)+)?>($($arg),*)
        }
    };
}
pub(crate) use per_isa;
