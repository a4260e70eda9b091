//! Owns walking along an array's first axis.

use std::iter::FusedIterator;

use crate::{Array, Error, Result};

/// The parts of an array along its first axis, each a view; made by [`Array::parts`].
#[derive(Clone, Debug)]
pub struct ArrayIterator {
    array: Array,
    next: usize,
    end: usize,
}

impl Array {
    /// The parts along the first axis, from first to last: the rows of a matrix, the elements of a
    /// vector as scalars. Fails for a scalar, which has no axis.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// let x = array!([[1, 2], [3, 4], [5, 6]]);
    /// let sums: Vec<i32> = x.parts()?.rev().map(|row| row.sum(..)?.item()).collect::<Result<_, _>>()?;
    /// assert_eq!(sums, [11, 7, 3]);
    /// assert!(array!(1).parts().is_err());
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn parts(&self) -> Result<ArrayIterator> {
        let Some(&end) = self.shape().first() else {
            let reason = "a scalar has no axis to walk along".to_owned();
            return Err(Error::Shape {
                op: "parts",
                reason,
            });
        };
        Ok(ArrayIterator {
            array: self.clone(),
            next: 0,
            end,
        })
    }
}

impl ArrayIterator {
    fn part(&self, i: usize) -> Array {
        self.array.narrow(0, i, i + 1).without_axes(&[0])
    }
}

impl Iterator for ArrayIterator {
    type Item = Array;

    fn next(&mut self) -> Option<Array> {
        (self.next < self.end).then(|| {
            self.next += 1;
            self.part(self.next - 1)
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let rest = self.end - self.next;
        (rest, Some(rest))
    }
}

impl DoubleEndedIterator for ArrayIterator {
    fn next_back(&mut self) -> Option<Array> {
        (self.next < self.end).then(|| {
            self.end -= 1;
            self.part(self.end)
        })
    }
}

impl ExactSizeIterator for ArrayIterator {}

impl FusedIterator for ArrayIterator {}
