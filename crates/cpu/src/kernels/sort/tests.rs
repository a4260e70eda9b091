//! Owns tests of sorting against a plain stable sort by comparisons.

use std::cmp::Ordering;

use olivine_core::{Array, Complex64, Dtype, Element, Error, Result, bf16, dispatch, f16, grad};

use super::{LONG, PLACED_BY_BYTES, SORTED_BY_BYTES};
use crate::kernels::test_inputs::Random;

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

/// An element with the order that sorting is defined by, and its bits.
trait Plain: Element {
    /// Values that are easily put in the wrong place.
    fn special() -> Vec<Self>;
    fn from_random(bits: u64) -> Self;
    fn order(&self, other: &Self) -> Ordering;
    fn bits(&self) -> u64;
}

macro_rules! plain_whole {
    ($($ty:ty),*) => {$(
        impl Plain for $ty {
            fn special() -> Vec<Self> {
                vec![<$ty>::MIN, <$ty>::MAX, 0, 1, <$ty>::MAX - 1, <$ty>::MIN + 1]
            }
            fn from_random(bits: u64) -> Self {
                bits as $ty
            }
            fn order(&self, other: &Self) -> Ordering {
                self.cmp(other)
            }
            fn bits(&self) -> u64 {
                *self as u64
            }
        }
    )*};
}

plain_whole!(u8, u16, u32, u64, i8, i16, i32, i64);

macro_rules! plain_floats {
    ($($ty:ty, $bits:ty);*) => {$(
        impl Plain for $ty {
            fn special() -> Vec<Self> {
                let (zero, infinity) = (<$ty>::from_bits(0), <$ty>::INFINITY);
                let nan = infinity.to_bits() + 1;
                let mut values = vec![zero, infinity, <$ty>::MAX, <$ty>::from_bits(1)];
                values.extend([nan, nan + 1, <$bits>::MAX >> 1].map(<$ty>::from_bits));
                let negative: Vec<_> = values.iter().map(|&value| -value).collect();
                [values, negative].concat()
            }
            fn from_random(bits: u64) -> Self {
                <$ty>::from_bits(bits as $bits)
            }
            fn order(&self, other: &Self) -> Ordering {
                self.partial_cmp(other).unwrap_or_else(|| self.is_nan().cmp(&other.is_nan()))
            }
            fn bits(&self) -> u64 {
                u64::from(self.to_bits())
            }
        }
    )*};
}

plain_floats!(f16, u16; bf16, u16; f32, u32; f64, u64);

impl Plain for bool {
    fn special() -> Vec<Self> {
        vec![true, false]
    }
    fn from_random(bits: u64) -> Self {
        bits % 2 == 1
    }
    fn order(&self, other: &Self) -> Ordering {
        self.cmp(other)
    }
    fn bits(&self) -> u64 {
        u64::from(*self)
    }
}

impl Plain for Complex64 {
    fn special() -> Vec<Self> {
        let parts = f32::special();
        let pairs = parts
            .iter()
            .flat_map(|&re| parts.iter().map(move |&im| Complex64::new(re, im)));
        pairs.collect()
    }
    fn from_random(bits: u64) -> Self {
        Complex64::new(f32::from_random(bits >> 32), f32::from_random(bits))
    }
    fn order(&self, other: &Self) -> Ordering {
        let parts = self.re.order(&other.re);
        parts.then_with(|| self.im.order(&other.im))
    }
    fn bits(&self) -> u64 {
        u64::from(self.re.to_bits()) << 32 | u64::from(self.im.to_bits())
    }
}

/// Lines of several kinds: any bits, special values, ordered, backwards, all the same but one, and
/// numbers that share their first or last bytes.
fn lines<T: Plain>(random: &mut Random, count: usize) -> Vec<Vec<T>> {
    let special = T::special();
    let mut word = || {
        (random.below(1 << 31) as u64) << 33
            ^ (random.below(1 << 31) as u64) << 11
            ^ random.below(1 << 20) as u64
    };
    let any: Vec<T> = (0..count).map(|_| T::from_random(word())).collect();
    let few: Vec<T> = (0..count)
        .map(|_| special[word() as usize % special.len()])
        .collect();
    let low: Vec<T> = (0..count).map(|_| T::from_random(word() % 200)).collect();
    let high: Vec<T> = (0..count)
        .map(|_| T::from_random(word() << 56 >> (word() % 60)))
        .collect();
    let mut sorted = any.clone();
    sorted.sort_by(T::order);
    let mut backwards = few.clone();
    backwards.sort_by(|a, b| b.order(a));
    let mut one = vec![special[0]; count];
    one[count / 2] = special[1];
    vec![any, few, low, high, sorted, backwards, one]
}

