//! Owns how the reference package's calls are spelled here: an operation's name and its parameters
//! in JSON, as Python has them, to a call.

use olivine_conformance::golden;
use olivine_core::{
    Array, Axes, Dtype, Index, Result, concatenate,
    fast::{self, AttentionMask, AttentionOptions, RopeFrequencies, RopeOffset, RopeOptions},
    fft::{self, Norm},
    keep, linalg,
    ops::searchsorted::Side,
    ops::{
        self, Family, compare::Tolerance, cumulative::Walk, numbers::Finite, pad::Border,
        scatter::Combine,
    },
    random, stack,
};
use serde_json::Value as Json;

use super::products;

/// A call's parameters.
pub(crate) struct Args<'a>(pub(crate) &'a Json);

impl Args<'_> {
    pub(crate) fn is_null(&self, name: &str) -> bool {
        self.0[name].is_null()
    }

    pub(crate) fn flag(&self, name: &str) -> bool {
        self.0[name].as_bool().unwrap_or(false)
    }

    pub(crate) fn text(&self, name: &str) -> &str {
        self.0[name].as_str().unwrap_or_default()
    }

    pub(crate) fn int(&self, name: &str) -> i64 {
        self.0[name]
            .as_i64()
            .unwrap_or_else(|| panic!("{name} is a whole number in {}", self.0))
    }

    pub(crate) fn size(&self, name: &str) -> usize {
        self.int(name) as usize
    }

    pub(crate) fn real(&self, name: &str) -> f64 {
        self.0[name]
            .as_f64()
            .unwrap_or_else(|| panic!("{name} is a number in {}", self.0))
    }

    pub(crate) fn ints(&self, name: &str) -> Vec<i64> {
        ints(&self.0[name])
    }

    pub(crate) fn sizes(&self, name: &str) -> Vec<usize> {
        self.ints(name).into_iter().map(|n| n as usize).collect()
    }

    pub(crate) fn dtype(&self) -> Dtype {
        golden::dtype(&self.0["dtype"])
    }

    pub(crate) fn axes(&self) -> Axes {
        let axes = match &self.0["axis"] {
            Json::Null => (..).into(),
            Json::Array(_) => Axes::from(&self.ints("axis")[..]),
            _ => self.int("axis").into(),
        };
        if self.flag("keepdims") {
            keep(axes)
        } else {
            axes
        }
    }

    pub(crate) fn walk(&self) -> Walk {
        let walk = Walk::along(self.int("axis"));
        let walk = if self.flag("reverse") {
            walk.reverse()
        } else {
            walk
        };
        if self.flag("inclusive") {
            walk
        } else {
            walk.exclusive()
        }
    }

    fn slices(&self) -> Vec<Index> {
        let slices = self.0["slices"].as_array().expect("a slice for each axis");
        slices
            .iter()
            .map(|slice| Index::Slice {
                start: slice[0].as_i64(),
                stop: slice[1].as_i64(),
                step: slice[2].as_i64().expect("a step"),
            })
            .collect()
    }

    pub(crate) fn key(&self) -> Array {
        random::key(self.0["seed"].as_u64().expect("a seed"))
    }

    fn tolerance(&self) -> Tolerance {
        Tolerance {
            relative: self.real("rtol"),
            absolute: self.real("atol"),
            equal_nan: self.flag("equal_nan"),
        }
    }
}

pub(crate) fn ints(list: &Json) -> Vec<i64> {
    let list = list.as_array().expect("a list");
    list.iter()
        .map(|n| n.as_i64().expect("whole numbers"))
        .collect()
}

/// Runs a case; `None` if its operation is not known here.
pub(crate) fn call(op: &str, args: &Args, x: &[Array]) -> Option<Result<Vec<Array>>> {
    if op == "split" {
        return Some(match args.0["indices_or_sections"] {
            Json::Array(_) => x[0].split(&args.ints("indices_or_sections")[..], args.int("axis")),
            _ => x[0].split(args.int("indices_or_sections"), args.int("axis")),
        });
    }
    let pair = match op {
        "divmod" => Some(x[0].divmod(&x[1])),
        "minmax" => Some(x[0].minmax(args.axes())),
        _ => None,
    };
    if let Some(pair) = pair {
        return Some(pair.map(|(first, second)| vec![first, second]));
    }
    let one = scalar(op, x)
        .or_else(|| reducing(op, args, x))
        .or_else(|| moving(op, args, x))
        .or_else(|| indexing(op, args, x))
        .or_else(|| multiplying(op, args, x))
        .or_else(|| solving(op, args, x))
        .or_else(|| creating(op, args, x))
        .or_else(|| drawing(op, args, x));
    match one {
        Some(one) => Some(one.map(|array| vec![array])),
        None => products::call(op, args, x),
    }
}

