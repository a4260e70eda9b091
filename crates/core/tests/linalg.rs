//! Checks what samples of linear algebra cannot show: failures, singular matrices, degenerate values, complex gradients.

use std::slice::from_ref;

use olivine_core::{
    Array, Complex64, Dtype, Error, Result, array, jvp,
    linalg::{
        Order, Triangle, cholesky, cholesky_inv, cross, det, eig, eigh, eigvals, eigvalsh, inv, lu,
        norm, qr, slogdet, solve, solve_triangular, svd, svdvals,
    },
    vjp, vmap,
};
use olivine_cpu as _;

fn values(x: &Array) -> Vec<f64> {
    let wide = x.astype(Dtype::Float64).and_then(|x| x.to_vec::<f64>());
    wide.expect("the array can be evaluated")
}

fn transpose(a: &Array) -> Result<Array> {
    a.swapaxes(-1, -2)
}

fn assert_close(found: &Array, wanted: &[f64], what: &str) {
    let found = values(found);
    assert_eq!(found.len(), wanted.len(), "{what}");
    for (a, b) in found.iter().zip(wanted) {
        assert!(
            (a - b).abs() < 1e-4,
            "{what}: {found:?} where {wanted:?} was expected"
        );
    }
}

#[test]
fn singular_matrices_are_refused_with_their_place() -> Result<()> {
    let batch = array!([[[1.0, 0.0], [0.0, 1.0]], [[1.0, 2.0], [2.0, 4.0]]]);
    let Err(Error::Argument { reason, .. }) = inv(&batch)?.eval() else {
        panic!("the second matrix is singular");
    };
    assert_eq!(reason, "the matrix at position 1 of the batch is singular");
    let zeros = Array::zeros([2, 2], Dtype::Float32)?;
    assert!(solve(&zeros, &zeros)?.eval().is_err());
    assert!(solve_triangular(&zeros, &zeros, true)?.eval().is_err());
    let indefinite = array!([[1.0, 2.0], [2.0, 1.0]]);
    let error = cholesky(&indefinite, false)?.eval();
    assert!(error.is_err_and(|error| error.to_string().contains("is not positive definite")));
    Ok(())
}

#[test]
fn shapes_that_do_not_fit_are_refused_when_recorded() -> Result<()> {
    let (wide, vector) = (Array::ones([2, 3], Dtype::Float32)?, array!([1.0, 2.0]));
    assert!(matches!(inv(&wide), Err(Error::Shape { .. })));
    assert!(matches!(det(&wide), Err(Error::Shape { .. })));
    assert!(matches!(eigvals(&wide), Err(Error::Shape { .. })));
    assert!(matches!(qr(&vector), Err(Error::Shape { .. })));
    assert!(matches!(
        cholesky_inv(&wide, false),
        Err(Error::Shape { .. })
    ));
    assert!(matches!(
        solve(&Array::eye(3, 3, 0, Dtype::Float32)?, &vector),
        Err(Error::Shape { .. })
    ));
    assert!(
        cross(&wide, &vector, -1)
            .and(cross(&wide, &wide, 0))
            .is_ok()
    );
    assert!(matches!(
        cross(&Array::ones([4], Dtype::Float32)?, &vector, -1),
        Err(Error::Shape { .. })
    ));
    assert!(matches!(
        norm(&wide, 3.0, [0, 1]),
        Err(Error::Argument { .. })
    ));
    assert!(matches!(
        norm(&wide, Order::Nuclear, 0),
        Err(Error::Argument { .. })
    ));
    assert!(matches!(
        norm(&wide, 1.0, [0, 0]),
        Err(Error::Argument { .. })
    ));
    Ok(())
}

#[test]
fn a_singular_matrix_has_factors_and_a_determinant() -> Result<()> {
    let a = array!([[0.0, 1.0, 2.0], [0.0, 3.0, 5.0], [0.0, 7.0, 1.0]]);
    let (p, l, u) = lu(&a)?;
    let rows = l.matmul(&u)?.take(&p, 0)?;
    assert_close(&rows, &values(&a), "the product of the factors");
    assert_eq!(det(&a)?.item::<f32>()?, 0.0);
    let (sign, logarithm) = slogdet(&a)?;
    assert_eq!(
        (sign.item::<f32>()?, logarithm.item::<f32>()?),
        (0.0, f32::NEG_INFINITY)
    );
    Ok(())
}

