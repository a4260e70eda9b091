//! Owns how calls with parameters of their own are spelled: convolutions, packed numbers, einsum, chosen
//! and masked matrices, decompositions, strided views, updates, frames of signals.

use olivine_core::{
    Array, Axes, Dtype, Ellipsis, Error, Indexing, NewAxis, Result, broadcast_arrays, depends,
    einsum,
    fast::{self, GatedDelta},
    fft::{self, Istft, Norm, Stft},
    linalg::{self, Order, Triangle},
    meshgrid,
    ops::{
        block_masked_mm::BlockMasks,
        conv::{ConvGeneralOptions, ConvOptions, ConvTransposeOptions, ConvolveMode},
        scatter::Combine,
    },
    quantized::{Quantization, QuantizationMode, Quantized},
    random, stop_gradient,
};

use super::calls::{Args, ints};

/// Runs a case; `None` if its operation is not known here.
pub(crate) fn call(op: &str, args: &Args, x: &[Array]) -> Option<Result<Vec<Array>>> {
    let several = match op {
        "quantize" => x[0].quantize(scheme(args), None).map(|packed| {
            [packed.codes, packed.scales]
                .into_iter()
                .chain(packed.biases)
                .collect()
        }),
        "unstack" => x[0].unstack(args.int("axis")),
        "broadcast_arrays" => broadcast_arrays(x),
        "meshgrid" => {
            let indexing = match args.text("indexing") {
                "ij" => Indexing::Ij,
                _ => Indexing::Xy,
            };
            meshgrid(x, indexing, args.flag("sparse"))
        }
        "depends" => depends(&x[..1], &x[1..]),
        "unique" => unique(args, &x[0]),
        "gated_delta_update" => {
            let gates = GatedDelta {
                gamma: &x[3],
                beta: &x[4],
                state: None,
                mask: None,
            };
            fast::gated_delta_update(&x[0], &x[1], &x[2], &gates)
                .map(|(read, state)| vec![read, state])
        }
        _ if op.starts_with("linalg.") => return decomposition(op, args, x),
        _ => return one(op, args, x).map(|one| one.map(|array| vec![array])),
    };
    Some(several)
}

fn one(op: &str, args: &Args, x: &[Array]) -> Option<Result<Array>> {
    convolution(op, args, x)
        .or_else(|| product(op, args, x))
        .or_else(|| moving(op, args, x))
        .or_else(|| updating(op, args, x))
        .or_else(|| transform(op, args, x))
}

fn sized<const D: usize>(args: &Args, name: &str) -> [usize; D] {
    let sizes = args.sizes(name);
    sizes.try_into().expect("a number for each axis")
}

fn plain<const D: usize>(args: &Args) -> ConvOptions<D> {
    ConvOptions {
        stride: sized(args, "stride"),
        padding: sized(args, "padding"),
        dilation: sized(args, "dilation"),
        groups: args.size("groups"),
    }
}

fn transposed<const D: usize>(args: &Args) -> ConvTransposeOptions<D> {
    ConvTransposeOptions {
        stride: sized(args, "stride"),
        padding: sized(args, "padding"),
        dilation: sized(args, "dilation"),
        output_padding: sized(args, "output_padding"),
        groups: args.size("groups"),
    }
}