/// Operations of arrays only: their samples make the plain call.
fn scalar(op: &str, x: &[Array]) -> Option<Result<Array>> {
    let info = ops::ops().iter().find(|info| info.name == op)?;
    let plain = matches!(info.family, Family::Unary | Family::Binary)
        && !matches!(op, "isclose" | "allclose" | "array_equal")
        || matches!(op, "zeros_like" | "ones_like");
    if !plain {
        return None;
    }
    let sample = (info.samples)().swap_remove(0);
    Some((sample.call)(x).map(|mut results| results.swap_remove(0)))
}

fn reducing(op: &str, args: &Args, x: &[Array]) -> Option<Result<Array>> {
    // Some operations need an axis where Python flattens.
    let along = || {
        if args.is_null("axis") {
            x[0].reshape([-1]).map(|flat| (flat, 0))
        } else {
            Ok((x[0].clone(), args.int("axis")))
        }
    };
    Some(match op {
        "isclose" => x[0].isclose(&x[1], args.tolerance()),
        "allclose" => x[0].allclose(&x[1], args.tolerance()),
        "array_equal" => x[0].array_equal(&x[1], args.flag("equal_nan")),
        "sum" => x[0].sum(args.axes()),
        "prod" => x[0].prod(args.axes()),
        "min" => x[0].min(args.axes()),
        "max" => x[0].max(args.axes()),
        "mean" => x[0].mean(args.axes()),
        "var" => x[0].var(args.axes(), args.size("ddof")),
        "std" => x[0].std(args.axes(), args.size("ddof")),
        "any" => x[0].any(args.axes()),
        "all" => x[0].all(args.axes()),
        "count_nonzero" => x[0].count_nonzero(args.axes()),
        "argmin" => x[0].argmin(args.axes()),
        "argmax" => x[0].argmax(args.axes()),
        "logsumexp" => x[0].logsumexp(args.axes()),
        "softmax" => x[0].softmax(args.axes()),
        "cumsum" => x[0].cumsum(args.walk()),
        "logcumsumexp" => x[0].logcumsumexp(args.walk()),
        "median" => x[0].median(args.axes()),
        "nan_to_num" => x[0].nan_to_num(Finite::default()),
        "positive" => x[0].positive(),
        "cumprod" => x[0].cumprod(args.walk()),
        "cummax" => x[0].cummax(args.walk()),
        "cummin" => x[0].cummin(args.walk()),
        "sort" => along().and_then(|(own, axis)| own.sort(axis)),
        "argsort" => along().and_then(|(own, axis)| own.argsort(axis)),
        // Only what is promised is compared: the element of that rank, and the set of the largest.
        "topk" => {
            let axis = args.int("axis");
            x[0].topk(args.size("k"), axis).and_then(|y| y.sort(axis))
        }
        "partition" => {
            let (kth, axis) = (args.int("kth"), args.int("axis"));
            let at = Array::from_slice(&[kth], [1]);
            x[0].partition(kth, axis).and_then(|y| y.take(&at?, axis))
        }
        "argpartition" => {
            let (kth, axis) = (args.int("kth"), args.int("axis"));
            let at = Array::from_slice(&[kth], [1]);
            x[0].argpartition(kth, axis)
                .and_then(|order| order.take(&at?, axis))
                .and_then(|at| x[0].take_along_axis(&at, axis))
        }
        "searchsorted" => {
            let right = args.text("side") == "right";
            x[0].searchsorted(&x[1], if right { Side::Right } else { Side::Left })
        }
        _ => return None,
    })
}