#[test]
fn the_determinant_of_a_singular_matrix_has_its_cofactors_as_gradient() -> Result<()> {
    let a = array!([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [1.0, 0.0, 1.0]]);
    let (_, gradient) = vjp(|x| Ok(vec![det(&x[0])?]), &[a], &[Array::scalar(1.0f32)])?;
    let cofactors = [4.0, 4.0, -4.0, -2.0, -2.0, 2.0, 0.0, 0.0, 0.0];
    assert_close(&gradient[0], &cofactors, "cofactors");
    Ok(())
}

#[test]
fn equal_eigenvalues_do_not_spoil_gradients_that_do_not_depend_on_the_vectors() -> Result<()> {
    let a = Array::identity(3, Dtype::Float32)?;
    let ones = Array::ones([3], Dtype::Float32)?;
    let function = |x: &[Array]| Ok(vec![eigh(&x[0], Triangle::Lower)?.0]);
    let (_, gradient) = vjp(function, from_ref(&a), from_ref(&ones))?;
    let identity = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0];
    assert_close(&gradient[0], &identity, "the gradient of the trace");
    let function = |x: &[Array]| Ok(vec![norm(&x[0], Order::Nuclear, [0, 1])?]);
    let (_, gradient) = vjp(function, &[a], &[Array::scalar(1.0f32)])?;
    assert_close(&gradient[0], &identity, "the gradient of the nuclear norm");
    Ok(())
}

#[test]
fn the_norm_of_zeros_has_a_gradient_of_zero() -> Result<()> {
    for order in [Order::Euclidean, Order::P(1.5)] {
        let x = Array::zeros([3], Dtype::Float32)?;
        let function = |x: &[Array]| Ok(vec![norm(&x[0], order, ..)?]);
        let (_, gradient) = vjp(function, &[x], &[Array::scalar(1.0f32)])?;
        assert_close(&gradient[0], &[0.0; 3], "zeros");
    }
    Ok(())
}

/// A complex matrix with entries that are small whole numbers.
fn complex(n: usize, m: usize) -> Result<Array> {
    let value = |i: usize| Complex64::new((i * 7 % 5) as f32 - 2.0, (i * 3 % 4) as f32 - 1.0);
    let values: Vec<Complex64> = (0..n * m).map(value).collect();
    let spread = Array::eye(n, m, 0, Dtype::Complex64)?.multiply(Array::arange(
        4i32,
        4 + 4 * m as i32,
        4,
    )?)?;
    Array::from_slice(&values, [n, m])?.add(spread)
}

/// Compares the forward rule of a function of a complex matrix with differences.
fn check_tangent(what: &str, x: &Array, f: impl Fn(&Array) -> Result<Vec<Array>>) -> Result<()> {
    let direction = complex(x.shape()[1], x.shape()[0])?
        .swapaxes(0, 1)?
        .multiply(0.3)?;
    let call = |x: &[Array]| f(&x[0]);
    let (_, tangents) = jvp(call, from_ref(x), from_ref(&direction))?;
    let step = 1e-2f32;
    let ahead = f(&x.add(direction.multiply(step)?)?)?;
    let behind = f(&x.subtract(direction.multiply(step)?)?)?;
    for ((tangent, ahead), behind) in tangents.iter().zip(&ahead).zip(&behind) {
        let slope = ahead.subtract(behind)?.divide(2.0 * step)?;
        let off = tangent.subtract(&slope)?.abs()?.max(..)?.item::<f32>()?;
        assert!(off < 2e-2, "{what}: off by {off}");
    }
    Ok(())
}

