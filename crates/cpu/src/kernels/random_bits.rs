//! Owns the random-bits kernel: Threefry blocks whose two words go to two halves of the output.

use olivine_core::{
    Call, Operand, Result,
    random::{RandomBits, fill_halves, middle_word},
};

use crate::{
    isa::{Isa, per_isa},
    pool::parallel_for,
    tensor::{Loops, Output, View},
};

/// Scalar operations in one block.
const COST: usize = 80;

#[inline(always)]
fn fill_body<S: Isa>(key: [u32; 2], count: usize, first: usize, low: &mut [u32], high: &mut [u32]) {
    fill_halves(key, count, first, low, high);
}

per_isa! {
    fn fill(key: [u32; 2], count: usize, first: usize, low: &mut [u32], high: &mut [u32]) = fill_body;
}

/// Fills `words` with the random words of `key`.
fn fill_words(key: [u32; 2], words: &mut [u32]) {
    let count = words.len();
    let half = count / 2;
    let (low, rest) = words.split_at_mut(half);
    let (middle, high) = rest.split_at_mut(count % 2);
    middle.fill(middle_word(key, count));
    let (low, high) = (Output::over(low), Output::over(high));
    parallel_for(half, COST, |range| {
        // SAFETY: `parallel_for` hands out disjoint ranges.
        let (low, high) = unsafe { (low.part(range.clone()), high.part(range.clone())) };
        fill(key, count, range.start, low, high);
    });
}

fn read_keys(operand: &Operand) -> Result<Vec<[u32; 2]>> {
    let view = View::<u32>::new(operand, "random.bits")?;
    let loops = Loops::new(view.shape, [view.strides]);
    let mut words = Vec::with_capacity(loops.elements());
    let [step] = loops.inner_strides();
    loops.for_each_run(0..loops.elements(), |[start], len| {
        // SAFETY: the loops stay within the view.
        words.extend((0..len as isize).map(|i| unsafe { *view.ptr.offset(start + i * step) }));
    });
    Ok(words.chunks_exact(2).map(|key| [key[0], key[1]]).collect())
}

/// Fills each key's part of the output with its random words; the last word may be cut off.
pub(crate) fn run(primitive: &RandomBits, call: &mut Call) -> Result<()> {
    let keys = read_keys(call.input(0))?;
    let bytes = primitive.shape.elements() * primitive.dtype.size();
    let start = call.allocate(0)?;
    if bytes == 0 {
        return Ok(());
    }
    for (i, key) in keys.into_iter().enumerate() {
        // SAFETY: the output has `bytes` bytes for each key.
        let part = unsafe { std::slice::from_raw_parts_mut(start.add(i * bytes), bytes) };
        // SAFETY: every bit pattern is a valid u32.
        let (head, words, tail) = unsafe { part.align_to_mut::<u32>() };
        if cfg!(target_endian = "little") && head.is_empty() && tail.is_empty() {
            fill_words(key, words);
            continue;
        }
        let mut words = vec![0u32; bytes.div_ceil(4)];
        fill_words(key, &mut words);
        let words = words.iter().flat_map(|word| word.to_le_bytes());
        part.iter_mut()
            .zip(words)
            .for_each(|(byte, word)| *byte = word);
    }
    Ok(())
}
