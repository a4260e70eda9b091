//! Owns sorting. Lines are shared out among threads; a long one is sorted by all of them.

use std::cmp::Ordering;

use olivine_core::{Call, Complex64, Element, Result, bf16, dispatch, f16, ops::sort::ArgSort};

use super::movement::{Source, Target, copy_strided};
use crate::{
    pool::{num_threads, parallel_for},
    tensor::{Loops, Output, View},
};

/// A line at least this long is worth sorting on several threads.
const LONG: usize = 1 << 16;

/// Roughly what sorting a line of `count` elements costs, for each element.
fn cost(count: usize) -> usize {
    8 * (count.max(2).ilog2() as usize)
}

/// True if a few long lines are better sorted one after another, each by all threads.
fn is_long(lines: usize, count: usize) -> bool {
    count >= LONG && num_threads() > 1 && lines < num_threads()
}

/// Runs [`Sort`](olivine_core::ops::sort::Sort).
pub(crate) fn run(call: &mut Call) -> Result<()> {
    dispatch!(all, call.input(0).dtype, T => sort::<T>(call))
}

fn sort<T: Ordered>(call: &mut Call) -> Result<()> {
    let strides = call.shape(0).contiguous_strides();
    let start = call.reuse_or_allocate(0, strides.clone(), &[0])?;
    let x = call.input(0);
    if start.cast_const() != x.ptr() {
        // SAFETY: the output is fresh memory for as many elements as the input has.
        unsafe {
            let source = (x.ptr(), &x.data.strides[..]);
            copy_strided(x.dtype.size(), &x.shape, source, (start, &strides));
        }
    }
    let (elements, count) = (x.shape.elements(), x.shape[x.shape.rank() - 1]);
    if elements == 0 {
        return Ok(());
    }
    let lines = elements / count;
    let (target, long) = (Target::new(start), is_long(lines, count));
    let work = |range: std::ops::Range<usize>| {
        for line in range {
            let start = target.get().cast::<T>().wrapping_add(line * count);
            // SAFETY: the output is this call's alone, holds the input's elements by now, and each
            // line of it belongs to one thread.
            let line = unsafe { std::slice::from_raw_parts_mut(start, count) };
            if long {
                sort_together(line, T::order);
            } else {
                line.sort_by(T::order);
            }
        }
    };
    if long {
        work(0..lines);
    } else {
        parallel_for(lines, count * cost(count), work);
    }
    Ok(())
}

/// Sorts one line on all threads: each sorts a part, then the parts, which the standard library's
/// stable sort finds in order, are merged.
fn sort_together<T: Send>(line: &mut [T], order: impl Fn(&T, &T) -> Ordering + Sync) {
    let (count, parts) = (line.len(), num_threads());
    let part = count.div_ceil(parts);
    let target = Target::new(line.as_mut_ptr().cast());
    parallel_for(parts, part * cost(part), |range| {
        for i in range {
            let (first, last) = ((i * part).min(count), ((i + 1) * part).min(count));
            let start = target.get().cast::<T>().wrapping_add(first);
            // SAFETY: a part of the line, which is one thread's alone.
            let part = unsafe { std::slice::from_raw_parts_mut(start, last - first) };
            part.sort_by(&order);
        }
    });
    line.sort_by(order);
}

/// Runs [`ArgSort`].
pub(crate) fn run_arg(arg: &ArgSort, call: &mut Call) -> Result<()> {
    dispatch!(all, call.input(0).dtype, T => arg_sort::<T>(arg, call))
}