fn check<T: Plain>(random: &mut Random, count: usize) -> Result<()> {
    let lines = lines::<T>(random, count);
    let bits = |values: &[T]| values.iter().map(T::bits).collect::<Vec<_>>();
    let expected: Vec<Vec<u32>> = lines
        .iter()
        .map(|line| {
            let mut order: Vec<u32> = (0..count as u32).collect();
            order.sort_by(|&a, &b| line[a as usize].order(&line[b as usize]));
            order
        })
        .collect();
    let pick = |line: usize| -> Vec<T> {
        let order = expected[line].iter();
        order.map(|&at| lines[line][at as usize]).collect()
    };
    for (i, line) in lines.iter().enumerate() {
        let what = format!("{:?}, line {i} of {count}", T::DTYPE);
        let x = Array::from_slice(line, [count])?;
        let wanted = bits(&pick(i));
        assert!(x.argsort(0)?.to_vec::<u32>()? == expected[i], "{what}");
        assert!(bits(&x.sort(0)?.to_vec::<T>()?) == wanted, "{what}");
        // The line may be sorted in its own memory if nobody holds it any more.
        drop(x);
        let moved = Array::from_slice(line, [count])?.sort(0)?;
        assert!(bits(&moved.to_vec::<T>()?) == wanted, "{what}");
    }
    // All at once, along columns and along rows.
    let rows = Array::from_slice(&lines.concat(), [lines.len(), count])?;
    let columns = rows.transpose(..)?.contiguous()?;
    let wanted: Vec<T> = (0..lines.len()).flat_map(&pick).collect();
    for (x, axis) in [(&rows, 1), (&columns, 0)] {
        let what = format!("{:?}, {count} along {axis}", T::DTYPE);
        let back = |y: Array| if axis == 0 { y.transpose(..) } else { Ok(y) };
        assert!(
            bits(&back(x.sort(axis)?)?.to_vec::<T>()?) == bits(&wanted),
            "{what}"
        );
        assert!(
            back(x.argsort(axis)?)?.to_vec::<u32>()? == expected.concat(),
            "{what}"
        );
    }
    Ok(())
}

#[test]
fn lines_of_every_dtype_and_length_are_sorted_as_by_comparisons() -> Result<()> {
    let mut random = Random(11);
    for dtype in Dtype::ALL {
        for count in [1, 2, 3, 20, 21, 100, 1000, 3001] {
            dispatch!(all, dtype, T => check::<T>(&mut random, count))?;
        }
        for least in [SORTED_BY_BYTES, PLACED_BY_BYTES] {
            let bytes = dtype.size();
            for count in [least * bytes - 1, least * bytes, least * bytes + 1] {
                dispatch!(all, dtype, T => check::<T>(&mut random, count))?;
            }
        }
    }
    Ok(())
}

#[test]
fn lines_that_threads_share_are_sorted_as_by_comparisons() -> Result<()> {
    let mut random = Random(12);
    for dtype in Dtype::ALL {
        for count in [LONG - 1, LONG, LONG + 1, 3 * LONG + 77] {
            dispatch!(all, dtype, T => check::<T>(&mut random, count))?;
        }
    }
    Ok(())
}

#[test]
fn arg_partition_of_any_line_splits_it() -> Result<()> {
    let mut random = Random(13);
    for dtype in Dtype::ALL {
        dispatch!(all, dtype, T => {
            for line in lines::<T>(&mut random, 1500) {
                let pivot = random.below(1500);
                let order = Array::from_slice(&line, [1500])?.argpartition(pivot as i64, 0)?.to_vec::<u32>()?;
                let mut seen = order.clone();
                seen.sort_unstable();
                assert!(seen.into_iter().eq(0..1500));
                let at = |i: u32| &line[i as usize];
                let middle = at(order[pivot]);
                assert!(order[..pivot].iter().all(|&i| at(i).order(middle).is_le()));
                assert!(order[pivot..].iter().all(|&i| at(i).order(middle).is_ge()));
            }
        });
    }
    Ok(())
}
