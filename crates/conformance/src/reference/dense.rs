//! Owns small dense matrices of complex numbers and the textbook algorithms on them.

use num_complex::Complex;

/// A complex number.
pub(super) type Z = Complex<f64>;

/// A matrix, row by row.
#[derive(Clone, Debug)]
pub(super) struct Dense {
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) values: Vec<Z>,
}

impl Dense {
    pub(super) fn build(rows: usize, columns: usize, at: impl Fn(usize, usize) -> Z) -> Self {
        let places = (0..rows).flat_map(|i| (0..columns).map(move |j| (i, j)));
        let values = places.map(|(i, j)| at(i, j)).collect();
        Dense {
            rows,
            columns,
            values,
        }
    }

    pub(super) fn identity(n: usize) -> Self {
        Self::build(n, n, |i, j| Z::from(f64::from(u8::from(i == j))))
    }

    pub(super) fn at(&self, i: usize, j: usize) -> Z {
        self.values[i * self.columns + j]
    }

    pub(super) fn put(&mut self, i: usize, j: usize, value: Z) {
        self.values[i * self.columns + j] = value;
    }

    pub(super) fn finite(&self) -> bool {
        self.values.iter().all(|z| z.is_finite())
    }

    pub(super) fn adjoint(&self) -> Self {
        Self::build(self.columns, self.rows, |i, j| self.at(j, i).conj())
    }

    pub(super) fn transposed(&self) -> Self {
        Self::build(self.columns, self.rows, |i, j| self.at(j, i))
    }

    /// The elements where `keep` says so of row and column, zero elsewhere.
    pub(super) fn masked(&self, keep: impl Fn(usize, usize) -> bool) -> Self {
        let value = |i, j| if keep(i, j) { self.at(i, j) } else { Z::ZERO };
        Self::build(self.rows, self.columns, value)
    }

    pub(super) fn times(&self, other: &Dense) -> Self {
        Self::build(self.rows, other.columns, |i, j| {
            (0..self.columns)
                .map(|k| self.at(i, k) * other.at(k, j))
                .sum()
        })
    }

    pub(super) fn minus(&self, other: &Dense) -> Self {
        Self::build(self.rows, self.columns, |i, j| {
            self.at(i, j) - other.at(i, j)
        })
    }

    fn scaled(&self, factor: Z) -> Self {
        Self::build(self.rows, self.columns, |i, j| self.at(i, j) * factor)
    }

    pub(super) fn head(&self, rows: usize, columns: usize) -> Self {
        Self::build(rows, columns, |i, j| self.at(i, j))
    }

    fn swap_rows(&mut self, a: usize, b: usize) {
        for j in 0..self.columns {
            self.values.swap(a * self.columns + j, b * self.columns + j);
        }
    }

    /// Elimination with the greatest pivots: both factors in one, the exchanges, and the order.
    pub(super) fn lu(&self) -> (Dense, Vec<usize>, Vec<usize>) {
        let mut a = self.clone();
        let mut order: Vec<usize> = (0..a.rows).collect();
        let mut exchanges = Vec::new();
        for k in 0..a.rows.min(a.columns) {
            let mut pivot = k;
            for i in k + 1..a.rows {
                if a.at(i, k).norm() > a.at(pivot, k).norm() {
                    pivot = i;
                }
            }
            exchanges.push(pivot);
            order.swap(k, pivot);
            a.swap_rows(k, pivot);
            for i in k + 1..a.rows {
                if a.at(k, k) == Z::ZERO {
                    continue;
                }
                let factor = a.at(i, k) / a.at(k, k);
                a.put(i, k, factor);
                for j in k + 1..a.columns {
                    a.put(i, j, a.at(i, j) - factor * a.at(k, j));
                }
            }
        }
        (a, exchanges, order)
    }

    pub(super) fn determinant(&self) -> Z {
        let (factors, exchanges, _) = self.lu();
        let odd = exchanges
            .iter()
            .enumerate()
            .filter(|(i, p)| *i != **p)
            .count()
            % 2
            == 1;
        let product: Z = (0..self.rows).map(|i| factors.at(i, i)).product();
        if odd { -product } else { product }
    }

    pub(super) fn solve(&self, b: &Dense) -> Dense {
        let (factors, _, order) = self.lu();
        let n = self.rows;
        let mut x = Dense::build(n, b.columns, |i, j| b.at(order[i], j));
        for j in 0..b.columns {
            for i in 0..n {
                let known: Z = (0..i).map(|k| factors.at(i, k) * x.at(k, j)).sum();
                x.put(i, j, x.at(i, j) - known);
            }
            for i in (0..n).rev() {
                let known: Z = (i + 1..n).map(|k| factors.at(i, k) * x.at(k, j)).sum();
                x.put(i, j, (x.at(i, j) - known) / factors.at(i, i));
            }
        }
        x
    }

    pub(super) fn inverse(&self) -> Dense {
        self.solve(&Dense::identity(self.rows))
    }

    /// The lower triangle whose product with its adjoint has this lower triangle.
    pub(super) fn cholesky(&self) -> Dense {
        let mut l = self.masked(|_, _| false);
        for j in 0..self.rows {
            for i in j..self.rows {
                let known: Z = (0..j).map(|k| l.at(i, k) * l.at(j, k).conj()).sum();
                let rest = self.at(i, j) - known;
                let value = if i == j {
                    rest.sqrt()
                } else {
                    rest / l.at(j, j)
                };
                l.put(i, j, value);
            }
        }
        l
    }

