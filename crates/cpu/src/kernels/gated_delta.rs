//! Owns the recurrence of gated delta networks. Each row of the state, which belongs to one element
//! of the values, goes through all steps on its own, so threads share rows.

use num_traits::Float;
use olivine_core::{Call, Dtype, Element, Result, fast::GatedDeltaUpdate};

use super::{movement::Source, scatter::gapless};
use crate::{
    pool::parallel_for,
    tensor::{Output, wrong_dtype},
};

const OP: &str = "gated_delta_update";

/// Runs [`GatedDeltaUpdate`].
pub(crate) fn run(update: GatedDeltaUpdate, call: &mut Call) -> Result<()> {
    match call.dtype(0) {
        Dtype::Float32 => rows::<f32>(update, call),
        Dtype::Float64 => rows::<f64>(update, call),
        Dtype::Bool
        | Dtype::Uint8
        | Dtype::Uint16
        | Dtype::Uint32
        | Dtype::Uint64
        | Dtype::Int8
        | Dtype::Int16
        | Dtype::Int32
        | Dtype::Int64
        | Dtype::Float16
        | Dtype::BFloat16
        | Dtype::Complex64 => Err(wrong_dtype(OP, call.dtype(0))),
    }
}

fn rows<T: Element + Float>(update: GatedDeltaUpdate, call: &mut Call) -> Result<()> {
    let read = Output::<T>::allocate(call, 0, OP)?;
    let state = Output::<T>::allocate(call, 1, OP)?;
    let call = &*call;
    let copies = call
        .inputs()
        .iter()
        .map(|input| gapless(call, input))
        .collect::<Result<Vec<_>>>()?;
    let sources: Vec<Source> = call
        .inputs()
        .iter()
        .zip(&copies)
        .map(|(input, copy)| Source::new(copy.as_ref().map_or(input.ptr(), |b| b.host().as_ptr())))
        .collect();
    let (q_shape, v_shape) = (&call.input(0).shape, &call.input(2).shape);
    let (steps, key_heads, size) = (q_shape[1], q_shape[2], q_shape[3]);
    let (heads, values) = (v_shape[2], v_shape[3]);
    parallel_for(
        q_shape[0] * heads * values,
        steps * size * 4 + size,
        |range| {
            // SAFETY: each source holds, without gaps, as many elements as its input's shape, which
            // `infer` checked, and nobody writes there.
            let part = |input: usize, start: usize, len: usize| unsafe {
                std::slice::from_raw_parts(sources[input].get().cast::<T>().add(start), len)
            };
            for row in range {
                let (batch, head) = (row / (heads * values), row / values % heads);
                let (key_head, value) = (head / (heads / key_heads), row % values);
                // SAFETY: each row of the state belongs to one thread.
                let memory = unsafe { state.part(row * size..(row + 1) * size) };
                memory.copy_from_slice(part(5, row * size, size));
                for step in 0..steps {
                    let at = batch * steps + step;
                    let out = (at * heads + head) * values + value;
                    // SAFETY: each element of what is read belongs to one row, and so to one thread.
                    let found = unsafe { &mut read.part(out..out + 1)[0] };
                    // SAFETY: the mask has an element for each step.
                    if update.mask && unsafe { !sources[6].get().cast::<bool>().add(at).read() } {
                        *found = T::zero();
                        continue;
                    }
                    let keys = (at * key_heads + key_head) * size;
                    let (query, key) = (part(0, keys, size), part(1, keys, size));
                    let gate = at * heads + head;
                    let (gamma, beta) = (part(3, gate, 1)[0], part(4, gate, 1)[0]);
                    for m in memory.iter_mut() {
                        *m = *m * gamma;
                    }
                    let change = (part(2, out, 1)[0] - dot(memory, key)) * beta;
                    memory
                        .iter_mut()
                        .zip(key)
                        .for_each(|(m, &k)| *m = *m + change * k);
                    *found = dot(memory, query);
                }
            }
        },
    );
    Ok(())
}

/// The sum of products, in eight parts that the compiler can keep in one register.
fn dot<T: Float>(a: &[T], b: &[T]) -> T {
    let mut sums = [T::zero(); 8];
    let (a_chunks, b_chunks) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest = a_chunks.remainder().iter().zip(b_chunks.remainder());
    let rest = rest.fold(T::zero(), |sum, (&a, &b)| sum + a * b);
    for (a, b) in a_chunks.zip(b_chunks) {
        for (sum, (&a, &b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum = *sum + a * b;
        }
    }
    sums.into_iter().fold(rest, |total, sum| total + sum)
}