fn moving(op: &str, args: &Args, x: &[Array]) -> Option<Result<Array>> {
    Some(match op {
        "reshape" => x[0].reshape(&args.ints("shape")[..]),
        "unflatten" => x[0].unflatten(args.int("axis"), &args.ints("shape")[..]),
        "flatten" => x[0].flatten(args.int("start_axis"), args.int("end_axis")),
        "squeeze" => x[0].squeeze(args.int("axis")),
        "expand_dims" => x[0].expand_dims(args.int("axis")),
        "transpose" => x[0].transpose(&args.ints("axes")[..]),
        "swapaxes" => x[0].swapaxes(args.int("axis1"), args.int("axis2")),
        "moveaxis" => x[0].moveaxis(args.int("source"), args.int("destination")),
        "broadcast_to" => x[0].broadcast_to(args.sizes("shape")),
        "concatenate" => concatenate(x, args.int("axis")),
        "stack" => stack(x, args.int("axis")),
        "pad" => {
            let widths = args.0["pad_width"].as_array().expect("pairs");
            let widths: Vec<(usize, usize)> = widths
                .iter()
                .map(ints)
                .map(|pair| (pair[0] as usize, pair[1] as usize))
                .collect();
            match args.text("mode") {
                "edge" => x[0].pad_border(&widths, Border::Edge),
                _ => x[0].pad(&widths, args.int("constant_values") as i32),
            }
        }
        "repeat" => x[0].repeat(args.size("repeats"), args.int("axis")),
        "tile" => x[0].tile(&args.sizes("reps")),
        "roll" => x[0].roll(args.int("shift"), args.int("axis")),
        "flip" => x[0].flip(args.int("axis")),
        "diff" => x[0].diff(args.size("n"), args.int("axis")),
        "diag" => x[0].diag(args.int("k")),
        "diagonal" => x[0].diagonal(args.int("offset"), args.int("axis1"), args.int("axis2")),
        "trace" => x[0].trace(args.int("offset"), args.int("axis1"), args.int("axis2")),
        "tril" => x[0].tril(args.int("k")),
        "triu" => x[0].triu(args.int("k")),
        "astype" => x[0].astype(args.dtype()),
        "where" => x[0].select(&x[1], &x[2]),
        "clip" => x[0].clip(&x[1], &x[2]),
        _ => return None,
    })
}

fn indexing(op: &str, args: &Args, x: &[Array]) -> Option<Result<Array>> {
    let combine = match op {
        "scatter_add" => Some(Combine::Add),
        "scatter_multiply" => Some(Combine::Multiply),
        "scatter_maximum" => Some(Combine::Maximum),
        "scatter_minimum" => Some(Combine::Minimum),
        _ => None,
    };
    if let Some(combine) = combine {
        return Some(x[0].scatter(combine, &[&x[1], &x[2]], &x[3], &args.ints("axes")));
    }
    Some(match op {
        "take" => x[0].take(&x[1], args.int("axis")),
        "take_along_axis" => x[0].take_along_axis(&x[1], args.int("axis")),
        "put_along_axis" => x[0].put_along_axis(&x[1], &x[2], args.int("axis")),
        "gather" => x[0].gather(&[&x[1], &x[2]], &args.ints("axes")),
        "slice" => x[0].index(&args.slices()[..]),
        "slice_update" => x[0].index_update(&args.slices()[..], &x[1]),
        _ => return None,
    })
}

fn multiplying(op: &str, args: &Args, x: &[Array]) -> Option<Result<Array>> {
    Some(match op {
        "matmul" => x[0].matmul(&x[1]),
        "addmm" => {
            let (alpha, beta) = (args.real("alpha") as f32, args.real("beta") as f32);
            x[0].addmm(&x[1], &x[2], alpha, beta)
        }
        "inner" => x[0].inner(&x[1]),
        "outer" => x[0].outer(&x[1]),
        "kron" => x[0].kron(&x[1]),
        "vecdot" => x[0].vecdot(&x[1], args.int("axis")),
        "tensordot" => {
            let axes = &args.0["axes"];
            x[0].tensordot(&x[1], &ints(&axes[0]), &ints(&axes[1]))
        }
        "fast.rms_norm" => fast::rms_norm(&x[0], x.get(1), args.real("eps") as f32),
        "fast.layer_norm" => fast::layer_norm(&x[0], x.get(1), x.get(2), args.real("eps") as f32),
        "fast.rope" => {
            let options = RopeOptions {
                dims: args.size("dims"),
                traditional: args.flag("traditional"),
                frequencies: RopeFrequencies::Base(args.real("base") as f32),
                scale: args.real("scale") as f32,
                offset: RopeOffset::At(args.int("offset") as i32),
            };
            fast::rope(&x[0], &options)
        }
        "fast.scaled_dot_product_attention" => {
            let mask = match args.text("mask") {
                "causal" => AttentionMask::Causal,
                "array" => AttentionMask::Array(&x[3]),
                _ => AttentionMask::None,
            };
            let options = AttentionOptions {
                scale: args.real("scale") as f32,
                mask,
                sinks: None,
            };
            fast::scaled_dot_product_attention(&x[0], &x[1], &x[2], &options)
        }
        _ => return None,
    })
}