    /// Householder's method for real matrices: Q and R, reduced.
    pub(super) fn qr(&self) -> (Dense, Dense) {
        let (m, n) = (self.rows, self.columns);
        let small = m.min(n);
        let (mut q, mut r) = (Dense::identity(m), self.clone());
        for k in 0..small {
            // A column that is done already needs no reflection.
            let tail = (k + 1..m)
                .map(|i| r.at(i, k).norm_sqr())
                .sum::<f64>()
                .sqrt();
            if tail <= r.at(k, k).norm() * 1e-30 {
                continue;
            }
            let length = (k..m).map(|i| r.at(i, k).norm_sqr()).sum::<f64>().sqrt();
            let mut mirror: Vec<Z> = (0..m)
                .map(|i| if i < k { Z::ZERO } else { r.at(i, k) })
                .collect();
            mirror[k] += Z::from(length * r.at(k, k).re.signum());
            let square: f64 = mirror.iter().map(Z::norm_sqr).sum();
            if square == 0.0 {
                continue;
            }
            let reflection = Dense::build(m, m, |i, j| {
                Z::from(f64::from(u8::from(i == j))) - mirror[i] * mirror[j].conj() * 2.0 / square
            });
            q = q.times(&reflection);
            r = reflection.times(&r);
        }
        (q.head(m, small), r.head(small, n).masked(|i, j| i <= j))
    }

    /// The columns made orthonormal one after the other, and the triangle that does it.
    fn orthonormal(&self) -> (Dense, Dense) {
        let n = self.columns;
        let (mut q, mut r) = (self.clone(), Dense::identity(n));
        for j in 0..n {
            for k in 0..j {
                let along: Z = (0..q.rows).map(|i| q.at(i, k).conj() * q.at(i, j)).sum();
                r.put(k, j, along);
                for i in 0..q.rows {
                    q.put(i, j, q.at(i, j) - along * q.at(i, k));
                }
            }
            let length = (0..q.rows)
                .map(|i| q.at(i, j).norm_sqr())
                .sum::<f64>()
                .sqrt();
            r.put(j, j, Z::from(length));
            for i in 0..q.rows {
                q.put(i, j, q.at(i, j) / length);
            }
        }
        (q, r)
    }

    /// Eigenvalues, ordered by real and then imaginary part, and vectors of length one as columns.
    /// Values must be distinct.
    pub(super) fn eigen(&self) -> (Vec<Z>, Dense) {
        let n = self.rows;
        let mut values: Vec<Z> = if n == 2 {
            let half = (self.at(0, 0) + self.at(1, 1)) / 2.0;
            let root = (half * half - self.determinant()).sqrt();
            vec![half - root, half + root]
        } else {
            // The shift makes the magnitudes of conjugate values differ.
            let shift = Z::new(-1.0, 4.0);
            let diagonal = Dense::identity(n).scaled(shift);
            let mut a = self.minus(&diagonal);
            for _ in 0..1500 {
                let (q, r) = a.orthonormal();
                a = r.times(&q);
            }
            (0..n).map(|i| a.at(i, i) + shift).collect()
        };
        values.sort_by(|a, b| {
            let close = (a.re - b.re).abs() < 1e-9;
            if close {
                a.im.total_cmp(&b.im)
            } else {
                a.re.total_cmp(&b.re)
            }
        });
        let mut vectors = Dense::identity(n);
        for (j, value) in values.iter_mut().enumerate() {
            // Inverse iteration near the value, and the value again from its vector.
            let near = *value + (value.norm() + 1.0) * 1e-9;
            let shifted = Dense::build(n, n, |i, k| {
                self.at(i, k) - if i == k { near } else { Z::ZERO }
            });
            let mut vector = Dense::build(n, 1, |i, _| Z::new(1.0, 0.3 * i as f64));
            for _ in 0..4 {
                vector = shifted.solve(&vector).orthonormal().0;
            }
            let image = self.times(&vector);
            let peak = peak(&vector.values);
            *value = image.values[peak] / vector.values[peak];
            for i in 0..n {
                vectors.put(i, j, vector.values[i]);
            }
        }
        (values, vectors)
    }

    /// Left vectors, values and right vectors, as many as the smaller side has; full rank.
    pub(super) fn svd(&self) -> (Dense, Vec<f64>, Dense) {
        if self.rows < self.columns {
            let (u, s, v) = self.adjoint().svd();
            return (v, s, u);
        }
        let n = self.columns;
        let (squares, vectors) = self.adjoint().times(self).eigen();
        let values: Vec<f64> = squares.iter().rev().map(|z| z.re.sqrt()).collect();
        let right = Dense::build(n, n, |i, j| vectors.at(i, n - 1 - j));
        let image = self.times(&right);
        let left = Dense::build(self.rows, n, |i, j| image.at(i, j) / values[j]);
        (left, values, right)
    }
}

/// The position of the first number of greatest magnitude.
pub(super) fn peak(values: &[Z]) -> usize {
    let mut best = 0;
    for i in 1..values.len() {
        if values[i].norm() > values[best].norm() {
            best = i;
        }
    }
    best
}
