//! Owns arranging arrays so that they fit each other: more axes, a common shape, grids.

use std::borrow::Borrow;

use super::{Family, Gradient, Input, OpInfo, Sample, info::kinds, view::{IntoReshape, Meaning}};
use crate::{Array, Dtype, Error, Nested, Result, Shape};

impl Array {
    /// An array of nested values, or a copy of their numbers in another dtype.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, Dtype};
    /// let x = Array::asarray(&[[1, 2], [3, 4]], Some(Dtype::Float16))?;
    /// assert_eq!((x.dtype(), x.ndim()), (Dtype::Float16, 2));
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn asarray<T: Nested + ?Sized>(values: &T, dtype: Option<Dtype>) -> Result<Array> {
        let array = Array::from_nested(values)?;
        array.astype(dtype.unwrap_or(array.dtype()))
    }

    /// A scalar as a vector of one element; any other array as it is.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// assert_eq!(array!(3).atleast_1d()?.shape().dims(), &[1]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn atleast_1d(&self) -> Result<Array> {
        match self.ndim() {
            0 => self.reshape([1]),
            _ => Ok(self.clone()),
        }
    }

    /// A scalar or vector as a matrix of one row; any other array as it is.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// assert_eq!(array!([1, 2]).atleast_2d()?.shape().dims(), &[1, 2]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn atleast_2d(&self) -> Result<Array> {
        match self.ndim() {
            0 | 1 => self.reshape([1, self.size()]),
            _ => Ok(self.clone()),
        }
    }

    /// An array with three axes or more: a vector of `n` elements becomes (1, n, 1), a matrix gets
    /// a last axis of size one.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// assert_eq!(array!([1, 2]).atleast_3d()?.shape().dims(), &[1, 2, 1]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn atleast_3d(&self) -> Result<Array> {
        match self.shape()[..] {
            [] => self.reshape([1, 1, 1]),
            [n] => self.reshape([1, n, 1]),
            [n, m] => self.reshape([n, m, 1]),
            _ => Ok(self.clone()),
        }
    }

    /// The last two axes exchanged.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// assert_eq!(array!([[1, 2], [3, 4]]).matrix_transpose()?.to_vec::<i32>()?, [1, 3, 2, 4]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn matrix_transpose(&self) -> Result<Array> {
        if self.ndim() < 2 {
            let reason = format!("shape {} has fewer than two axes", self.shape());
            return Err(Error::Shape { op: "matrix_transpose", reason });
        }
        self.swapaxes(-1, -2)
    }

    /// Several axes in place of one; one of their sizes may be −1, to be worked out from the others.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::Array;
    /// let x = Array::arange(0, 6, 1)?.unflatten(0, [2, -1])?;
    /// assert_eq!(x.shape().dims(), &[2, 3]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn unflatten(&self, axis: i64, shape: impl IntoReshape) -> Result<Array> {
        const OP: &str = "unflatten";
        let axis = self.shape().axis(axis, OP)?;
        let (size, sizes) = (self.shape()[axis], shape.sizes());
        let fail = |why: &str| {
            let reason = format!("axis {axis} of size {size} does not become {sizes:?}: {why}");
            Err(Error::Shape { op: OP, reason })
        };
        if sizes.is_empty() {
            return fail("no axis would be left");
        }
        if sizes.iter().any(|&n| n < -1) || sizes.iter().filter(|&&n| n == -1).count() > 1 {
            return fail("sizes are zero or more, or -1 once");
        }
        let mut known = sizes.iter().filter(|&&n| n >= 0);
        let known = known.try_fold(1usize, |product, &n| product.checked_mul(n as usize));
        let free = sizes.contains(&-1);
        let fits = match known {
            Some(0) => size == 0 && !free,
            Some(known) if free => size.is_multiple_of(known),
            Some(known) => known == size,
            None => false,
        };
        if !fits {
            return fail("the numbers of elements differ");
        }
        let rest = size / known.unwrap_or(1).max(1);
        let inner = sizes.iter().map(|&n| if n == -1 { rest } else { n as usize });
        let (head, tail) = (&self.shape()[..axis], &self.shape()[axis + 1..]);
        let shape = head.iter().copied().chain(inner).chain(tail.iter().copied()).collect();
        let meaning = match sizes.iter().position(|&n| n == -1) {
            Some(free) => Meaning::Written {
                before: axis as u8,
                after: tail.len() as u8,
                free: (axis + free) as u8,
            },
            None => Meaning::Grouped,
        };
        Ok(self.reshape_as(shape, meaning))
    }

    /// The slices along an axis, one by one, without that axis: the inverse of [`crate::stack`].
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// let rows = array!([[1, 2], [3, 4]]).unstack(0)?;
    /// assert_eq!(rows[1].to_vec::<i32>()?, [3, 4]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn unstack(&self, axis: i64) -> Result<Vec<Array>> {
        let axis = self.shape().axis(axis, "unstack")?;
        let slices = 0..self.shape()[axis];
        Ok(slices.map(|i| self.narrow(axis, i, i + 1).without_axes(&[axis])).collect())
    }
}

