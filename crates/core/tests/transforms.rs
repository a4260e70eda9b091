//! Transforms of transforms, and what they refuse.

use std::collections::BTreeMap;

use olivine_core::{
    Array, Dtype, Error, Result, array, compile, eval, grad, jvp, random, stack,
    transforms::LeafAxes, vjp, vmap,
};
use olivine_cpu as _;

fn energy(x: &Array) -> Result<Array> {
    x.sin()?.multiply(x.exp()?)?.sum(..)?.square()
}

fn close(got: &Array, wanted: &Array) -> Result<()> {
    assert_eq!(got.shape(), wanted.shape());
    let (got, wanted) = (got.to_vec::<f64>()?, wanted.to_vec::<f64>()?);
    for (got, wanted) in got.iter().zip(&wanted) {
        assert!(
            (got - wanted).abs() < 1e-9 * (1.0 + wanted.abs()),
            "{got} is not {wanted}"
        );
    }
    Ok(())
}

fn point() -> Result<(Array, Array)> {
    let x = random::normal([5])?.astype(Dtype::Float64)?;
    Ok((x, random::normal([5])?.astype(Dtype::Float64)?))
}

#[test]
fn the_product_of_a_hessian_and_a_vector_is_the_same_by_four_ways() -> Result<()> {
    let (x, v) = point()?;
    let back_over_back = grad(|x: &Array| grad(energy)(x)?.multiply(&v)?.sum(..))(&x)?;
    let slope = |x: &[Array]| Ok(vec![grad(energy)(&x[0])?]);
    let (_, forward_over_back) = jvp(slope, &[&x], &[&v])?;
    let along = |x: &Array| {
        let f = |x: &[Array]| Ok(vec![energy(&x[0])?]);
        Ok(jvp(f, &[x], &[&v])?.1.remove(0))
    };
    let back_over_forward = grad(along)(&x)?;
    let hessian = vmap(|e: &Array| Ok(jvp(slope, &[&x], &[e])?.1.remove(0)), 0, 0)(
        &Array::identity(5, Dtype::Float64)?,
    )?;
    close(&forward_over_back[0], &back_over_back)?;
    close(&back_over_forward, &back_over_back)?;
    close(&hessian.matmul(&v)?, &back_over_back)?;
    Ok(())
}

#[test]
fn nested_tangents_are_not_confused() -> Result<()> {
    // d/dx (x * d/dy (x + y)) = 1, where confusing the two would give 2.
    let f = |x: &[Array]| {
        let inner = |y: &[Array]| Ok(vec![x[0].add(&y[0])?]);
        let (_, slope) = jvp(inner, &[array!(1.0)], &[array!(1.0)])?;
        Ok(vec![x[0].multiply(&slope[0])?])
    };
    let (_, slope) = jvp(f, &[array!(1.0)], &[array!(1.0)])?;
    assert_eq!(slope[0].item::<f32>()?, 1.0);
    Ok(())
}

#[test]
fn jacobians_by_rows_and_by_columns_are_the_same() -> Result<()> {
    let (x, _) = point()?;
    let w = random::normal([3, 5])?.astype(Dtype::Float64)?;
    let f = |x: &[Array]| Ok(vec![w.matmul(&x[0])?.tanh()?]);
    let rows = vmap(|u: &Array| Ok(vjp(f, &[&x], &[u])?.1.remove(0)), 0, 0)(&Array::identity(
        3,
        Dtype::Float64,
    )?)?;
    let columns = vmap(|e: &Array| Ok(jvp(f, &[&x], &[e])?.1.remove(0)), 0, 1)(&Array::identity(
        5,
        Dtype::Float64,
    )?)?;
    close(&rows, &columns)
}

#[test]
fn batch_axes_are_given_for_trees_part_by_part() -> Result<()> {
    let layer = |(x, parameters): &(Array, BTreeMap<String, Array>)| {
        parameters["weight"].matmul(x)?.add(&parameters["bias"])
    };
    let parameters = BTreeMap::from([
        ("bias".to_owned(), random::normal([3])?),
        ("weight".to_owned(), random::normal([3, 2])?),
    ]);
    let x = random::normal([2, 4])?;
    let y = vmap(layer, (1, None::<i32>), -1)(&(x.clone(), parameters.clone()))?;
    let wanted = parameters["weight"]
        .matmul(&x)?
        .add(parameters["bias"].expand_dims(1)?)?;
    assert_eq!(y.shape().dims(), &[3, 4]);
    assert!(
        y.allclose(&wanted, olivine_core::Tolerance::default())?
            .item::<bool>()?
    );
    // A batch of models, each with an example of its own.
    let many = BTreeMap::from([
        ("bias".to_owned(), random::normal([4, 3])?),
        ("weight".to_owned(), random::normal([4, 3, 2])?),
    ]);
    let y = vmap(layer, (1, 0), 0)(&(x, many))?;
    assert_eq!(y.shape().dims(), &[4, 3]);
    Ok(())
}