fn solving(op: &str, args: &Args, x: &[Array]) -> Option<Result<Array>> {
    let transform = match op {
        "fft.fft" => Some(fft::fft as Transform),
        "fft.ifft" => Some(fft::ifft as Transform),
        "fft.rfft" => Some(fft::rfft as Transform),
        "fft.irfft" => Some(fft::irfft as Transform),
        _ => None,
    };
    if let Some(transform) = transform {
        let size = (!args.is_null("n")).then(|| args.size("n"));
        return Some(transform(&x[0], size, args.int("axis"), Norm::Backward));
    }
    Some(match op {
        "linalg.cholesky" => linalg::cholesky(&x[0], false),
        "linalg.det" => linalg::det(&x[0]),
        "linalg.inv" => linalg::inv(&x[0]),
        "linalg.solve" => linalg::solve(&x[0], &x[1]),
        _ => return None,
    })
}

/// A Fourier transform along an axis.
type Transform = fn(&Array, Option<usize>, i64, Norm) -> Result<Array>;

fn creating(op: &str, args: &Args, x: &[Array]) -> Option<Result<Array>> {
    Some(match op {
        "arange" if args.0["step"].is_i64() => {
            let number = |name| args.int(name) as i32;
            Array::arange(number("start"), number("stop"), number("step"))
        }
        "arange" => {
            let number = |name| args.real(name) as f32;
            Array::arange(number("start"), number("stop"), number("step"))
        }
        "linspace" => Array::linspace(
            args.real("start"),
            args.real("stop"),
            args.size("num"),
            Dtype::Float32,
        ),
        "eye" => Array::eye(args.size("n"), args.size("m"), args.int("k"), args.dtype()),
        "tri" => Array::tri(args.size("n"), args.size("m"), args.int("k"), args.dtype()),
        "identity" => Array::identity(args.size("n"), args.dtype()),
        "zeros" => Array::zeros(args.sizes("shape"), args.dtype()),
        "ones" => Array::ones(args.sizes("shape"), args.dtype()),
        "full" => Array::full(args.sizes("shape"), args.int("vals") as f32),
        "full_like" => x[0].full_like(3),
        "bartlett" => Array::bartlett(args.size("M")),
        "blackman" => Array::blackman(args.size("M")),
        "hamming" => Array::hamming(args.size("M")),
        "hanning" => Array::hanning(args.size("M")),
        _ => return None,
    })
}

fn drawing(op: &str, args: &Args, x: &[Array]) -> Option<Result<Array>> {
    if !op.starts_with("random.") {
        return None;
    }
    let key = args.key();
    let shape = || args.sizes("shape");
    Some(match op {
        "random.key" => Ok(key),
        "random.split" => random::split(&key, args.size("num")),
        "random.uniform" => random::Uniform::new(shape()).key(&key).sample(),
        "random.normal" => random::Normal::new(shape()).key(&key).sample(),
        "random.gumbel" => random::Gumbel::new(shape()).key(&key).sample(),
        "random.truncated_normal" => {
            let (low, high) = (args.real("low") as f32, args.real("high") as f32);
            random::TruncatedNormal::new(shape(), low, high)
                .key(&key)
                .sample()
        }
        "random.randint" => {
            let (low, high) = (args.int("low") as i32, args.int("high") as i32);
            random::Randint::new(shape(), low, high).key(&key).sample()
        }
        "random.bernoulli" => random::Bernoulli::new(args.real("p") as f32)
            .shape(shape())
            .key(&key)
            .sample(),
        "random.permutation" => random::Permutation::new(args.size("n")).key(&key).sample(),
        "random.categorical" => random::Categorical::new(&x[0]).key(&key).sample(),
        _ => return None,
    })
}
