//! Checks reductions, scans, sorting, indexing, shaping, matrix products and the fused operations
//! against the reference package's results.

use olivine_conformance::{Report, Tensor, Tolerance, golden};
use olivine_core::{
    Array, Axes, Dtype, Error, Index, concatenate,
    fast::{self, AttentionMask, AttentionOptions, RopeFrequencies, RopeOffset, RopeOptions},
    keep,
    ops::{cumulative::Walk, pad::Border, scatter::Combine},
    stack,
};
use serde_json::Value as Json;

/// Cases where Olivine differs from the reference package on purpose, by position in the file.
const DIFFERENCES: &[(usize, &str)] = &[];

/// A case's parameters.
struct Args<'a>(&'a Json);

impl Args<'_> {
    fn get(&self, name: &str) -> &Json {
        &self.0[name]
    }

    fn flag(&self, name: &str) -> bool {
        self.0[name].as_bool().unwrap_or(false)
    }

    fn int(&self, name: &str) -> i64 {
        self.0[name]
            .as_i64()
            .unwrap_or_else(|| panic!("{name} is a whole number"))
    }

    fn real(&self, name: &str) -> f64 {
        self.0[name]
            .as_f64()
            .unwrap_or_else(|| panic!("{name} is a number"))
    }

    fn ints(&self, name: &str) -> Vec<i64> {
        ints(self.get(name))
    }

    fn axes(&self) -> Axes {
        let axes = match self.get("axis") {
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

    /// The slice of each axis.
    fn slices(&self) -> Vec<Index> {
        let bounds = |name: &str| self.get(name).as_array().expect("a bound for each axis");
        let steps = self.ints("strides");
        let pairs = bounds("starts").iter().zip(bounds("stops")).zip(steps);
        pairs
            .map(|((start, stop), step)| {
                let (start, stop) = (start.as_i64(), stop.as_i64());
                Index::Slice { start, stop, step }
            })
            .collect()
    }

    /// How a running fold walks, and the array it walks along.
    fn walk(&self, x: &Array) -> Result<(Array, Walk), Error> {
        let (x, axis) = self.along(x)?;
        let mut walk = Walk::along(axis);
        if self.flag("reverse") {
            walk = walk.reverse();
        }
        if !self.flag("inclusive") {
            walk = walk.exclusive();
        }
        Ok((x, walk))
    }

    /// The axis, and the array it belongs to: the flattened one if there is none.
    fn along(&self, x: &Array) -> Result<(Array, i64), Error> {
        match self.get("axis") {
            Json::Null => Ok((x.reshape([-1])?, 0)),
            _ => Ok((x.clone(), self.int("axis"))),
        }
    }
}

fn ints(list: &Json) -> Vec<i64> {
    list.as_array()
        .expect("a list")
        .iter()
        .map(|n| n.as_i64().expect("whole numbers"))
        .collect()
}

/// Runs a case; `None` if the operation is not known.
fn run(op: &str, args: &Args, x: &[Array]) -> Option<Result<Vec<Array>, Error>> {
    let combine = match op {
        "scatter_add" => Combine::Add,
        "scatter_multiply" => Combine::Multiply,
        "scatter_maximum" => Combine::Maximum,
        "scatter_minimum" => Combine::Minimum,
        _ => Combine::Assign,
    };
    let ddof = args.get("ddof").as_u64().unwrap_or(0) as usize;
    let one = match op {
        "sum" => x[0].sum(args.axes()),
        "prod" => x[0].prod(args.axes()),
        "min" => x[0].min(args.axes()),
        "max" => x[0].max(args.axes()),
        "mean" => x[0].mean(args.axes()),
        "var" => x[0].var(args.axes(), ddof),
        "std" => x[0].std(args.axes(), ddof),
        "any" => x[0].any(args.axes()),
        "all" => x[0].all(args.axes()),
        "argmin" => x[0].argmin(args.axes()),
        "argmax" => x[0].argmax(args.axes()),
        "logsumexp" => x[0].logsumexp(args.axes()),
        "softmax" => x[0].softmax(args.axes()),
        "take" => args
            .along(&x[0])
            .and_then(|(own, axis)| own.take(&x[1], axis)),
        "take_along_axis" => x[0].take_along_axis(&x[1], args.int("axis")),
        "gather" => {
            let rows = if args.flag("outer") {
                x[1].expand_dims(1)
            } else {
                Ok(x[1].clone())
            };
            rows.and_then(|rows| x[0].gather(&[&rows, &x[2]], &args.ints("axes")))
        }
        "scatter_add" | "scatter_multiply" | "scatter_maximum" | "scatter_minimum" => {
            let indices: Vec<&Array> = x[1..x.len() - 1].iter().collect();
            x[0].scatter(combine, &indices, &x[x.len() - 1], &args.ints("axes"))
        }
        "put_along_axis" => x[0].put_along_axis(&x[1], &x[2], args.int("axis")),
        "concatenate" => concatenate(x, args.int("axis")),
        "stack" => stack(x, args.int("axis")),
        "split" => match args.get("indices") {
            Json::Array(_) => {
                return Some(x[0].split(&args.ints("indices")[..], args.int("axis")));
            }
            _ => return Some(x[0].split(args.int("indices"), args.int("axis"))),
        },
        "slice" => x[0].index(&args.slices()[..]),
        "slice_update" => x[0].index_update(&args.slices()[..], &x[1]),
        "pad" => {
            let border = match args.get("mode").as_str() {
                Some("edge") => Some(Border::Edge),
                Some("reflect") => Some(Border::Reflect),
                Some("symmetric") => Some(Border::Symmetric),
                _ => None,
            };
            let widths = args.get("widths").as_array().expect("a list of pairs");
            let widths: Vec<(usize, usize)> = widths
                .iter()
                .map(ints)
                .map(|pair| (pair[0] as usize, pair[1] as usize))
                .collect();
            match border {
                Some(border) => x[0].pad_border(&widths, border),
                None => x[0].pad(&widths, args.int("value")),
            }
        }
        "cumsum" => args.walk(&x[0]).and_then(|(own, walk)| own.cumsum(walk)),
        "cumprod" => args.walk(&x[0]).and_then(|(own, walk)| own.cumprod(walk)),
        "cummax" => args.walk(&x[0]).and_then(|(own, walk)| own.cummax(walk)),
        "cummin" => args.walk(&x[0]).and_then(|(own, walk)| own.cummin(walk)),
        "sort" => args.along(&x[0]).and_then(|(own, axis)| own.sort(axis)),
        "argsort" => args.along(&x[0]).and_then(|(own, axis)| own.argsort(axis)),
        "topk" => x[0]
            .topk(args.int("k") as usize, args.int("axis"))
            .and_then(|y| y.sort(-1)),
        "clip" => x[0].clip(args.real("low"), args.real("high")),
        "where" => x[0].select(&x[1], &x[2]),
        "tril" => x[0].tril(args.int("k")),
        "triu" => x[0].triu(args.int("k")),
        "eye" | "tri" => {
            let (n, m, k) = (
                args.int("n") as usize,
                args.int("m") as usize,
                args.int("k"),
            );
            let make = if op == "eye" { Array::eye } else { Array::tri };
            make(n, m, k, Dtype::Float32)
        }
        "arange" if args.get("start").is_i64() => {
            let number = |name| args.int(name) as i32;
            Array::arange(number("start"), number("stop"), number("step"))
        }
        "arange" => {
            let number = |name| args.real(name) as f32;
            Array::arange(number("start"), number("stop"), number("step"))
        }
        "linspace" => {
            let count = args.int("num") as usize;
            Array::linspace(args.real("start"), args.real("stop"), count, Dtype::Float32)
        }
        "matmul" => x[0].matmul(&x[1]),
        "addmm" => {
            let (alpha, beta) = (args.real("alpha") as f32, args.real("beta") as f32);
            x[0].addmm(&x[1], &x[2], alpha, beta)
        }
        "rms_norm" => fast::rms_norm(&x[0], x.get(1), args.real("eps") as f32),
        "layer_norm" => fast::layer_norm(&x[0], x.get(1), x.get(2), args.real("eps") as f32),
        "rope" => {
            let offset = match args.get("offset") {
                Json::String(_) => RopeOffset::Each(x[1].clone()),
                _ => RopeOffset::At(args.int("offset") as i32),
            };
            let frequencies = match args.get("base").as_f64() {
                Some(base) => RopeFrequencies::Base(base as f32),
                None => RopeFrequencies::Wavelengths(x[1].clone()),
            };
            let options = RopeOptions {
                dims: args.int("dims") as usize,
                traditional: args.flag("traditional"),
                frequencies,
                scale: args.real("scale") as f32,
                offset,
            };
            fast::rope(&x[0], &options)
        }
        "scaled_dot_product_attention" => {
            let mask = match args.get("mask").as_str() {
                None => AttentionMask::None,
                Some("causal") => AttentionMask::Causal,
                Some(_) => AttentionMask::Array(&x[3]),
            };
            let sinks = args.flag("sinks").then(|| &x[3]);
            let options = AttentionOptions {
                scale: args.real("scale") as f32,
                mask,
                sinks,
            };
            fast::scaled_dot_product_attention(&x[0], &x[1], &x[2], &options)
        }
        _ => return None,
    };
    Some(one.map(|array| vec![array]))
}

fn check(case: &Json) -> Result<(), String> {
    let list = |name: &str| -> Vec<Tensor> {
        case[name]
            .as_array()
            .expect("a list of arrays")
            .iter()
            .map(golden::triple)
            .collect()
    };
    let arrays: Result<Vec<Array>, Error> = list("inputs").iter().map(Tensor::to_array).collect();
    let arrays = arrays.map_err(|error| error.to_string())?;
    let op = case["op"].as_str().expect("a name");
    let results = run(op, &Args(&case["args"]), &arrays).ok_or("there is no such operation")?;
    let results = results.map_err(|error| error.to_string())?;
    let expected = list("outputs");
    if results.len() != expected.len() {
        return Err(format!(
            "{} results where {} were expected",
            results.len(),
            expected.len()
        ));
    }
    let number = |name: &str| case[name].as_f64().expect("a tolerance");
    let tolerance = Tolerance {
        relative: number("rtol"),
        absolute: number("atol"),
    };
    for (result, expected) in results.iter().zip(&expected) {
        let got = Tensor::from_array(result).map_err(|error| error.to_string())?;
        tolerance.check(&got, expected)?;
    }
    Ok(())
}

#[test]
fn structured_operations_agree_with_the_reference_package() {
    let file = golden::read("structured.json");
    let mut report = Report::default();
    for (i, case) in file["cases"]
        .as_array()
        .expect("a list of cases")
        .iter()
        .enumerate()
    {
        if DIFFERENCES.iter().any(|(at, _)| *at == i) {
            continue;
        }
        let name = format!(
            "{} #{i} {}",
            case["op"].as_str().expect("a name"),
            case["args"]
        );
        report.case(name, check(case));
    }
    report.finish(550);
}