#[test]
fn nested_batches_along_different_axes_are_an_outer_product() -> Result<()> {
    let (x, y) = (array!([1.0, 2.0]), array!([10.0, 20.0, 30.0]));
    let product = |(x, y): &(Array, Array)| x.multiply(y);
    let rows = vmap(product, (None::<i32>, 0), 0);
    let outer = vmap(rows, (0, None::<i32>), 0)(&(x, y))?;
    assert_eq!(outer.shape().dims(), &[2, 3]);
    assert_eq!(outer.to_vec::<f32>()?, [10.0, 20.0, 30.0, 20.0, 40.0, 60.0]);
    Ok(())
}

#[test]
fn results_that_do_not_depend_on_the_batch_may_have_no_axis() -> Result<()> {
    let f = |x: &Array| Ok((x.square()?, array!([7.0])));
    let x = array!([1.0, 2.0]);
    let (y, same) = vmap(f, 0, (0, None::<i32>))(&x)?;
    assert_eq!(
        (y.shape().dims(), same.shape().dims()),
        (&[2][..], &[1][..])
    );
    let (_, repeated) = vmap(f, 0, 0)(&x)?;
    assert_eq!(repeated.shape().dims(), &[2, 1]);
    let error = vmap(f, 0, None::<i32>)(&x).err();
    assert!(matches!(error, Some(Error::Argument { op: "vmap", .. })));
    Ok(())
}

#[test]
fn batches_that_do_not_fit_are_errors() {
    let add = |(x, y): &(Array, Array)| x.add(y);
    let pair = (array!([1.0, 2.0]), array!([1.0, 2.0, 3.0]));
    assert!(matches!(
        vmap(add, 0, 0)(&pair),
        Err(Error::Shape { op: "vmap", .. })
    ));
    assert!(matches!(
        vmap(add, 1, 0)(&pair),
        Err(Error::Axis { op: "vmap", .. })
    ));
    let none = vmap(add, None::<i32>, 0)(&pair);
    assert!(matches!(none, Err(Error::Argument { op: "vmap", .. })));
    let short = vmap(add, LeafAxes(vec![Some(0)]), 0)(&pair);
    assert!(matches!(short, Err(Error::Argument { op: "vmap", .. })));
}

#[test]
fn an_example_has_no_value() {
    let f = |x: &Array| {
        if x.item::<f32>()? > 0.0 {
            x.sin()
        } else {
            x.cos()
        }
    };
    let error = vmap(f, 0, 0)(&array!([1.0, -1.0])).expect_err("the branch depends on a value");
    assert_eq!(error, Error::Traced { transform: "vmap" });
    // Printing one inside a transform shows that, too.
    let seen = std::cell::RefCell::new(String::new());
    let printed = vmap(
        |x: &Array| {
            *seen.borrow_mut() = format!("{x:?}");
            x.sin()
        },
        0,
        0,
    )(&array!([1.0]));
    assert!(printed.is_ok());
    assert!(seen.borrow().contains("vmap"), "{}", seen.borrow());
}

#[test]
fn a_batch_with_a_gradient_of_every_parameter_runs_compiled() -> Result<()> {
    let loss = |(w, x, y): &(Array, Array, Array)| w.matmul(x)?.subtract(y)?.square()?.sum(..);
    let per_example = |(w, x, y): &(Array, Array, Array)| {
        let (x, y) = (x.clone(), y.clone());
        grad(move |w: &Array| loss(&(w.clone(), x.clone(), y.clone())))(w)
    };
    let batch = compile(vmap(per_example, (None::<i32>, 0, 0), 0));
    let (w, x, y) = (
        random::normal([2, 3])?,
        random::normal([5, 3])?,
        random::normal([5, 2])?,
    );
    let got = batch(&(w.clone(), x.clone(), y.clone()))?;
    let alone: Vec<Array> = (0..5)
        .map(|i| per_example(&(w.clone(), x.index(i)?, y.index(i)?)))
        .collect::<Result<_>>()?;
    let wanted = stack(&alone, 0)?;
    eval([&got, &wanted])?;
    assert!(
        got.allclose(&wanted, olivine_core::Tolerance::default())?
            .item::<bool>()?
    );
    Ok(())
}

#[test]
fn tangents_of_integers_do_not_count() -> Result<()> {
    let x = array!([1, 2]);
    let (_, tangents) = jvp(|x| Ok(vec![x[0].multiply(3)?]), &[&x], &[x.ones_like()?])?;
    assert_eq!(tangents[0].to_vec::<i32>()?, [0, 0]);
    Ok(())
}