fn convolution(op: &str, args: &Args, x: &[Array]) -> Option<Result<Array>> {
    Some(match op {
        "conv1d" => x[0].conv1d(&x[1], plain(args)),
        "conv2d" => x[0].conv2d(&x[1], plain(args)),
        "conv3d" => x[0].conv3d(&x[1], plain(args)),
        "conv_transpose1d" => x[0].conv_transpose1d(&x[1], transposed(args)),
        "conv_transpose2d" => x[0].conv_transpose2d(&x[1], transposed(args)),
        "conv_transpose3d" => x[0].conv_transpose3d(&x[1], transposed(args)),
        "conv_general" => {
            let padding = args.0["padding"].as_array().expect("pairs");
            let padding = padding.iter().map(ints).map(|pair| (pair[0], pair[1]));
            let options = ConvGeneralOptions {
                stride: args.sizes("stride"),
                padding: padding.collect(),
                kernel_dilation: args.sizes("kernel_dilation"),
                input_dilation: args.sizes("input_dilation"),
                groups: args.size("groups"),
                flip: args.flag("flip"),
            };
            x[0].conv_general(&x[1], &options)
        }
        "convolve" => {
            let mode = match args.text("mode") {
                "same" => ConvolveMode::Same,
                "valid" => ConvolveMode::Valid,
                _ => ConvolveMode::Full,
            };
            x[0].convolve(&x[1], mode)
        }
        _ => return None,
    })
}

fn scheme(args: &Args) -> Quantization {
    let mode = match args.text("mode") {
        "affine" => QuantizationMode::Affine,
        "mxfp4" => QuantizationMode::Mxfp4,
        "mxfp8" => QuantizationMode::Mxfp8,
        "nvfp4" => QuantizationMode::Nvfp4,
        other => panic!("there is no mode {other}"),
    };
    let (group, bits) = (args.size("group_size"), args.size("bits"));
    Quantization::new(mode, Some(group), Some(bits)).expect("the reference has this format")
}

/// The packed array that the inputs say.
fn packed(args: &Args, parts: &[Array]) -> Quantized {
    Quantized {
        codes: parts[0].clone(),
        scales: parts[1].clone(),
        biases: parts.get(2).cloned(),
        global_scale: None,
        scheme: scheme(args),
    }
}

fn product(op: &str, args: &Args, x: &[Array]) -> Option<Result<Array>> {
    Some(match op {
        "dequantize" => packed(args, x).dequantize(Some(args.dtype())),
        "quantized_matmul" => x[0].quantized_matmul(&packed(args, &x[1..]), args.flag("transpose")),
        "gather_qmm" => {
            let parts = packed(args, &x[1..=args.size("parts")]);
            let places = &x[1 + args.size("parts")..];
            let (left, right) = (Some(&places[0]), Some(&places[1]));
            x[0].gather_qmm(&parts, left, right, args.flag("transpose"))
        }
        "qqmm" => x[0].qqmm(&packed(args, &x[1..]), scheme(args), None),
        "to_fp8" => x[0].to_fp8(),
        "from_fp8" => x[0].from_fp8(args.dtype()),
        "einsum" => einsum(args.text("subscripts"), x),
        "gather_mm" => x[0].gather_mm(&x[1], Some(&x[2]), Some(&x[3])),
        "block_masked_mm" => {
            let given = args.0["masks"].as_array().expect("names");
            let mask = |name: &str| {
                let at = given.iter().position(|other| other == name);
                at.map(|at| &x[2 + at])
            };
            let masks = BlockMasks {
                out: mask("out"),
                lhs: mask("lhs"),
                rhs: mask("rhs"),
            };
            x[0].block_masked_mm(&x[1], args.size("block_size"), masks)
        }
        "segmented_mm" => x[0].segmented_mm(&x[1], &x[2]),
        "hadamard_transform" => {
            let scale = (!args.is_null("scale")).then(|| args.real("scale") as f32);
            x[0].hadamard_transform(scale)
        }
        "cross_entropy" => fast::cross_entropy(&x[0], &x[1]),
        "random.laplace" => random::Laplace::new(args.sizes("shape"))
            .loc(args.real("loc"))
            .scale(args.real("scale"))
            .key(&args.key())
            .sample(),
        "random.multivariate_normal" => random::MultivariateNormal::new(&x[0], &x[1])
            .shape(args.sizes("shape"))
            .key(&args.key())
            .sample(),
        _ => return None,
    })
}