/// The shape that arrays of these shapes broadcast to; a scalar's if there is none.
///
/// ```
/// use olivine_core::{Shape, ops::arrange::broadcast_shapes};
/// let shapes = [Shape::from([6, 7]), Shape::from([5, 6, 1]), Shape::from([7])];
/// assert_eq!(broadcast_shapes(&shapes)?, Shape::from([5, 6, 7]));
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn broadcast_shapes<S: Borrow<Shape>>(shapes: &[S]) -> Result<Shape> {
    let mut shapes = shapes.iter().map(Borrow::borrow);
    shapes.try_fold(Shape::scalar(), |whole, shape| whole.broadcast(shape, "broadcast_shapes"))
}

/// The arrays, each broadcast to the shape that all of them broadcast to. Nothing is copied.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, ops::arrange::broadcast_arrays};
/// let arrays = broadcast_arrays(&[array!([1, 2]), array!([[3], [4]])])?;
/// assert_eq!(arrays[0].to_vec::<i32>()?, [1, 2, 1, 2]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn broadcast_arrays<A: Borrow<Array>>(arrays: &[A]) -> Result<Vec<Array>> {
    let mut shape = Shape::scalar();
    for array in arrays {
        shape = shape.broadcast(array.borrow().shape(), "broadcast_arrays")?;
    }
    Ok(arrays.iter().map(|array| array.borrow().broadcast_shape(&shape)).collect())
}

/// Which axes of a grid the first two vectors run along.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, Indexing, meshgrid};
/// let (x, y) = (array!([1, 2, 3]), array!([10, 20]));
/// let grids = meshgrid(&[&x, &y], Indexing::Xy, false)?;
/// assert_eq!(grids[0].shape().dims(), &[2, 3]);
/// let grids = meshgrid(&[&x, &y], Indexing::Ij, false)?;
/// assert_eq!(grids[0].shape().dims(), &[3, 2]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Indexing {
    /// The first along columns, the second along rows, as for points in a plane.
    #[default]
    Xy,
    /// The first along rows, the second along columns, as for elements of a matrix.
    Ij,
}

