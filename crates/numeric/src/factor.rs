//! Owns direct decompositions: Cholesky, LU and QR.

use faer::{
    Conj, Par,
    dyn_stack::{MemBuffer, MemStack},
    linalg::{
        cholesky::llt::factor::{cholesky_in_place, cholesky_in_place_scratch},
        householder::{
            apply_block_householder_sequence_on_the_left_in_place_scratch,
            apply_block_householder_sequence_on_the_left_in_place_with_conj,
        },
        lu::partial_pivoting::factor::{lu_in_place, lu_in_place_scratch},
        qr::no_pivoting::factor::{qr_in_place, qr_in_place_scratch, recommended_block_size},
    },
};

use crate::{Matrix, matrix::Number};

pub(crate) fn cholesky<T: Number>(a: &mut Matrix<T>) -> bool {
    let n = a.rows;
    if n == 0 {
        return true;
    }
    let scratch = cholesky_in_place_scratch::<T>(n, Par::Seq, faer::Spec::default());
    let mut memory = MemBuffer::new(scratch);
    let done = cholesky_in_place(
        a.faer_mut(),
        faer::linalg::cholesky::llt::factor::LltRegularization::default(),
        Par::Seq,
        MemStack::new(&mut memory),
        faer::Spec::default(),
    );
    for column in 1..n {
        a.column_mut(column)[..column].fill(T::ZERO);
    }
    done.is_ok()
}

pub(crate) fn lu<T: Number>(a: &mut Matrix<T>) -> Vec<usize> {
    let (m, n) = (a.rows, a.columns);
    let (mut order, mut back) = (vec![0usize; m], vec![0usize; m]);
    if m == 0 || n == 0 {
        return (0..m).collect();
    }
    let whole = a.clone();
    let scratch = lu_in_place_scratch::<usize, T>(m, n, Par::Seq, faer::Spec::default());
    let mut memory = MemBuffer::new(scratch);
    lu_in_place(
        a.faer_mut(),
        &mut order,
        &mut back,
        Par::Seq,
        MemStack::new(&mut memory),
        faer::Spec::default(),
    );
    if a.elements.iter().all(|x| x.finite()) {
        return order;
    }
    // A column without a pivot was divided by zero.
    *a = whole;
    eliminate(a)
}

/// Elimination column by column, which goes on where a column has no pivot.
fn eliminate<T: Number>(a: &mut Matrix<T>) -> Vec<usize> {
    let (m, n) = (a.rows, a.columns);
    let mut order: Vec<usize> = (0..m).collect();
    for k in 0..m.min(n) {
        let mut pivot = k;
        for row in k + 1..m {
            if a.at(row, k).size() > a.at(pivot, k).size() {
                pivot = row;
            }
        }
        if a.at(pivot, k).size() == 0.0 {
            continue;
        }
        order.swap(k, pivot);
        for column in 0..n {
            a.column_mut(column).swap(k, pivot);
        }
        let head = a.at(k, k);
        for row in k + 1..m {
            *a.at_mut(row, k) = a.at(row, k).over(head);
        }
        for column in k + 1..n {
            let factor = a.at(k, column);
            for row in k + 1..m {
                *a.at_mut(row, column) = a.at(row, column).less(a.at(row, k), factor);
            }
        }
    }
    order
}

pub(crate) fn qr<T: Number>(a: Matrix<T>) -> (Matrix<T>, Matrix<T>) {
    let (mut a, m, n) = (a.clone(), a.rows, a.columns);
    let k = m.min(n);
    let mut q = Matrix::identity(m, k);
    let mut r = Matrix::zeros(k, n);
    if k == 0 {
        return (q, r);
    }
    let block = recommended_block_size::<T>(m, n);
    let mut factors = Matrix::<T>::zeros(block, k);
    let scratch = qr_in_place_scratch::<T>(m, n, block, Par::Seq, faer::Spec::default());
    let mut memory = MemBuffer::new(scratch);
    qr_in_place(
        a.faer_mut(),
        factors.faer_mut(),
        Par::Seq,
        MemStack::new(&mut memory),
        faer::Spec::default(),
    );
    let scratch = apply_block_householder_sequence_on_the_left_in_place_scratch::<T>(m, block, k);
    let mut memory = MemBuffer::new(scratch);
    apply_block_householder_sequence_on_the_left_in_place_with_conj(
        a.faer().subcols(0, k),
        factors.faer(),
        Conj::No,
        q.faer_mut(),
        Par::Seq,
        MemStack::new(&mut memory),
    );
    for column in 0..n {
        let count = k.min(column + 1);
        let from = &a.elements[column * m..][..count];
        r.column_mut(column)[..count].copy_from_slice(from);
    }
    (q, r)
}
