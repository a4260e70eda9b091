//! Owns diagonals: reading them, summing them, and making matrices of them.

use smallvec::SmallVec;

use super::{Family, Gradient, Input, OpInfo, Sample, info::kinds};
use crate::{Array, Dtype, Error, Result, Shape};

impl Array {
    /// The diagonal of each matrix that `axis1` and `axis2` span, as a new last axis in place of
    /// the two. `offset` counts columns to the right, or rows down if negative.
    ///
    /// It is a view where the layout allows.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// let x = array!([[1, 2, 3], [4, 5, 6]]);
    /// assert_eq!(x.diagonal(1, 0, 1)?.to_vec::<i32>()?, [2, 6]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn diagonal(&self, offset: i64, axis1: i64, axis2: i64) -> Result<Array> {
        let rank = self.ndim();
        let (first, second) = (
            self.shape().axis(axis1, "diagonal")?,
            self.shape().axis(axis2, "diagonal")?,
        );
        if first == second {
            let reason = format!("axes {axis1} and {axis2} are the same");
            return Err(Error::Shape {
                op: "diagonal",
                reason,
            });
        }
        let order: SmallVec<[u8; 8]> = (0..rank)
            .filter(|&axis| axis != first && axis != second)
            .chain([first, second])
            .map(|axis| axis as u8)
            .collect();
        let (n, m) = (self.shape()[first], self.shape()[second]);
        let (down, right) = (
            offset.min(0).unsigned_abs() as usize,
            offset.max(0) as usize,
        );
        let count = n.saturating_sub(down).min(m.saturating_sub(right));
        // In a row of all the matrix's elements, neighbours on a diagonal lie m + 1 apart.
        let matrices = self.permuted(order);
        let batch = &matrices.shape().dims()[..rank - 2];
        let rows: Shape = batch.iter().copied().chain([n * m]).collect();
        let shape: Shape = batch.iter().copied().chain([count]).collect();
        let mut starts = SmallVec::from_elem(0, rank - 1);
        let mut steps = SmallVec::from_elem(1, rank - 1);
        if count > 0 {
            starts[rank - 2] = down * m + right;
            steps[rank - 2] = m as isize + 1;
        }
        Ok(matrices.reshape_to(rows).sliced(starts, steps, shape))
    }

    /// The diagonal of a matrix, or the matrix with this vector on its diagonal.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// assert_eq!(array!([1, 2]).diag(0)?.to_vec::<i32>()?, [1, 0, 0, 2]);
    /// assert_eq!(array!([[1, 2], [3, 4]]).diag(0)?.to_vec::<i32>()?, [1, 4]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn diag(&self, k: i64) -> Result<Array> {
        match self.ndim() {
            1 => {}
            2 => return self.diagonal(k, 0, 1),
            rank => {
                let reason = format!("expects one or two dimensions, not {rank}");
                return Err(Error::Shape { op: "diag", reason });
            }
        }
        let aside = k.unsigned_abs() as usize;
        let size = self.shape()[0].saturating_add(aside);
        // The number at (i, i + k) is counted by rows above the main diagonal, by columns below it.
        let padded = self.pad(&[(0, aside)], 0)?;
        let line = padded.reshape_to(if k >= 0 {
            Shape::from([size, 1])
        } else {
            Shape::from([1, size])
        });
        Array::eye(size, size, k, Dtype::Bool)?.select(&line, line.zeros_like()?)
    }

    /// The sum of each diagonal; see [`Array::diagonal`].
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// assert_eq!(array!([[1, 2], [3, 4]]).trace(0, 0, 1)?.item::<i32>()?, 5);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn trace(&self, offset: i64, axis1: i64, axis2: i64) -> Result<Array> {
        self.diagonal(offset, axis1, axis2)?.sum(-1)
    }
}

pub(super) fn ops() -> Vec<OpInfo> {
    let op = |name, doc, signature, samples| OpInfo {
        name,
        doc,
        signature,
        family: Family::Shape,
        kinds: kinds::ALL,
        gradient: Gradient::Smooth,
        samples,
    };
    vec![
        op(
            "diagonal",
            "The diagonals of matrices.",
            "diagonal(x, offset=0, axis1=0, axis2=1)",
            || {
                [
                    ("0, 0, 1", [3, 4, 2]),
                    ("1, 0, 1", [3, 4, 2]),
                    ("-2, 2, 0", [4, 2, 3]),
                    ("5, 0, 1", [3, 4, 2]),
                    ("0, 1, -1", [0, 3, 3]),
                ]
                .map(|(label, shape)| {
                    Sample::new(label, [Input::any(shape)], move |x| match label {
                        "0, 0, 1" => x[0].diagonal(0, 0, 1),
                        "1, 0, 1" => x[0].diagonal(1, 0, 1),
                        "-2, 2, 0" => x[0].diagonal(-2, 2, 0),
                        "5, 0, 1" => x[0].diagonal(5, 0, 1),
                        _ => x[0].diagonal(0, 1, -1),
                    })
                })
                .to_vec()
            },
        ),
        op(
            "diag",
            "The diagonal of a matrix, or a matrix of a diagonal.",
            "diag(x, k=0)",
            || {
                vec![
                    Sample::new("0", [Input::any([3])], |x| x[0].diag(0)),
                    Sample::new("2", [Input::any([3])], |x| x[0].diag(2)),
                    Sample::new("-1", [Input::any([2])], |x| x[0].diag(-1)),
                    Sample::new("-1", [Input::any([3, 4])], |x| x[0].diag(-1)),
                ]
            },
        ),
        OpInfo {
            family: Family::Reduction,
            ..op(
                "trace",
                "The sums of diagonals.",
                "trace(x, offset=0, axis1=0, axis2=1)",
                || {
                    vec![
                        Sample::new("0, 0, 1", [Input::any([3, 4])], |x| x[0].trace(0, 0, 1)),
                        Sample::new("1, 2, 0", [Input::any([3, 2, 3])], |x| {
                            x[0].trace(1, 2, 0)
                        }),
                    ]
                },
            )
        },
    ]
}
