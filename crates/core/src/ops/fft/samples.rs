//! Owns what the list of ops says of Fourier transforms.

use super::{
    Border, Istft, Norm, Stft, fft, fft2, fftfreq, fftn, fftshift, ifft, ifft2, ifftn, ifftshift,
    irfft, irfft2, irfftn, istft, rfft, rfft2, rfftfreq, rfftn, stft,
};
use crate::{
    Array, Dtype, Result,
    ops::{Family, Gradient, Input, OpInfo, Sample, info::kinds},
};

type One = fn(&Array, Option<usize>, i64, Norm) -> Result<Array>;
type Two = fn(&Array, Option<&[usize]>, Option<[i64; 2]>, Norm) -> Result<Array>;
type Many = fn(&Array, Option<&[usize]>, Option<&[i64]>, Norm) -> Result<Array>;

/// The real and the imaginary part one after the other, so that both are compared and differentiated.
fn parts(z: &Array) -> Result<Vec<Array>> {
    if z.dtype() != Dtype::Complex64 {
        return Ok(vec![z.clone()]);
    }
    let turned = z.multiply(Array::scalar(crate::Complex64::new(0.0, -1.0)))?;
    Ok(vec![z.real()?, turned.real()?])
}

fn ones(call: One) -> Vec<Sample> {
    let case = move |shape: &[usize], n: Option<usize>, axis: i64, norm: Norm| {
        let label = match n {
            Some(n) => format!("n={n}, axis={axis}, norm={norm:?}"),
            None => format!("axis={axis}, norm={norm:?}"),
        };
        let inputs = [Input::any(shape)];
        Sample::many(label, inputs, move |x| parts(&call(&x[0], n, axis, norm)?))
    };
    vec![
        case(&[8], None, -1, Norm::Backward),
        case(&[2, 7], None, 1, Norm::Ortho),
        case(&[5, 3], None, 0, Norm::Forward),
        case(&[2, 6], Some(4), -1, Norm::Backward),
        case(&[3, 2], Some(5), 0, Norm::Backward),
        case(&[2, 3], Some(1), -1, Norm::Ortho),
        case(&[0, 4], None, -1, Norm::Backward),
        case(&[2, 31], None, -1, Norm::Backward),
    ]
}

fn twos(call: Two) -> Vec<Sample> {
    let case = move |shape: &[usize], axes: [i64; 2], norm: Norm| {
        let label = format!("axes={axes:?}, norm={norm:?}");
        let inputs = [Input::any(shape)];
        Sample::many(label, inputs, move |x| parts(&call(&x[0], None, Some(axes), norm)?))
    };
    vec![case(&[3, 4], [-2, -1], Norm::Backward), case(&[3, 2, 5], [2, 0], Norm::Ortho)]
}

fn manies(call: Many) -> Vec<Sample> {
    let sized = |x: &[Array], call: Many| parts(&call(&x[0], Some(&[4, 5]), Some(&[0, 2]), Norm::Forward)?);
    vec![
        Sample::many("axes=[0, 1, 2], norm=Backward", [Input::any([2, 3, 4])], move |x| {
            parts(&call(&x[0], None, None, Norm::Backward)?)
        }),
        Sample::many("s=[4, 5], axes=[0, 2], norm=Forward", [Input::any([3, 2, 4])], move |x| {
            sized(x, call)
        }),
        Sample::many("axes=[1], norm=Backward", [Input::any([2, 3, 0])], move |x| {
            parts(&call(&x[0], None, Some(&[1]), Norm::Backward)?)
        }),
    ]
}

fn short() -> Vec<Sample> {
    let case = |label: &str, shape: &[usize], options: Stft| {
        Sample::many(label, [Input::any(shape)], move |x| parts(&stft(&x[0], &options)?))
    };
    let of = |n_fft: usize| Stft { n_fft, ..Stft::default() };
    vec![
        case("n_fft=4, hop=1, pad=Reflect", &[9], of(4)),
        case("n_fft=5, hop=2, pad=Edge, norm=Ortho", &[2, 8], Stft {
            hop_length: Some(2),
            pad_mode: Border::Edge,
            norm: Norm::Ortho,
            ..of(5)
        }),
        case("n_fft=4, hop=3, pad=None, window=2, twosided", &[2, 9], Stft {
            hop_length: Some(3),
            center: false,
            win_length: Some(2),
            onesided: Some(false),
            ..of(4)
        }),
        case("n_fft=6, hop=1, pad=Constant, onesided", &[3], Stft {
            pad_mode: Border::Constant,
            onesided: Some(true),
            ..of(6)
        }),
    ]
}

