//! Owns the binary search in sorted vectors.

use olivine_core::{
    Call, Dtype, Element, Result, dispatch,
    ops::searchsorted::{SearchSorted, Side},
};

use crate::{
    pool::parallel_for,
    tensor::{Loops, Output, View, wrong_dtype},
};

/// Finds the position of every value.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the kernel table passes references"
)]
pub(crate) fn run(primitive: &SearchSorted, call: &mut Call) -> Result<()> {
    let dtype = call.input(0).dtype;
    dispatch!(real, dtype, T => search::<T>(primitive.side, call), else {
        if dtype == Dtype::Bool {
            search::<bool>(primitive.side, call)
        } else {
            Err(wrong_dtype("searchsorted", dtype))
        }
    })
}

/// The element at an offset, which must be one of the view's.
unsafe fn at<T: Copy>(view: &View<T>, offset: isize) -> T {
    // SAFETY: passed on from the caller.
    unsafe { view.ptr.offset(offset).read() }
}

/// Whether `a` sorts before `b`; NaN sorts last.
#[expect(clippy::eq_op, reason = "only NaN differs from itself")]
fn precedes<T: Copy + PartialOrd>(a: T, b: T) -> bool {
    a < b || (b != b && a == a)
}

fn search<T: Element + PartialOrd>(side: Side, call: &mut Call) -> Result<()> {
    let output = Output::<u32>::allocate(call, 0, "searchsorted")?;
    let sorted = View::<T>::new(call.input(0), "searchsorted")?;
    let values = View::<T>::new(call.input(1), "searchsorted")?;
    let (len, stride) = (sorted.shape[0], sorted.strides[0]);
    let loops = Loops::new(values.shape, [values.strides]);
    let [step] = loops.inner_strides();
    parallel_for(output.len(), 4 * (len + 2).ilog2() as usize, |range| {
        // SAFETY: `parallel_for` hands out disjoint ranges.
        let mut part = unsafe { output.part(range.clone()) }.iter_mut();
        loops.for_each_run(range, |[start], count| {
            for (i, position) in (0..count as isize).zip(part.by_ref()) {
                // SAFETY: the loops stay within the view.
                let value = unsafe { at(&values, start + i * step) };
                let (mut low, mut high) = (0, len);
                while low < high {
                    let middle = low + (high - low) / 2;
                    // SAFETY: `middle` is below the length of the vector.
                    let element = unsafe { at(&sorted, middle as isize * stride) };
                    let before = match side {
                        Side::Left => precedes(element, value),
                        Side::Right => !precedes(value, element),
                    };
                    if before {
                        low = middle + 1;
                    } else {
                        high = middle;
                    }
                }
                *position = low as u32;
            }
        });
    });
    Ok(())
}