fn moving(op: &str, args: &Args, x: &[Array]) -> Option<Result<Array>> {
    Some(match op {
        "as_strided" => {
            let strides = args.ints("strides").into_iter().map(|n| n as isize);
            let strides: Vec<isize> = strides.collect();
            x[0].as_strided(args.sizes("shape"), &strides, args.size("offset"))
        }
        "view" => x[0].view(args.dtype()),
        "contiguous" => x[0].contiguous(),
        "stop_gradient" => stop_gradient(&x[0]),
        "matrix_transpose" => x[0].matrix_transpose(),
        "atleast_1d" => x[0].atleast_1d(),
        "atleast_2d" => x[0].atleast_2d(),
        "atleast_3d" => x[0].atleast_3d(),
        "cumulative_sum" => x[0].cumulative_sum(args.walk()),
        "cumulative_prod" => x[0].cumulative_prod(args.walk()),
        "permute_dims" => x[0].permute_dims(&args.ints("axes")[..]),
        "concat" => olivine_core::concat(x, args.int("axis")),
        _ => return None,
    })
}

fn updating(op: &str, args: &Args, x: &[Array]) -> Option<Result<Array>> {
    if let Some(method) = op.strip_prefix("x.at[...].") {
        let at = x[0].at(&x[1]);
        return Some(match method {
            "add" => at.add(&x[2]),
            "subtract" => at.subtract(&x[2]),
            "multiply" => at.multiply(&x[2]),
            "divide" => at.divide(&x[2]),
            "maximum" => at.maximum(&x[2]),
            "minimum" => at.minimum(&x[2]),
            _ => return None,
        });
    }
    Some(match op {
        "x[...]" => x[0].index((&x[1], Ellipsis, NewAxis)),
        "scatter" => x[0].scatter(Combine::Assign, &[&x[1]], &x[2], &[0]),
        "scatter_add_axis" => x[0].scatter_add_axis(&x[1], &x[2], args.int("axis")),
        _ => return None,
    })
}

/// The distinct elements; where there is none, a place is as good as another.
fn unique(args: &Args, x: &Array) -> Result<Vec<Array>> {
    let fill = args.int("fill_value") as i32;
    let found = x.unique(args.size("size"), Some(fill))?;
    let index = found.counts.greater(0)?.select(&found.index, 0)?;
    Ok(vec![found.values, index, found.inverse, found.counts])
}

type Transform = fn(&Array, Option<&[usize]>, Option<[i64; 2]>, Norm) -> Result<Array>;
type Transforms = fn(&Array, Option<&[usize]>, Option<&[i64]>, Norm) -> Result<Array>;

fn transform(op: &str, args: &Args, x: &[Array]) -> Option<Result<Array>> {
    let two = match op {
        "fft.fft2" => Some(fft::fft2 as Transform),
        "fft.ifft2" => Some(fft::ifft2 as Transform),
        "fft.rfft2" => Some(fft::rfft2 as Transform),
        "fft.irfft2" => Some(fft::irfft2 as Transform),
        _ => None,
    };
    let all = match op {
        "fft.fftn" => Some(fft::fftn as Transforms),
        "fft.ifftn" => Some(fft::ifftn as Transforms),
        "fft.rfftn" => Some(fft::rfftn as Transforms),
        "fft.irfftn" => Some(fft::irfftn as Transforms),
        _ => None,
    };
    let norm = match args.text("norm") {
        "ortho" => Norm::Ortho,
        "forward" => Norm::Forward,
        _ => Norm::Backward,
    };
    let sizes = (args.0["s"].is_array()).then(|| args.sizes("s"));
    if let Some(two) = two {
        return Some(two(&x[0], sizes.as_deref(), None, norm));
    }
    if let Some(all) = all {
        return Some(all(&x[0], sizes.as_deref(), None, norm));
    }
    let hop_length = (!args.is_null("hop_length")).then(|| args.size("hop_length"));
    Some(match op {
        "fft.fftshift" => fft::fftshift(&x[0], args.int("axis")),
        "fft.ifftshift" => fft::ifftshift(&x[0], args.int("axis")),
        "fft.fftfreq" => fft::fftfreq(args.size("n"), args.real("d")),
        "fft.rfftfreq" => fft::rfftfreq(args.size("n"), args.real("d")),
        "fft.stft" => {
            let pad_mode = match args.text("pad_mode") {
                "constant" => fft::Border::Constant,
                _ => fft::Border::Reflect,
            };
            let options = Stft {
                n_fft: args.size("n_fft"),
                hop_length,
                center: args.flag("center"),
                pad_mode,
                ..Stft::default()
            };
            fft::stft(&x[0], &options)
        }
        "fft.istft" => {
            let options = Istft {
                n_fft: Some(args.size("n_fft")),
                hop_length,
                center: args.flag("center"),
                ..Istft::default()
            };
            fft::istft(&x[0], &options)
        }
        _ => return None,
    })
}

