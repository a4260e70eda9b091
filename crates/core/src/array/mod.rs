//! Owns the array handle: how arrays are made, inspected and read back.

mod index;
mod iter;
mod literal;
mod operand;
mod operators;
mod print;

use std::{collections::HashSet, sync::Arc};

use smallvec::SmallVec;

pub use index::{Ellipsis, Index, IntoIndex, IntoIndices, NewAxis, Stepped, step};
pub use iter::ArrayIterator;
pub use literal::{Nested, array_literal, has_plain_float};
pub use operand::IntoOperand;
pub use print::{PrintOptions, get_printoptions, printoptions, set_printoptions};

use crate::{
    Dtype, Element, Error, Result, Shape, Stream,
    device::{Buffer, Data, Few, backend, told},
    graph::{self, Inputs, Node, Op, Spec, Specs, TraceScope},
    shape::{Strides, is_contiguous},
};

/// A lazy, immutable n-dimensional array.
///
/// Operations record what to compute; nothing runs until the values are needed. Cloning copies a
/// handle, not the values.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::Array;
/// let x = Array::from_slice(&[1.0f32, 2.0, 3.0, 4.0], [2, 2])?;
/// let y = (&x + 1.0).sum(0)?;
/// assert_eq!(y.to_vec::<f32>()?, [6.0, 8.0]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone)]
pub struct Array {
    pub(crate) node: Arc<Node>,
    pub(crate) index: u32,
}

impl Array {
    /// Copies `values`, in row-major order, into a new array.
    ///
    /// Fails if their number differs from the shape's.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, Dtype};
    /// let x = Array::from_slice(&[1i64, 2, 3, 4, 5, 6], [2, 3])?;
    /// assert_eq!((x.dtype(), x.shape().dims()), (Dtype::Int64, &[2, 3][..]));
    /// assert!(Array::from_slice(&[1, 2, 3], [2, 2]).is_err());
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn from_slice<T: Element>(values: &[T], shape: impl Into<Shape>) -> Result<Array> {
        let shape = shape.into();
        let bytes = shape.checked_bytes(size_of::<T>(), "array")?;
        if shape.elements() != values.len() {
            let reason = format!("{} values do not fill the shape {shape}", values.len());
            return Err(Error::Shape {
                op: "array",
                reason,
            });
        }
        let stream = Stream::current();
        let buffer = backend(stream.device())?.allocate(bytes)?;
        // SAFETY: the buffer is fresh, at least `bytes` long, and `values` has `bytes` bytes.
        unsafe {
            let target = buffer.host().as_ptr();
            std::ptr::copy_nonoverlapping(values.as_ptr().cast::<u8>(), target, bytes);
        }
        let strides = shape.contiguous_strides();
        Ok(Self::from_data(
            Spec::new(shape, T::DTYPE),
            Data {
                buffer,
                offset: 0,
                strides,
            },
        ))
    }