fn back() -> Vec<Sample> {
    let case = |label: &str, shape: &[usize], options: Istft| {
        Sample::new(label, [Input::any(shape)], move |x| istft(&x[0], &options))
    };
    vec![
        case("n_fft=4, hop=1, center", &[3, 5], Istft::default()),
        case("n_fft=5, hop=2, window=3, length=12, norm=Ortho", &[2, 3, 4], Istft {
            n_fft: Some(5),
            hop_length: Some(2),
            win_length: Some(3),
            center: false,
            norm: Norm::Ortho,
            length: Some(12),
            ..Istft::default()
        }),
        case("n_fft=4, hop=2, center, length=5, twosided", &[4, 3], Istft {
            hop_length: Some(2),
            onesided: false,
            length: Some(5),
            ..Istft::default()
        }),
    ]
}

fn op(
    name: &'static str,
    doc: &'static str,
    signature: &'static str,
    samples: fn() -> Vec<Sample>,
) -> OpInfo {
    OpInfo {
        name,
        doc,
        signature,
        family: Family::Linear,
        kinds: kinds::ALL,
        gradient: Gradient::Smooth,
        samples,
    }
}

pub(in crate::ops) fn ops() -> Vec<OpInfo> {
    macro_rules! transforms {
        ($($one:ident, $two:ident, $all:ident: $doc:literal;)*) => {
            vec![$(
                op(
                    concat!("fft.", stringify!($one)),
                    concat!($doc, " along an axis."),
                    concat!("fft.", stringify!($one), "(a, n=None, axis=-1, norm='backward')"),
                    || ones(|x, n, axis, norm| $one(x, n, axis, norm)),
                ),
                op(
                    concat!("fft.", stringify!($two)),
                    concat!($doc, " over two axes."),
                    concat!("fft.", stringify!($two), "(a, s=None, axes=[-2, -1], norm='backward')"),
                    || twos($two),
                ),
                op(
                    concat!("fft.", stringify!($all)),
                    concat!($doc, " over axes."),
                    concat!("fft.", stringify!($all), "(a, s=None, axes=None, norm='backward')"),
                    || manies($all),
                ),
            )*]
        };
    }
    let mut ops = transforms! {
        fft, fft2, fftn: "The Fourier transform";
        ifft, ifft2, ifftn: "The inverse Fourier transform";
        rfft, rfft2, rfftn: "The Fourier transform of real numbers";
        irfft, irfft2, irfftn: "The inverse of the Fourier transform of real numbers";
    };
    ops.extend([
        op(
            "fft.fftshift",
            "The zero frequency moved to the middle.",
            "fft.fftshift(a, axes=None)",
            || {
                vec![
                    Sample::new("axes=None", [Input::any([3, 4])], |x| fftshift(&x[0], ..)),
                    Sample::new("axes=1", [Input::any([2, 5])], |x| fftshift(&x[0], 1)),
                ]
            },
        ),
        op(
            "fft.ifftshift",
            "The zero frequency moved back to the start.",
            "fft.ifftshift(a, axes=None)",
            || {
                vec![
                    Sample::new("axes=None", [Input::any([3, 4])], |x| ifftshift(&x[0], ..)),
                    Sample::new("axes=1", [Input::any([2, 5])], |x| ifftshift(&x[0], 1)),
                ]
            },
        ),
        op(
            "fft.stft",
            "The spectra of overlapping frames of a signal.",
            "fft.stft(x, n_fft=2048, hop_length=None, win_length=None, window=None, center=True, \
             pad_mode='reflect', norm='backward', onesided=None)",
            short,
        ),
        op(
            "fft.istft",
            "The signal whose frames have the given spectra.",
            "fft.istft(stft_matrix, n_fft=None, hop_length=None, win_length=None, window=None, \
             center=True, norm='backward', onesided=None, length=None)",
            back,
        ),
        OpInfo {
            gradient: Gradient::Zero,
            ..op(
                "fft.fftfreq",
                "The frequencies of a spectrum.",
                "fft.fftfreq(n, d=1.0)",
                || {
                    vec![
                        Sample::new("5, 0.5", [], |_| fftfreq(5, 0.5)),
                        Sample::new("4, 1", [], |_| fftfreq(4, 1.0)),
                    ]
                },
            )
        },
        OpInfo {
            gradient: Gradient::Zero,
            ..op(
                "fft.rfftfreq",
                "The frequencies of a spectrum of real numbers.",
                "fft.rfftfreq(n, d=1.0)",
                || {
                    vec![
                        Sample::new("5, 0.5", [], |_| rfftfreq(5, 0.5)),
                        Sample::new("4, 1", [], |_| rfftfreq(4, 1.0)),
                    ]
                },
            )
        },
    ]);
    ops
}