fn order(name: &str) -> Order {
    match name {
        "None" => Order::Euclidean,
        "fro" => Order::Frobenius,
        "nuc" => Order::Nuclear,
        number => Order::P(number.parse().expect("an order is a number")),
    }
}

/// Decompositions. Vectors have a sign that nobody promises, so what is compared is made of them.
fn decomposition(op: &str, args: &Args, x: &[Array]) -> Option<Result<Vec<Array>>> {
    let a = &x[0];
    let triangle = match args.text("UPLO") {
        "U" => Triangle::Upper,
        _ => Triangle::Lower,
    };
    let upper = args.flag("upper");
    let one = match op {
        "linalg.norm" => {
            let axes: Axes = args.axes();
            linalg::norm(a, order(args.text("ord")), axes)
        }
        "linalg.cross" => linalg::cross(a, &x[1], args.int("axis")),
        "linalg.solve_triangular" => linalg::solve_triangular(a, &x[1], upper),
        "linalg.pinv" => linalg::pinv(a),
        "linalg.tri_inv" => linalg::tri_inv(a, upper),
        "linalg.cholesky_inv" => linalg::cholesky_inv(a, upper),
        "linalg.eigvalsh" => linalg::eigvalsh(a, triangle),
        "linalg.eigvals" => linalg::eigvals(a).and_then(|values| values.real()?.sort(-1)),
        _ => return several(op, a, triangle),
    };
    Some(one.map(|array| vec![array]))
}

fn several(op: &str, a: &Array, triangle: Triangle) -> Option<Result<Vec<Array>>> {
    let times = |vectors: &Array, values: &Array| vectors.multiply(values.expand_dims(-2)?);
    Some(match op {
        "linalg.slogdet" => linalg::slogdet(a).map(|(sign, log)| vec![sign, log]),
        "linalg.lu" => linalg::lu(a).map(|(p, l, u)| vec![p, l, u]),
        "linalg.lu_factor" => linalg::lu_factor(a).map(|(lu, pivots)| vec![lu, pivots]),
        "linalg.qr" => linalg::qr(a).and_then(|(q, r)| Ok(vec![q.abs()?, r.abs()?])),
        "linalg.eigh" => linalg::eigh(a, triangle).and_then(|(values, vectors)| {
            let again = times(&vectors, &values)?.matmul(vectors.swapaxes(-1, -2)?)?;
            Ok(vec![values, again])
        }),
        "linalg.eig" => linalg::eig(a).and_then(|(values, vectors)| {
            let left = a.astype(Dtype::Complex64)?.matmul(&vectors)?;
            let off = left.subtract(times(&vectors, &values)?)?.abs()?;
            Ok(vec![values.real()?.sort(-1)?, off.greater(1e-2)?])
        }),
        "linalg.svd" => linalg::svd(a).and_then(|(u, s, vt)| {
            let k = s.dim(-1)? as i64;
            let again = times(&u.index((Ellipsis, ..k))?, &s)?;
            let again = again.matmul(vt.index((Ellipsis, ..k, ..))?)?;
            Ok::<_, Error>(vec![s, again])
        }),
        _ => return None,
    })
}