fn arg_sort<T: Ordered>(arg: &ArgSort, call: &mut Call) -> Result<()> {
    let output = Output::<u32>::allocate(call, 0, "argsort")?;
    let x = View::<T>::new(call.input(0), "argsort")?;
    let rank = x.shape.rank();
    let (elements, count, stride) = (x.shape.elements(), x.shape[rank - 1], x.strides[rank - 1]);
    if elements == 0 {
        return Ok(());
    }
    let lines = Loops::new(&x.shape[..rank - 1], [&x.strides[..rank - 1]]);
    let long = is_long(lines.elements(), count);
    let [step] = lines.inner_strides();
    let source = Source::new(x.ptr.cast());
    let work = |range: std::ops::Range<usize>| {
        let mut pairs: Vec<(T, u32)> = Vec::with_capacity(count);
        let mut done = range.start;
        lines.for_each_run(range, |[offset], len| {
            for line in 0..len as isize {
                let start = source
                    .get()
                    .cast::<T>()
                    .wrapping_offset(offset + line * step);
                pairs.clear();
                // SAFETY: the loops walk the view's strides, so each element is inside it.
                pairs.extend((0..count).map(|i| unsafe {
                    (start.wrapping_offset(i as isize * stride).read(), i as u32)
                }));
                // With the position as the last word, unstable methods give the stable order.
                let order = |a: &(T, u32), b: &(T, u32)| a.0.order(&b.0).then(a.1.cmp(&b.1));
                match arg.pivot {
                    Some(pivot) => {
                        pairs.select_nth_unstable_by(pivot, order);
                    }
                    None if long => sort_together(&mut pairs, order),
                    None => pairs.sort_unstable_by(order),
                }
                // SAFETY: each line of the output belongs to one thread.
                let part = unsafe { output.part(done * count..(done + 1) * count) };
                for (slot, pair) in part.iter_mut().zip(&pairs) {
                    *slot = pair.1;
                }
                done += 1;
            }
        });
    };
    if long {
        work(0..lines.elements());
    } else {
        parallel_for(lines.elements(), count * cost(count), work);
    }
    Ok(())
}

/// The order that sorting puts elements in.
trait Ordered: Element {
    fn order(&self, other: &Self) -> Ordering;
}

macro_rules! ordered_whole {
    ($($ty:ty),*) => {$(
        impl Ordered for $ty {
            #[inline(always)]
            fn order(&self, other: &Self) -> Ordering {
                self.cmp(other)
            }
        }
    )*};
}

ordered_whole!(bool, u8, u16, u32, u64, i8, i16, i32, i64);

macro_rules! ordered_floats {
    ($($ty:ty),*) => {$(
        impl Ordered for $ty {
            #[inline(always)]
            fn order(&self, other: &Self) -> Ordering {
                // NaN is greater than all numbers and equal to itself.
                self.partial_cmp(other).unwrap_or_else(|| self.is_nan().cmp(&other.is_nan()))
            }
        }
    )*};
}

ordered_floats!(f16, bf16, f32, f64);

impl Ordered for Complex64 {
    #[inline(always)]
    fn order(&self, other: &Self) -> Ordering {
        self.re
            .order(&other.re)
            .then_with(|| self.im.order(&other.im))
    }
}

#[cfg(test)]
mod tests {
    use olivine_core::{Array, Complex64, Dtype, Error, Result, grad};

    #[test]
    fn every_dtype_and_axis_is_sorted() -> Result<()> {
        for dtype in Dtype::ALL {
            let x = Array::from_slice(&[3, 0, 2, 1, 1, 0], [2, 3])?.astype(dtype)?;
            let as_int = |x: Array| x.astype(Dtype::Int32)?.to_vec::<i32>();
            let one = |v: i32| if dtype == Dtype::Bool { v.min(1) } else { v };
            assert_eq!(as_int(x.sort(1)?)?, [0, 2, 3, 0, 1, 1].map(one), "{dtype}");
            assert_eq!(as_int(x.sort(0)?)?, [1, 0, 0, 3, 1, 2].map(one), "{dtype}");
            let order = x.argsort(0)?;
            assert_eq!(
                as_int(x.take_along_axis(&order, 0)?)?,
                as_int(x.sort(0)?)?,
                "{dtype}"
            );
        }
        Ok(())
    }

