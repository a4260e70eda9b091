//! Functions with rules of their own, checkpoints and dependencies.

use olivine_core::{
    Array, CustomFunction, Error, Result, array, checkpoint, compile, depends, grad, jvp, keep,
    memory, random, vmap,
};
use olivine_cpu as _;

/// The square, whose gradient claims to be that of the cube.
fn odd_square() -> CustomFunction {
    CustomFunction::new(|x| Ok(vec![x[0].square()?])).with_vjp(|x, cotangents, _| {
        Ok(vec![
            x[0].square()?.multiply(3.0)?.multiply(&cotangents[0])?,
        ])
    })
}

#[test]
fn a_given_gradient_takes_the_place_of_the_derived_one() -> Result<()> {
    let f = odd_square();
    let x = array!([1.0, 2.0]);
    assert_eq!(f.call(&[&x])?[0].to_vec::<f32>()?, [1.0, 4.0]);
    let total = |x: &Array| f.call(&[x])?[0].sum(..);
    assert_eq!(grad(total)(&x)?.to_vec::<f32>()?, [3.0, 12.0]);
    assert_eq!(compile(grad(total))(&x)?.to_vec::<f32>()?, [3.0, 12.0]);
    assert_eq!(grad(compile(total))(&x)?.to_vec::<f32>()?, [3.0, 12.0]);
    // Forward mode follows the given gradient.
    let (_, tangents) = jvp(|x| f.call(x), std::slice::from_ref(&x), &[x.ones_like()?])?;
    assert_eq!(tangents[0].to_vec::<f32>()?, [3.0, 12.0]);
    Ok(())
}

#[test]
fn a_given_tangent_takes_the_place_of_the_derived_one() -> Result<()> {
    let f = CustomFunction::new(|x| Ok(vec![x[0].multiply(&x[1])?]))
        .with_jvp(|_, tangents| Ok(vec![tangents[0].add(tangents[1].multiply(10.0)?)?]));
    let (x, y, one) = (array!(2.0), array!(3.0), array!(1.0));
    let (_, tangents) = jvp(|x| f.call(x), &[x.clone(), y.clone()], &[one.clone(), one])?;
    assert_eq!(tangents[0].item::<f32>()?, 11.0);
    // The gradient is still that of the operations.
    let slope = grad(|x: &Array| Ok(f.call(&[x, &y])?.remove(0)))(&x)?;
    assert_eq!(slope.item::<f32>()?, 3.0);
    Ok(())
}

#[test]
fn rules_are_batched_with_the_function() -> Result<()> {
    let f = odd_square();
    let rows = array!([[1.0, 2.0], [3.0, 4.0]]);
    let total = |x: &Array| f.call(&[x])?[0].sum(..);
    assert_eq!(
        vmap(grad(total), 0, 0)(&rows)?.to_vec::<f32>()?,
        [3.0, 12.0, 27.0, 48.0]
    );
    let all = |x: &Array| vmap(total, 1, 0)(x)?.sum(..);
    assert_eq!(grad(all)(&rows)?.to_vec::<f32>()?, [3.0, 12.0, 27.0, 48.0]);
    Ok(())
}

#[test]
fn an_argument_that_a_batch_shares_gets_the_sum_of_the_gradients() -> Result<()> {
    let f = CustomFunction::new(|x| Ok(vec![x[0].multiply(&x[1])?]))
        .with_vjp(|x, c, _| Ok(vec![c[0].multiply(&x[1])?, c[0].multiply(&x[0])?]));
    let x = array!([1.0, 2.0, 3.0]);
    let slope = grad(|w: &Array| {
        let each = |(x, w): &(Array, Array)| Ok(f.call(&[x, w])?.remove(0));
        vmap(each, (0, None::<i32>), 0)(&(x.clone(), w.clone()))?.sum(..)
    })(&array!(5.0))?;
    assert_eq!(slope.item::<f32>()?, 6.0);
    Ok(())
}

#[test]
fn a_given_batching_rule_is_used() -> Result<()> {
    let f = CustomFunction::new(|x| Ok(vec![x[0].square()?]))
        .with_vmap(|x, axes| Ok((vec![x[0].negative()?], axes.to_vec())));
    let one = |x: &Array| Ok(f.call(&[x])?.remove(0));
    assert_eq!(
        vmap(one, 0, 0)(&array!([1.0, 2.0]))?.to_vec::<f32>()?,
        [-1.0, -2.0]
    );
    Ok(())
}

#[test]
fn a_rule_that_gives_the_wrong_shapes_is_an_error() {
    let f = CustomFunction::new(|x| Ok(vec![x[0].square()?])).with_vjp(|_, _, _| Ok(vec![]));
    let error = grad(|x: &Array| Ok(f.call(&[x])?.remove(0)))(&array!(1.0));
    assert!(matches!(
        error,
        Err(Error::Argument {
            op: "custom_function",
            ..
        })
    ));
}

