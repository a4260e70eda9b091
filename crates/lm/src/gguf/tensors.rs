//! Owns the way of a GGUF file's tensors to the names, layouts and orders that families take.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use olivine_core::Array;
use olivine_io::Gguf;

use super::{
    config::Sizes,
    families::{Architecture, Place, Rows},
    keys::Keys,
};
use crate::error::{Error, Result};

type Named = Vec<(String, Array)>;

/// All tensors; packed ones become three each.
pub(super) fn read(file: &Gguf, keys: Keys, architecture: &Architecture) -> Result<Named> {
    let sizes = Sizes::read(keys)?;
    let names: Vec<&str> = file.names().collect();
    // Packed weights are laid out anew, which takes a while for gigabytes.
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicUsize::new(0);
    let work = || -> Result<Vec<(usize, Named)>> {
        let mut own = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(name) = names.get(number) else {
                return Ok(own);
            };
            own.push((number, tensor(file, architecture, sizes, name)?));
        }
    };
    let parts = thread::scope(|scope| {
        let threads: Vec<_> = (0..workers.min(names.len()).max(1))
            .map(|_| scope.spawn(work))
            .collect();
        let parts = threads.into_iter().map(|thread| {
            let joined = thread.join();
            joined.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        parts.collect::<Result<Vec<_>>>()
    })?;
    let mut all: Vec<(usize, Named)> = parts.into_iter().flatten().collect();
    all.sort_by_key(|(number, _)| *number);
    Ok(all.into_iter().flat_map(|(_, named)| named).collect())
}

/// What one tensor of the file becomes.
fn tensor(file: &Gguf, architecture: &Architecture, sizes: Sizes, tensor: &str) -> Result<Named> {
    let bad = |problem: String| Error::Weights {
        path: file.path().to_owned(),
        problem,
    };
    let (name, kind, end) = match architecture.place(tensor) {
        Place::Part { name, kind, end } => (name, kind, end),
        Place::Known => return Ok(Vec::new()),
        Place::Unknown => {
            let architecture = architecture.name;
            return Err(bad(format!(
                "{tensor:?} is no tensor of the architecture {architecture} that is known here"
            )));
        }
    };
    let rank = file.info(tensor).map_or(0, |info| info.shape.dims().len());
    let ordered = |array: Array| {
        let rows = array.shape().dims().first().copied().unwrap_or(0) as u64;
        let ordered = reordered(&array, architecture.rows, &kind, sizes);
        ordered.map_err(|problem| match problem {
            None => bad(format!("{tensor} has {rows} rows, which fit no heads")),
            Some(error) => error.into(),
        })
    };
    if rank > 1
        && end == "weight"
        && let Some(packed) = file.packed(tensor)?
    {
        return Ok(vec![
            (format!("{name}.weight"), ordered(packed.weight)?),
            (format!("{name}.scales"), ordered(packed.scales)?),
            (format!("{name}.biases"), ordered(packed.biases)?),
        ]);
    }
    let mut array = ordered(file.array(tensor)?)?;
    if architecture.norms_plus_one && kind.ends_with("norm") && array.dtype().is_float() {
        array = array.subtract(1.0)?;
    }
    if kind == "ffn_gate_inp_shexp" && array.ndim() == 1 {
        array = array.expand_dims(0)?;
    }
    Ok(vec![(format!("{name}.{end}"), array)])
}

/// The array with its rows in the order that families have; `None` is an error of its shape.
fn reordered(
    array: &Array,
    rows: Rows,
    kind: &str,
    sizes: Sizes,
) -> std::result::Result<Array, Option<olivine_core::Error>> {
    let heads = match (rows, kind) {
        (Rows::Paired, "attn_q") | (Rows::HeadsApart, "attn_qkv") => sizes.heads,
        (Rows::Paired, "attn_k") => sizes.kv_heads,
        _ => return Ok(array.clone()),
    };
    let dims = array.shape().dims();
    let (Some(&count), Ok(heads)) = (dims.first(), usize::try_from(heads)) else {
        return Err(None);
    };
    let inner = match rows {
        Rows::Paired => 2,
        _ => 3,
    };
    let per_head = count.checked_div(heads).unwrap_or(0);
    if per_head * heads != count || !per_head.is_multiple_of(inner) {
        return Err(None);
    }
    let part = per_head / inner;
    let split = match rows {
        // Pair after pair to first halves, then second ones.
        Rows::Paired => [heads, part, inner],
        _ => [inner, heads, part],
    };
    let shape: Vec<usize> = split.iter().chain(&dims[1..]).copied().collect();
    let split = array.reshape(&shape[..])?;
    let swapped = match rows {
        Rows::Paired => split.swapaxes(1, 2)?,
        _ => split.swapaxes(0, 1)?,
    };
    Ok(swapped.reshape(dims)?)
}