    /// A scalar.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// assert_eq!(olivine_core::Array::scalar(3i32).item::<i32>()?, 3);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn scalar<T: Element>(value: T) -> Array {
        Self::on_heap([value], Shape::scalar())
    }

    /// A vector of a few values known at compile time.
    pub(crate) fn row<T: Element, const N: usize>(values: [T; N]) -> Array {
        Self::on_heap(values, Shape::from([N]))
    }

    fn on_heap<T: Element, const N: usize>(values: [T; N], shape: Shape) -> Array {
        let buffer: Arc<dyn Buffer> = Arc::new(Few::new(values));
        let strides = shape.contiguous_strides();
        let data = Data {
            buffer,
            offset: 0,
            strides,
        };
        Self::from_data(Spec::new(shape, T::DTYPE), data)
    }

    /// An array over memory that exists already, such as a mapped file. Nothing is copied.
    ///
    /// Fails if `shape` reaches past the buffer's end or `offset` is not aligned for `dtype`.
    ///
    /// # Safety
    /// The buffer must hold valid elements of `dtype` from `offset` on, in row-major order.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{array, Array, Dtype};
    /// let data = array!([1.0, 2.0, 3.0, 4.0]).data()?;
    /// // SAFETY: the buffer holds four numbers of float32 from this offset on.
    /// const F32: Dtype = Dtype::Float32;
    /// let tail = unsafe { Array::from_buffer(data.buffer, data.offset + 8, [2], F32) }?;
    /// assert_eq!(tail.to_vec::<f32>()?, [3.0, 4.0]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub unsafe fn from_buffer(
        buffer: Arc<dyn Buffer>,
        offset: usize,
        shape: impl Into<Shape>,
        dtype: Dtype,
    ) -> Result<Array> {
        let shape = shape.into();
        let strides = shape.contiguous_strides();
        // SAFETY: the caller promises elements from `offset` on, in the order of these strides.
        unsafe { Self::from_strided_buffer(buffer, offset, strides, shape, dtype) }
    }

    /// An array over memory that exists already, in any pattern of steps. Nothing is copied.
    ///
    /// `offset` is in bytes, `strides` count elements; neither they nor the shape may lead outside
    /// the buffer. Fails if they do, or if `offset` is not aligned for `dtype`.
    ///
    /// # Safety
    /// The buffer must hold valid elements of `dtype` wherever the strides lead.
    pub unsafe fn from_strided_buffer(
        buffer: Arc<dyn Buffer>,
        offset: usize,
        strides: Strides,
        shape: impl Into<Shape>,
        dtype: Dtype,
    ) -> Result<Array> {
        const OP: &str = "from_buffer";
        let (shape, item) = (shape.into(), dtype.size());
        shape.checked_bytes(item, OP)?;
        if strides.len() != shape.rank() {
            let reason = format!("{} strides do not fit the shape {shape}", strides.len());
            return Err(Error::Shape { op: OP, reason });
        }
        let (mut low, mut high) = (offset as i128, offset as i128);
        if !shape.contains(&0) {
            high += item as i128;
            for (&size, &stride) in shape.iter().zip(&strides) {
                let span = (size as i128 - 1)
                    .saturating_mul(stride as i128)
                    .saturating_mul(item as i128);
                if span < 0 {
                    low = low.saturating_add(span);
                } else {
                    high = high.saturating_add(span);
                }
            }
        }
        if low < 0 || high > buffer.bytes() as i128 {
            let reason = format!(
                "the shape {shape} at offset {offset} reaches outside the buffer's {} bytes",
                buffer.bytes()
            );
            return Err(Error::Shape { op: OP, reason });
        }
        if !(buffer.host().as_ptr() as usize)
            .wrapping_add(offset)
            .is_multiple_of(item)
        {
            let reason = format!("offset {offset} is not aligned for {dtype}");
            return Err(Error::Argument { op: OP, reason });
        }
        Ok(Self::from_data(
            Spec { shape, dtype },
            Data {
                buffer,
                offset,
                strides,
            },
        ))
    }

    pub(crate) fn from_data(spec: Spec, data: Data) -> Array {
        let node = Node::ready(Specs::from_iter([spec]), data, Stream::current());
        Array {
            node: Arc::new(node),
            index: 0,
        }
    }

    /// Records an operation with one output.
    pub(crate) fn record(op: Op, inputs: impl IntoIterator<Item = Array>, spec: Spec) -> Array {
        let specs = Specs::from_iter([spec]);
        let inputs = inputs.into_iter().collect();
        let node = Node::recorded(op, inputs, specs, Stream::current(), None);
        Array {
            node: Arc::new(node),
            index: 0,
        }
    }

    /// Records a primitive and returns its outputs.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{array, Array};
    /// use olivine_core::ops::linalg::Lu;
    /// let outputs = Array::apply(Lu, [array!([[2.0, 1.0], [4.0, 3.0]])])?;
    /// // The factors, the exchanges, and which row each one was.
    /// assert_eq!(outputs.len(), 3);
    /// assert_eq!(outputs[2].to_vec::<u32>()?, [1, 0]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn apply(
        primitive: impl graph::Primitive,
        inputs: impl IntoIterator<Item = Array>,
    ) -> Result<SmallVec<[Array; 1]>> {
        Self::apply_shared(Arc::new(primitive), inputs.into_iter().collect())
    }

    /// Records a primitive that is recorded elsewhere too.
    pub(crate) fn apply_shared(
        primitive: Arc<dyn graph::Primitive>,
        inputs: Inputs,
    ) -> Result<SmallVec<[Array; 1]>> {
        let specs = primitive.infer(&inputs)?;
        for spec in &specs {
            spec.shape
                .checked_bytes(spec.dtype.size(), primitive.name())?;
        }
        let count = specs.len() as u32;
        let op = Op::Primitive(primitive);
        let node = Arc::new(Node::recorded(op, inputs, specs, Stream::current(), None));
        Ok((0..count)
            .map(|index| Array {
                node: node.clone(),
                index,
            })
            .collect())
    }

    /// Records a primitive that has one output.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{array, Array};
    /// use olivine_core::ops::softmax::Softmax;
    /// let y = Array::apply_one(Softmax, [array!([0.0, 0.0])])?;
    /// assert_eq!(y.to_vec::<f32>()?, [0.5, 0.5]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn apply_one(
        primitive: impl graph::Primitive,
        inputs: impl IntoIterator<Item = Array>,
    ) -> Result<Array> {
        Ok(Self::apply(primitive, inputs)?.remove(0))
    }

    /// The same values as an argument of a transform, which traces what depends on it.
    pub(crate) fn traced(&self, scope: &Arc<TraceScope>) -> Array {
        let op = Op::View(crate::ops::view::View::Alias);
        let specs = Specs::from_iter([self.spec().clone()]);
        let inputs = Inputs::from_iter([self.clone()]);
        let node = Node::recorded(op, inputs, specs, self.stream(), Some(scope.clone()));
        Array {
            node: Arc::new(node),
            index: 0,
        }
    }

    /// An argument of a function that `transform` traces. It has no value.
    pub(crate) fn placeholder(
        transform: &'static str,
        shape: Shape,
        dtype: Dtype,
        scope: &Arc<TraceScope>,
    ) -> Array {
        let specs = Specs::from_iter([Spec { shape, dtype }]);
        let op = Op::Placeholder(graph::Tracer(transform));
        let node = Node::recorded(
            op,
            Inputs::new(),
            specs,
            Stream::current(),
            Some(scope.clone()),
        );
        Array {
            node: Arc::new(node),
            index: 0,
        }
    }

    pub(crate) fn spec(&self) -> &Spec {
        &self.node.specs[self.index as usize]
    }

    /// The sizes of the axes.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// assert_eq!(array!([[1, 2, 3], [4, 5, 6]]).shape().dims(), &[2, 3]);
    /// ```
    pub fn shape(&self) -> &Shape {
        &self.spec().shape
    }

    /// The element type.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{array, Dtype};
    /// assert_eq!(array!([1.0, 2.0]).dtype(), Dtype::Float32);
    /// assert_eq!(array!([1, 2]).divide(2)?.dtype(), Dtype::Float32);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn dtype(&self) -> Dtype {
        self.spec().dtype
    }

    /// The number of axes.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{array, Array};
    /// assert_eq!(array!([[1, 2], [3, 4]]).ndim(), 2);
    /// assert_eq!(Array::scalar(1.0f32).ndim(), 0);
    /// ```
    pub fn ndim(&self) -> usize {
        self.shape().rank()
    }

    /// The number of elements.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{array, Array};
    /// assert_eq!(array!([[1, 2, 3], [4, 5, 6]]).size(), 6);
    /// assert_eq!(Array::scalar(1.0f32).size(), 1);
    /// ```
    pub fn size(&self) -> usize {
        self.shape().elements()
    }

    /// The bytes its elements take when stored without gaps.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, Dtype};
    /// let x = Array::zeros([2, 3], Dtype::Float16)?;
    /// // Nothing is stored yet, and a broadcast array stores less.
    /// assert_eq!(x.nbytes(), 12);
    /// assert_eq!(x.broadcast_to([10, 2, 3])?.nbytes(), 120);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn nbytes(&self) -> usize {
        self.size() * self.dtype().size()
    }

    /// The size of a possibly negative axis.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, Dtype};
    /// let x = Array::zeros([2, 5], Dtype::Float32)?;
    /// assert_eq!((x.dim(0)?, x.dim(-1)?), (2, 5));
    /// assert!(x.dim(2).is_err());
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn dim(&self, axis: i64) -> Result<usize> {
        Ok(self.shape()[self.shape().axis(axis, "dim")?])
    }

    /// A number that this array has in common only with its clones, while they live.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// let x = array!([1.0]);
    /// assert_eq!(x.id(), x.clone().id());
    /// assert_ne!(x.id(), array!([1.0]).id());
    /// ```
    pub fn id(&self) -> usize {
        Arc::as_ptr(&self.node) as usize + self.index as usize
    }

    /// The stream its operation was placed on.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{array, Device, Stream};
    /// let side = Stream::new(Device::Cpu);
    /// let x = array!([1.0]);
    /// assert_eq!(side.scope(|| x.exp())?.stream(), side);
    /// assert_eq!(x.exp()?.stream(), Stream::current());
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn stream(&self) -> Stream {
        self.node.stream
    }

    /// True if the values are known, or known to have failed.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// let y = array!([1.0, 2.0]).exp()?;
    /// assert!(!y.is_evaluated());
    /// y.eval()?;
    /// assert!(y.is_evaluated());
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn is_evaluated(&self) -> bool {
        self.node.data().is_some()
    }

    /// True while a transform that it takes part in is running.
    pub fn is_traced(&self) -> bool {
        self.node.is_traced()
    }

    /// True inside a function that [`vmap`](crate::vmap) calls, if the array differs from example to
    /// example.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{array, vmap, Array};
    /// let factor = array!(2);
    /// let f = |x: &Array| {
    ///     assert!(x.add(1)?.is_batched() && !factor.is_batched());
    ///     x.multiply(&factor)
    /// };
    /// vmap(f, 0, 0)(&array!([1, 2]))?;
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn is_batched(&self) -> bool {
        let mut seen = HashSet::new();
        let mut stack = vec![self.clone()];
        while let Some(array) = stack.pop() {
            if !array.is_traced() || !seen.insert(Arc::as_ptr(&array.node)) {
                continue;
            }
            match array.node.history() {
                Some((Op::Placeholder(graph::Tracer("vmap")), _)) => return true,
                Some((_, inputs)) => stack.extend(inputs),
                None => {}
            }
        }
        false
    }

    /// Computes the values now.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// let x = array!([1.0, 2.0]);
    /// let sum = x.exp()?.sum(..)?;
    /// sum.eval()?;
    /// assert!(sum.is_evaluated());
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn eval(&self) -> Result<()> {
        graph::eval([self])
    }

    /// Waits for an evaluation that is under way.
    pub(crate) fn wait(&self) -> Result<()> {
        match self.node.wait() {
            Ok(_) => Ok(()),
            Err(error) => {
                told(error);
                Err(error.clone())
            }
        }
    }

    /// Computes the values and returns where they lie.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// let x = array!([[1.0, 2.0], [3.0, 4.0]]).transpose(..)?;
    /// // A transposed array is a view: the same memory, walked in another order.
    /// assert_eq!(&x.data()?.strides[..], &[1, 2]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn data(&self) -> Result<Data> {
        self.eval()?;
        match self.node.wait() {
            Ok(outputs) => Ok(outputs[self.index as usize].clone()),
            Err(error) => Err(error.clone()),
        }
    }

    /// Computes the values and copies them out in row-major order.
    ///
    /// Fails if `T` is not the array's dtype; see [`Array::astype`].
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// let x = array!([[1.0, 2.0], [3.0, 4.0]]).transpose(..)?;
    /// assert_eq!(x.to_vec::<f32>()?, [1.0, 3.0, 2.0, 4.0]);
    /// assert!(x.to_vec::<i32>().is_err());
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn to_vec<T: Element>(&self) -> Result<Vec<T>> {
        self.expect_dtype::<T>("to_vec")?;
        let mut data = self.data()?;
        if !is_contiguous(self.shape(), &data.strides) {
            data = self.contiguous()?.data()?;
        }
        let mut values = Vec::with_capacity(self.size());
        // SAFETY: the data is evaluated, contiguous, of dtype T and `size` elements long, and
        // every dtype's elements are plain bytes that were written by a kernel or checked on load.
        unsafe {
            let source = data.buffer.host().as_ptr().add(data.offset).cast::<T>();
            std::ptr::copy_nonoverlapping(source, values.as_mut_ptr(), self.size());
            values.set_len(self.size());
        }
        Ok(values)
    }

    /// Computes the one value of an array of size one.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// assert_eq!(array!([1.0, 2.0]).sum(..)?.item::<f32>()?, 3.0);
    /// assert!(array!([1.0, 2.0]).item::<f32>().is_err());
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn item<T: Element>(&self) -> Result<T> {
        self.expect_dtype::<T>("item")?;
        if self.size() != 1 {
            let reason = format!("an array of shape {} has no single item", self.shape());
            return Err(Error::Shape { op: "item", reason });
        }
        let data = self.data()?;
        // SAFETY: the one element is evaluated, of dtype T, and aligned by construction.
        Ok(unsafe {
            data.buffer
                .host()
                .as_ptr()
                .add(data.offset)
                .cast::<T>()
                .read()
        })
    }

    fn expect_dtype<T: Element>(&self, op: &'static str) -> Result<()> {
        if T::DTYPE == self.dtype() {
            return Ok(());
        }
        let reason = "the requested Rust type differs; convert with astype first";
        Err(Error::Dtype {
            op,
            dtype: self.dtype(),
            reason,
        })
    }
}
