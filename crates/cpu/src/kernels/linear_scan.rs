//! Owns linear recurrences along an axis. Lines that lie side by side are walked together.

use olivine_core::{Call, Result, dispatch, ops::linear_scan::LinearScan, shape::Strides};

use super::{
    cumulative::Cumulated,
    merge::Mergeable,
    movement::{Source, Target},
};
use crate::{
    pool::parallel_for,
    tensor::{Loops, wrong_dtype},
};

/// Lines that are walked together, so that the inner loop becomes vector code.
const LANES: usize = 64;

/// Runs [`LinearScan`].
pub(crate) fn run(scan: &LinearScan, call: &mut Call) -> Result<()> {
    let dtype = call.dtype(0);
    dispatch!(inexact, dtype, T => walk::<T>(*scan, call), else Err(wrong_dtype("linear_scan", dtype)))
}

fn walk<T: Cumulated>(scan: LinearScan, call: &mut Call) -> Result<()> {
    let target = Target::new(call.allocate(0)?);
    let (a, b, axis) = (call.input(0), call.input(1), scan.axis);
    let (factors, terms) = (Source::new(a.ptr()), Source::new(b.ptr()));
    let strides = a.shape.contiguous_strides();
    let layouts = [&a.data.strides, &b.data.strides, &strides];
    let count = a.shape[axis];
    let mut steps = layouts.map(|strides| strides[axis]);
    let mut firsts = [0; 3];
    if scan.reverse {
        firsts = steps.map(|step| step * (count as isize - 1));
        steps = steps.map(|step| -step);
    }
    let lines = layouts.map(|strides| -> Strides {
        let mut strides = strides.clone();
        strides.remove(axis);
        strides
    });
    let lines = Loops::new(
        &a.shape.without_axis(axis),
        [&lines[0], &lines[1], &lines[2]],
    );
    let between = lines.inner_strides();
    // Only lines whose elements are neighbours gain from being walked together.
    let together = if between[2] == 1 { LANES } else { 1 };
    parallel_for(lines.elements(), 2 * count, |range| {
        lines.for_each_run(range, |offsets, len| {
            for start in (0..len).step_by(together) {
                let place = |i: usize| offsets[i] + firsts[i] + start as isize * between[i];
                let mut factor = factors.get().cast::<T>().wrapping_offset(place(0));
                let mut term = terms.get().cast::<T>().wrapping_offset(place(1));
                let mut sum = target.get().cast::<T>().wrapping_offset(place(2));
                let mut state = [T::NOTHING_SUMMED; LANES];
                let state = &mut state[..together.min(len - start)];
                for i in 0..count {
                    for (lane, state) in state.iter_mut().enumerate() {
                        let at = between.map(|step| lane as isize * step);
                        // SAFETY: the walks stay inside their arrays: `count` elements along the
                        // axis of each line; threads write different lines of fresh memory.
                        unsafe {
                            let term = term.wrapping_offset(at[1]).read().widen();
                            // Nothing comes before the first, however its factor looks.
                            *state = if i == 0 {
                                term
                            } else {
                                factor
                                    .wrapping_offset(at[0])
                                    .read()
                                    .widen()
                                    .times(*state)
                                    .plus(term)
                            };
                            sum.wrapping_offset(at[2]).write(T::narrow(*state));
                        }
                    }
                    factor = factor.wrapping_offset(steps[0]);
                    term = term.wrapping_offset(steps[1]);
                    sum = sum.wrapping_offset(steps[2]);
                }
            }
        });
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use olivine_core::{
        Array, Result, Walk, grad, jvp,
        ops::{linear_scan::LinearScan, scatter::Combine},
    };

    fn scan(a: &Array, b: &Array, axis: usize, reverse: bool) -> Result<Array> {
        Array::apply_one(LinearScan { axis, reverse }, [a.clone(), b.clone()])
    }

    #[test]
    fn sums_run_both_ways_and_beside_each_other() -> Result<()> {
        let a = Array::from_slice(&[f64::NAN, 2.0, 0.0, 3.0], [4])?;
        let b = Array::from_slice(&[1.0f64, 10.0, 5.0, 7.0], [4])?;
        assert_eq!(
            scan(&a, &b, 0, false)?.to_vec::<f64>()?,
            [1.0, 12.0, 5.0, 22.0]
        );
        let a = Array::from_slice(&[9.0f64, 2.0, 0.0, f64::NAN], [4])?;
        assert_eq!(
            scan(&a, &b, 0, true)?.to_vec::<f64>()?,
            [181.0, 20.0, 5.0, 7.0]
        );
        let lines = |x: &Array| x.reshape([4, 1])?.broadcast_to([4, 70]);
        let y = scan(&lines(&a)?, &lines(&b)?, 0, true)?.to_vec::<f64>()?;
        assert!((0..70).all(|i| [y[i], y[70 + i]] == [181.0, 20.0]));
        assert!(scan(&a, &b.reshape([2, 2])?, 0, true).is_err());
        Ok(())
    }

    #[test]
    fn rules_agree_with_differences() -> Result<()> {
        let x = Array::from_slice(&[0.5f64, -1.5, 0.0, 2.0, 0.25, -0.75], [2, 3])?;
        let weights = Array::from_slice(&[1.0f64, -2.0, 0.5, 3.0, 1.5, -1.0], [2, 3])?;
        for reverse in [false, true] {
            let f = |x: &Array| {
                scan(&x.square()?, &x.add(1.0)?, 1, reverse)?
                    .multiply(&weights)?
                    .sum(..)
            };
            let direction = Array::from_slice(&[1.0f64, 0.3, -0.7, 0.2, -1.0, 0.9], [2, 3])?;
            let step = direction.multiply(1e-6)?;
            let (up, down) = (f(&x.add(&step)?)?, f(&x.subtract(&step)?)?);
            let expected = (up.item::<f64>()? - down.item::<f64>()?) / 2e-6;
            let along = grad(f)(&x)?.multiply(&direction)?.sum(..)?.item::<f64>()?;
            assert!((along - expected).abs() < 1e-6, "{along} {expected}");
            let (_, tangent) = jvp(
                |x| Ok(vec![f(&x[0])?]),
                std::slice::from_ref(&x),
                &[direction],
            )?;
            assert!((tangent[0].item::<f64>()? - expected).abs() < 1e-6);
        }
        Ok(())
    }

    #[test]
    fn gradients_of_running_products_are_right_beside_zeros() -> Result<()> {
        let x = Array::from_slice(&[2.0f32, 0.0, 3.0, 0.0, 5.0], [5])?;
        let w = Array::from_slice(&[1.0f32, 10.0, 100.0, 1000.0, 10000.0], [5])?;
        let of = |walk: Walk| -> Result<Vec<f32>> {
            grad(|x: &Array| x.cumprod(walk)?.multiply(&w)?.sum(..))(&x)?.to_vec()
        };
        assert_eq!(of(Walk::along(0))?, [1.0, 620.0, 0.0, 0.0, 0.0]);
        assert_eq!(
            of(Walk::along(0).exclusive())?,
            [10.0, 2.0 * (100.0 + 3000.0), 0.0, 0.0, 0.0]
        );
        let all = |x: &Array| x.cumprod(0)?.multiply(&w)?.sum(..);
        // The second derivative by both zeros is what is left of the product.
        let second = grad(|x: &Array| grad(all)(x)?.index(1))(&x)?;
        assert_eq!(
            second.to_vec::<f32>()?[3],
            2.0 * 3.0 * (1000.0 + 5.0 * 10000.0)
        );
        Ok(())
    }

    #[test]
    fn gradients_of_factors_are_right_beside_zeros_and_at_repeated_positions() -> Result<()> {
        let x = Array::from_slice(&[2.0f32, 3.0, 5.0], [3])?;
        let at = Array::from_slice(&[0, -1, 0, 2, 2], [5])?;
        let factors = Array::from_slice(&[7.0f32, 0.0, 11.0, 13.0, 0.0], [5])?;
        let of = |u: &Array| x.scatter(Combine::Multiply, &[&at], u, &[0])?.sum(..);
        assert_eq!(
            grad(of)(&factors)?.to_vec::<f32>()?,
            [22.0, 0.0, 14.0, 0.0, 0.0]
        );
        let one = Array::from_slice(&[7.0f32, 0.0, 11.0, 13.0, 2.0], [5])?;
        assert_eq!(
            grad(of)(&one)?.to_vec::<f32>()?,
            [22.0, 130.0, 14.0, 0.0, 0.0]
        );
        Ok(())
    }
}