#[test]
fn complex_decompositions_have_tangents() -> Result<()> {
    check_tangent("inv", &complex(3, 3)?, |a| Ok(vec![inv(a)?]))?;
    check_tangent("solve", &complex(3, 3)?, |a| {
        Ok(vec![solve(a, &transpose(a)?)?])
    })?;
    check_tangent("svd", &complex(3, 2)?, |a| {
        let (u, s, vt) = svd(a)?;
        // What does not depend on phases: projections on each pair of vectors.
        let (u, v) = (u.take(&array!([0]), 1)?, vt.take(&array!([0]), 0)?);
        Ok(vec![s, u.matmul(v)?])
    })?;
    check_tangent("eigh", &complex(3, 3)?, |a| {
        let (w, v) = eigh(a, Triangle::Upper)?;
        let first = v.take(&array!([0]), 1)?;
        Ok(vec![w, first.matmul(first.swapaxes(0, 1)?.conjugate()?)?])
    })?;
    check_tangent("eig", &complex(3, 3)?, |a| {
        let (w, v) = eig(a)?;
        let order = w.real()?.argsort(-1)?;
        let least = order.take(&array!([0]), 0)?;
        let first = v.take(&least, 1)?;
        Ok(vec![
            w.take(&least, 0)?,
            first.matmul(first.swapaxes(0, 1)?.conjugate()?)?,
        ])
    })
}

#[test]
fn reverse_and_forward_rules_of_complex_values_agree() -> Result<()> {
    type Function = fn(&[Array]) -> Result<Vec<Array>>;
    // The inner product of the cotangent with the tangent is the same either way.
    let (a, direction) = (
        complex(3, 3)?,
        complex(3, 3)?.swapaxes(0, 1)?.multiply(0.2)?,
    );
    let functions: [(&str, Function); 3] = [
        ("eigh", |x| Ok(vec![eigh(&x[0], Triangle::Lower)?.0])),
        ("svd", |x| Ok(vec![svdvals(&x[0])?])),
        ("inv", |x| Ok(vec![inv(&x[0])?.real()?.sum(0)?])),
    ];
    for (name, f) in functions {
        let weights = array!([1.0, -2.0, 0.5]);
        let (_, tangents) = jvp(f, from_ref(&a), from_ref(&direction))?;
        let (_, gradients) = vjp(f, from_ref(&a), from_ref(&weights))?;
        let forwards = tangents[0].multiply(&weights)?.sum(..)?.item::<f32>()?;
        let product = gradients[0]
            .conjugate()?
            .multiply(&direction)?
            .sum(..)?
            .real()?
            .item::<f32>()?;
        assert!(
            (forwards - product).abs() < 1e-3,
            "{name}: {forwards} and {product}"
        );
    }
    Ok(())
}

#[test]
fn larger_matrices_are_rebuilt_from_their_factors() -> Result<()> {
    let n = 70;
    let x: Vec<f32> = (0..2 * n * n)
        .map(|i| ((i * i + 7 * i) % 101) as f32 / 50.0 - 1.0)
        .collect();
    let x = Array::from_slice(&x, [2, n, n])?;
    let off = |a: &Array, b: &Array| a.subtract(b)?.abs()?.max(..)?.item::<f32>();
    let (q, r) = qr(&x)?;
    assert!(off(&q.matmul(&r)?, &x)? < 1e-4);
    let (u, s, vt) = svd(&x)?;
    assert!(off(&u.multiply(s.expand_dims(-2)?)?.matmul(&vt)?, &x)? < 1e-3);
    let (w, v) = eigh(&x.add(transpose(&x)?)?, Triangle::Upper)?;
    let rebuilt = v.multiply(w.expand_dims(-2)?)?.matmul(transpose(&v)?)?;
    assert!(off(&rebuilt, &x.add(transpose(&x)?)?)? < 1e-3);
    let (w, v) = eig(&x)?;
    let image = x.astype(Dtype::Complex64)?.matmul(&v)?;
    assert!(off(&image, &v.multiply(w.expand_dims(-2)?)?)? < 1e-3);
    let several = vmap(|x: &Array| slogdet(x).map(|found| found.1), 0, 0)(&x)?;
    assert!(off(&several, &slogdet(&x)?.1)? == 0.0);
    Ok(())
}

#[test]
fn extreme_magnitudes_neither_overflow_nor_vanish() -> Result<()> {
    for scale in [1e-30f32, 1e30] {
        let a = array!([[3.0f32, 0.0], [0.0, 4.0]]).multiply(scale)?;
        assert_close(&svdvals(&a)?.divide(scale)?, &[4.0, 3.0], "singular values");
        assert_close(
            &eigvalsh(&a, Triangle::Lower)?.divide(scale)?,
            &[3.0, 4.0],
            "eigenvalues",
        );
    }
    Ok(())
}