/// For each vector, its elements at every point of the grid that all vectors span.
///
/// Arrays of other ranks are flattened. A sparse grid has axes of size one in place of repeated
/// elements; it broadcasts to the full one.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, ops::arrange::{Indexing, meshgrid}};
/// let grid = meshgrid(&[array!([1, 2]), array!([3, 4, 5])], Indexing::Xy, false)?;
/// assert_eq!(grid[0].to_vec::<i32>()?, [1, 2, 1, 2, 1, 2]);
/// assert_eq!(grid[1].to_vec::<i32>()?, [3, 3, 4, 4, 5, 5]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn meshgrid<A: Borrow<Array>>(
    arrays: &[A],
    indexing: Indexing,
    sparse: bool,
) -> Result<Vec<Array>> {
    let axis = |i: usize| match (indexing, i) {
        (Indexing::Xy, 0) if arrays.len() > 1 => 1,
        (Indexing::Xy, 1) => 0,
        _ => i,
    };
    let lines = arrays.iter().enumerate().map(|(i, array)| {
        let array = array.borrow();
        let shape = Shape::from(vec![1; arrays.len()]).with_axis(axis(i), array.size());
        array.reshape_to(shape)
    });
    let lines: Vec<Array> = lines.collect();
    if sparse { Ok(lines) } else { broadcast_arrays(&lines) }
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
    fn ranks(call: fn(&Array) -> Result<Array>, least: usize) -> Vec<Sample> {
        let shapes = [vec![], vec![3], vec![2, 3], vec![0, 2, 3], vec![2, 1, 3, 2]];
        let fitting = shapes.into_iter().filter(|shape| shape.len() >= least);
        fitting.map(|shape| Sample::new("", [Input::any(shape)], move |x| call(&x[0]))).collect()
    }
    fn grids() -> [Input; 3] {
        [Input::any([2]), Input::any([3]), Input::any([2, 2])]
    }
    vec![
        OpInfo {
            family: Family::Creation,
            gradient: Gradient::Zero,
            ..op("asarray", "An array of nested values.", "asarray(a, dtype=None)", || {
                vec![
                    Sample::new("[[1, 2], [3, 4]]", [], |_| Array::asarray(&[[1, 2], [3, 4]], None)),
                    Sample::new("[1, 0], bfloat16", [], |_| {
                        Array::asarray(&[true, false], Some(Dtype::BFloat16))
                    }),
                ]
            })
        },
        op("atleast_1d", "Makes scalars vectors.", "atleast_1d(*arrays)", || {
            ranks(Array::atleast_1d, 0)
        }),
        op("atleast_2d", "Makes scalars and vectors rows.", "atleast_2d(*arrays)", || {
            ranks(Array::atleast_2d, 0)
        }),
        op("atleast_3d", "Adds axes up to three.", "atleast_3d(*arrays)", || {
            ranks(Array::atleast_3d, 0)
        }),
        op("matrix_transpose", "Exchanges the last two axes.", "matrix_transpose(x)", || {
            ranks(Array::matrix_transpose, 2)
        }),
        op("unflatten", "Several axes in place of one.", "unflatten(x, axis, shape)", || {
            vec![
                Sample::new("0, [3, -1]", [Input::any([12])], |x| x[0].unflatten(0, [3, -1])),
                Sample::new("-2, [2, 1, 2]", [Input::any([3, 4, 2])], |x| {
                    x[0].unflatten(-2, [2, 1, 2])
                }),
                Sample::new("0, [2, 0]", [Input::any([0, 3])], |x| x[0].unflatten(0, [2, 0])),
            ]
        }),
        op("unstack", "Cuts an array into its slices along an axis.", "unstack(x, axis=0)", || {
            vec![
                Sample::many("0", [Input::any([3])], |x| x[0].unstack(0)),
                Sample::many("-1", [Input::any([2, 3])], |x| x[0].unstack(-1)),
                Sample::many("1", [Input::any([2, 2, 3])], |x| x[0].unstack(1)),
            ]
        }),
        op(
            "broadcast_arrays",
            "Broadcasts arrays to their common shape.",
            "broadcast_arrays(*arrays)",
            || {
                let inputs = [Input::any([3, 1]), Input::any([2]), Input::any([])];
                vec![Sample::many("", inputs, broadcast_arrays)]
            },
        ),
        OpInfo {
            family: Family::Query,
            gradient: Gradient::Zero,
            ..op(
                "broadcast_shapes",
                "The shape that arrays of given shapes broadcast to.",
                "broadcast_shapes(*shapes)",
                || {
                    vec![Sample::new("(6, 7), (5, 6, 1), (7,)", [], |_| {
                        let shapes = [Shape::from([6, 7]), Shape::from([5, 6, 1]), Shape::from([7])];
                        let sizes: Vec<i64> =
                            broadcast_shapes(&shapes)?.iter().map(|&size| size as i64).collect();
                        Array::from_slice(&sizes, [sizes.len()])
                    })]
                },
            )
        },
        op(
            "meshgrid",
            "The coordinates of the points of a grid.",
            "meshgrid(*arrays, sparse=False, indexing='xy')",
            || {
                vec![
                    Sample::many("xy", grids(), |x| meshgrid(x, Indexing::Xy, false)),
                    Sample::many("ij", grids(), |x| meshgrid(x, Indexing::Ij, false)),
                    Sample::many("sparse", grids(), |x| meshgrid(x, Indexing::Xy, true)),
                    Sample::many("ij", [Input::any([3])], |x| meshgrid(x, Indexing::Ij, false)),
                ]
            },
        ),
    ]
}