    #[test]
    fn nan_comes_last_and_equal_elements_keep_their_order() -> Result<()> {
        let x = Array::from_slice(&[f32::NAN, 2.0, -0.0, 0.0, f32::INFINITY, -1.0], [6])?;
        assert_eq!(x.argsort(0)?.to_vec::<u32>()?, [5, 2, 3, 1, 4, 0]);
        assert!(x.sort(0)?.to_vec::<f32>()?[5].is_nan());
        let z = [(1.0, 2.0), (0.0, 5.0), (1.0, -1.0)].map(|(re, im)| Complex64::new(re, im));
        assert_eq!(
            Array::from_slice(&z, [3])?.argsort(0)?.to_vec::<u32>()?,
            [1, 2, 0]
        );
        Ok(())
    }

    #[test]
    fn long_lines_are_sorted_by_several_threads() -> Result<()> {
        let n = 200_000u32;
        let values: Vec<u32> = (0..n)
            .map(|i| i.wrapping_mul(2_654_435_761) % 1000)
            .collect();
        let x = Array::from_slice(&values, [n as usize])?;
        let mut expected: Vec<(u32, u32)> = values.iter().copied().zip(0..n).collect();
        expected.sort_unstable();
        let order = x.argsort(0)?.to_vec::<u32>()?;
        assert!(order.iter().zip(&expected).all(|(&at, pair)| at == pair.1));
        let sorted = x.sort(0)?.to_vec::<u32>()?;
        assert!(
            sorted
                .iter()
                .zip(&expected)
                .all(|(&value, pair)| value == pair.0)
        );
        Ok(())
    }

    #[test]
    fn partition_splits_around_the_element_of_a_rank() -> Result<()> {
        let x = Array::arange(0, 1000, 1)?
            .multiply(577)?
            .remainder(1000)?
            .reshape([2, 500])?;
        let y = x.partition(-100, 1)?.to_vec::<i32>()?;
        let sorted = x.sort(1)?.to_vec::<i32>()?;
        for row in 0..2 {
            let (y, pivot) = (&y[row * 500..][..500], sorted[row * 500 + 400]);
            assert_eq!(y[400], pivot);
            assert!(y[..400].iter().all(|&v| v <= pivot) && y[401..].iter().all(|&v| v >= pivot));
        }
        assert!(matches!(x.partition(500, 1), Err(Error::Index { .. })));
        Ok(())
    }

    #[test]
    fn topk_gives_the_greatest() -> Result<()> {
        let x = Array::from_slice(&[5, 1, 4, 2, 3, 9, 8, 7, 6, 0], [2, 5])?;
        assert_eq!(x.topk(2, 1)?.sort(1)?.to_vec::<i32>()?, [4, 5, 8, 9]);
        assert_eq!(x.topk(0, 1)?.shape().dims(), &[2, 0]);
        assert_eq!(x.topk(5, 1)?.to_vec::<i32>()?, x.to_vec::<i32>()?);
        assert!(matches!(x.topk(6, 1), Err(Error::Argument { .. })));
        assert!(matches!(Array::scalar(1).sort(-1), Err(Error::Axis { .. })));
        assert_eq!(
            Array::zeros([3, 0], Dtype::Int32)?
                .sort(1)?
                .to_vec::<i32>()?,
            [0; 0]
        );
        Ok(())
    }

    #[test]
    fn gradients_go_back_to_where_elements_came_from() -> Result<()> {
        let x = Array::from_slice(&[3.0f32, 1.0, 2.0], [3])?;
        let w = Array::from_slice(&[1.0f32, 10.0, 100.0], [3])?;
        let g = grad(|x: &Array| x.sort(0)?.multiply(&w)?.sum(..))(&x)?;
        assert_eq!(g.to_vec::<f32>()?, [100.0, 1.0, 10.0]);
        let g = grad(|x: &Array| x.topk(1, 0)?.square()?.sum(..))(&x)?;
        assert_eq!(g.to_vec::<f32>()?, [6.0, 0.0, 0.0]);
        Ok(())
    }
}
