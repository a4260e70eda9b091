//! Owns systems of linear equations.

use faer::{
    Par,
    linalg::triangular_solve::{
        solve_lower_triangular_in_place, solve_unit_lower_triangular_in_place,
        solve_upper_triangular_in_place,
    },
};

use crate::{Matrix, factor, matrix::Number};

pub(crate) fn solve<T: Number>(a: Matrix<T>, b: &mut Matrix<T>) -> bool {
    let mut a = a;
    let order = factor::lu(&mut a);
    if singular(&a) {
        return false;
    }
    let mut x = Matrix::zeros(b.rows, b.columns);
    for column in 0..b.columns {
        for (row, &source) in order.iter().enumerate() {
            *x.at_mut(row, column) = b.at(source, column);
        }
    }
    if !x.elements.is_empty() {
        solve_unit_lower_triangular_in_place(a.faer(), x.faer_mut(), Par::Seq);
        solve_upper_triangular_in_place(a.faer(), x.faer_mut(), Par::Seq);
    }
    *b = x;
    true
}

pub(crate) fn triangular<T: Number>(a: &Matrix<T>, upper: bool, b: &mut Matrix<T>) -> bool {
    if singular(a) {
        return false;
    }
    if b.elements.is_empty() {
        return true;
    }
    if upper {
        solve_upper_triangular_in_place(a.faer(), b.faer_mut(), Par::Seq);
    } else {
        solve_lower_triangular_in_place(a.faer(), b.faer_mut(), Par::Seq);
    }
    true
}

/// Whether a triangle has a zero on its diagonal.
fn singular<T: Number>(a: &Matrix<T>) -> bool {
    (0..a.rows.min(a.columns)).any(|i| a.at(i, i).size() == 0.0)
}