#[test]
fn checkpoints_give_the_same_values_and_gradients() -> Result<()> {
    let f = |(x, w): &(Array, Array)| x.matmul(w)?.tanh()?.exp()?.softmax(-1);
    let (x, w) = (random::normal([3, 4])?, random::normal([4, 5])?);
    let loss =
        |f: &dyn Fn(&(Array, Array)) -> Result<Array>, p: &(Array, Array)| f(p)?.square()?.sum(..);
    let kept = checkpoint(f);
    let point = (x, w);
    let plain = grad(|p: &(Array, Array)| loss(&f, p))(&point)?;
    let again = grad(|p: &(Array, Array)| loss(&kept, p))(&point)?;
    assert_eq!(plain.0.to_vec::<f32>()?, again.0.to_vec::<f32>()?);
    assert_eq!(plain.1.to_vec::<f32>()?, again.1.to_vec::<f32>()?);
    let rows = point.0.expand_dims(1)?;
    let batch = (rows, point.1.clone());
    let plain = vmap(f, (0, None::<i32>), 0)(&batch)?;
    assert_eq!(
        vmap(&kept, (0, None::<i32>), 0)(&batch)?.to_vec::<f32>()?,
        plain.to_vec::<f32>()?
    );
    assert_eq!(
        compile(&kept)(&point)?.to_vec::<f32>()?,
        f(&point)?.to_vec::<f32>()?
    );
    Ok(())
}

#[test]
fn a_checkpoint_passes_gradients_on_to_what_it_captures() -> Result<()> {
    let loss = |w: &Array| {
        let twice = w.multiply(2.0)?;
        checkpoint(move |x: &Array| x.multiply(&twice)?.sin())(&array!(2.0))
    };
    let slope = grad(loss)(&array!(0.5))?.item::<f32>()?;
    assert!((slope - 4.0 * 2.0f32.cos()).abs() < 1e-6);
    Ok(())
}

#[test]
fn a_checkpoint_and_what_it_captures_are_evaluated_together() -> Result<()> {
    let x = array!([1.0, 2.0]);
    let captured = x.exp()?;
    let product = checkpoint(|x: &Array| x.multiply(&captured))(&x)?;
    // The captured array is still to be computed, and is asked for beside the checkpoint.
    let sum = product.add(&captured)?;
    let wanted: Vec<f32> = [1.0f32, 2.0].map(|x| (x + 1.0) * x.exp()).into();
    for (got, wanted) in sum.to_vec::<f32>()?.into_iter().zip(wanted) {
        assert!((got - wanted).abs() < 1e-4);
    }
    Ok(())
}

#[test]
fn a_function_of_a_checkpoint_may_use_values_and_keep_arrays() -> Result<()> {
    let kept = std::cell::RefCell::new(None);
    let f = checkpoint(|x: &Array| {
        *kept.borrow_mut() = Some(x.clone());
        if x.item::<f32>()? > 0.0 {
            x.square()
        } else {
            x.negative()
        }
    });
    let slope = grad(|x: &Array| f(x))(&array!(3.0))?;
    assert_eq!(slope.item::<f32>()?, 6.0);
    let kept = kept.take().expect("the function was called");
    assert_eq!(kept.add(1.0)?.item::<f32>()?, 4.0);
    Ok(())
}

#[test]
fn a_checkpoint_keeps_less_memory() -> Result<()> {
    let block = |x: &Array| {
        let mut x = x.clone();
        for _ in 0..8 {
            x = x.sin()?.exp()?.tanh()?;
        }
        Ok(x)
    };
    let x = random::normal([1 << 18])?;
    x.eval()?;
    let peak = |f: &dyn Fn(&Array) -> Result<Array>| -> Result<usize> {
        let pool = memory::of(olivine_core::Device::Cpu)?;
        pool.reset_peak();
        let before = pool.usage().active;
        let slope = grad(|x: &Array| {
            let mut x = x.clone();
            for _ in 0..6 {
                x = f(&x)?;
            }
            x.sum(keep(..))
        })(&x)?;
        slope.eval()?;
        Ok(pool.usage().peak - before)
    };
    let plain = peak(&block)?;
    let kept = peak(&checkpoint(block))?;
    assert!(
        kept * 2 < plain,
        "{kept} bytes with checkpoints, {plain} without"
    );
    Ok(())
}

#[test]
fn dependencies_are_computed_first_and_get_no_gradient() -> Result<()> {
    let x = array!(3.0);
    let slope = grad(|x: &Array| {
        let other = x.square()?;
        Ok(depends(&[x.multiply(2.0)?], &[other])?.remove(0))
    })(&x)?;
    assert_eq!(slope.item::<f32>()?, 2.0);
    Ok(())
}
