//! Owns what an operation's rules work with: reverse mode, forward mode and batching.

use smallvec::SmallVec;

use super::{Op, Primitive, Spec, Specs, TraceScope};
use crate::{
    Array, Error, Result,
    ops::scalar,
    transforms::{
        self, LeafAxes,
        integers::{by_integers, is_smooth},
    },
};

/// One gradient for each input; `None` where it is zero or was not wanted.
pub type Gradients = SmallVec<[Option<Array>; 3]>;

/// One tangent for each output; `None` where it is zero.
pub type Tangents = SmallVec<[Option<Array>; 1]>;

/// The outputs of a batched operation, each with the batch along its first axis.
pub type Batched = SmallVec<[Array; 1]>;

/// What a reverse-mode rule works with.
///
/// ```
/// # #[macro_use]
/// # mod example { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/cube.rs")); }
/// # use olivine_cpu as _;
/// use olivine_core::{array, grad, graph::Vjp};
/// cube! {
///     vjp: |vjp: &Vjp| {
///         assert_eq!((vjp.inputs.len(), vjp.outputs.len(), vjp.wanted), (1, 1, &[true][..]));
///         let slope = vjp.inputs[0].square()?.multiply(3)?;
///         Ok([Some(slope.multiply(vjp.cotangent())?)].into_iter().collect())
///     };
/// }
/// assert_eq!(grad(cube)(&array!(1.0))?.item::<f32>()?, 3.0);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub struct Vjp<'a> {
    pub(crate) op: &'static str,
    /// The inputs of the operation.
    pub inputs: &'a [Array],
    /// Its outputs.
    pub outputs: &'a [Array],
    /// The cotangent of each output; `None` means zero.
    pub cotangents: &'a [Option<Array>],
    /// For each input, whether its gradient is needed.
    pub wanted: &'a [bool],
}

impl Vjp<'_> {
    /// The cotangent of the first output.
    ///
    /// ```
    /// # #[macro_use]
    /// # mod example { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/cube.rs")); }
    /// # use olivine_cpu as _;
    /// use olivine_core::{array, Array, grad, graph::Vjp};
    /// cube! {
    ///     vjp: |vjp: &Vjp| vjp.each(|_| {
    ///         assert_eq!(vjp.cotangent().shape(), vjp.outputs[0].shape());
    ///         vjp.inputs[0].square()?.multiply(3)?.multiply(vjp.cotangent()).map(Some)
    ///     });
    /// }
    /// let slope = grad(|x: &Array| cube(x)?.multiply(10))(&array!(1.0))?;
    /// assert_eq!(slope.item::<f32>()?, 30.0);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn cotangent(&self) -> &Array {
        self.cotangents[0]
            .as_ref()
            .expect("rules run only when a cotangent reached an output")
    }

    /// Builds the gradients from a rule that is called for each wanted input.
    ///
    /// ```
    /// # #[macro_use]
    /// # mod example { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/cube.rs")); }
    /// # use olivine_cpu as _;
    /// use olivine_core::{array, grad, graph::Vjp};
    /// cube! {
    ///     vjp: |vjp: &Vjp| vjp.each(|input| {
    ///         let slope = vjp.inputs[input].square()?.multiply(3)?;
    ///         slope.multiply(vjp.cotangent()).map(Some)
    ///     });
    /// }
    /// assert_eq!(grad(cube)(&array!(3.0))?.item::<f32>()?, 27.0);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn each(&self, rule: impl FnMut(usize) -> Result<Option<Array>>) -> Result<Gradients> {
        let mut rule = rule;
        (0..self.inputs.len())
            .map(|i| if self.wanted[i] { rule(i) } else { Ok(None) })
            .collect()
    }

    /// The cotangents of all outputs.
    ///
    /// ```
    /// # #[macro_use]
    /// # mod example { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/cube.rs")); }
    /// # use olivine_cpu as _;
    /// use olivine_core::{array, grad, graph::Vjp};
    /// cube! {
    ///     vjp: |vjp: &Vjp| {
    ///         // Zeros stand for outputs that nothing depends on.
    ///         let cotangents = vjp.filled()?;
    ///         let slope = vjp.inputs[0].square()?.multiply(3)?;
    ///         vjp.each(|_| slope.multiply(&cotangents[0]).map(Some))
    ///     };
    /// }
    /// assert_eq!(grad(cube)(&array!(1.0))?.item::<f32>()?, 3.0);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn filled(&self) -> Result<Vec<Array>> {
        filled(self.cotangents, self.outputs)
    }

    /// The gradients found by differentiating `f`, the same meaning in simpler operations.
    ///
    /// It is the rule of fused gradients, which are rarely differentiated again.
    ///
    /// ```
    /// # #[macro_use]
    /// # mod example { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/cube.rs")); }
    /// # use olivine_cpu as _;
    /// use olivine_core::{array, grad, graph::Vjp};
    /// cube! { vjp: |vjp: &Vjp| vjp.through(|x| Ok(vec![x[0].power(3)?])); }
    /// assert_eq!(grad(cube)(&array!(2.0))?.item::<f32>()?, 12.0);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn through(&self, f: impl FnOnce(&[Array]) -> Result<Vec<Array>>) -> Result<Gradients> {
        let cotangents = self.filled()?;
        let (_, gradients) = crate::transforms::pull_back(f, self.inputs, &cotangents)?;
        let wanted = gradients.into_iter().zip(self.wanted);
        Ok(wanted
            .map(|(gradient, &wanted)| wanted.then_some(gradient))
            .collect())
    }

    /// The gradient by positions: zero, or an error where [integers can
    /// change](crate::with_integer_derivatives).
    pub(crate) fn of_positions(&self) -> Result<Option<Array>> {
        positions_stay(self.op).map(|()| None)
    }

    /// The error of an operation that has no gradient.
    ///
    /// ```
    /// # #[macro_use]
    /// # mod example { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/cube.rs")); }
    /// # use olivine_cpu as _;
    /// use olivine_core::{array, grad, graph::Vjp};
    /// cube! { vjp: |vjp: &Vjp| vjp.unsupported("the example says so"); }
    /// let error = grad(cube)(&array!(2.0)).unwrap_err();
    /// assert!(error.to_string().contains("the example says so"));
    /// ```
    pub fn unsupported(&self, reason: &'static str) -> Result<Gradients> {
        Err(Error::NoGradient {
            op: self.op,
            reason,
        })
    }
}

/// Whether derivatives by positions are zero; they are an error where integers can change.
fn positions_stay(op: &'static str) -> Result<()> {
    if by_integers() {
        let reason = "it does not change smoothly with positions; pass them through stop_gradient";
        return Err(Error::NoGradient { op, reason });
    }
    Ok(())
}

/// The arrays, with zeros where there is none.
fn filled(given: &[Option<Array>], like: &[Array]) -> Result<Vec<Array>> {
    let filled = given.iter().zip(like).map(|(given, like)| match given {
        Some(given) => Ok(given.clone()),
        None => Array::zeros(like.shape(), like.dtype()),
    });
    filled.collect()
}

/// What a forward-mode rule works with.
///
/// ```
/// # #[macro_use]
/// # mod example { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/cube.rs")); }
/// # use olivine_cpu as _;
/// use olivine_core::{array, jvp, graph::Jvp};
/// cube! {
///     jvp: |rule: &Jvp| {
///         assert_eq!((rule.inputs.len(), rule.outputs.len()), (1, 1));
///         let slope = rule.inputs[0].square()?.multiply(3)?;
///         Ok([Some(rule.filled()?[0].multiply(slope)?)].into_iter().collect())
///     };
/// }
/// let (_, tangents) = jvp(|x| Ok(vec![cube(&x[0])?]), &[array!(1.0)], &[array!(5.0)])?;
/// assert_eq!(tangents[0].item::<f32>()?, 15.0);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub struct Jvp<'a> {
    pub(crate) op: &'static str,
    /// The inputs of the operation.
    pub inputs: &'a [Array],
    /// Its outputs.
    pub outputs: &'a [Array],
    /// The tangent of each input; `None` means zero. At least one is there.
    pub tangents: &'a [Option<Array>],
}

impl Jvp<'_> {
    /// The tangents of an operation that is linear in all its floating-point and complex inputs
    /// jointly: the operation itself, applied to the tangents.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{array, jvp};
    /// // The tangent of a linear function, such as a sum, is the function of the tangent.
    /// let (x, direction) = (array!([1.0, 2.0]), array!([10.0, 20.0]));
    /// let (_, tangents) = jvp(|x| Ok(vec![x[0].sum(..)?]), &[x], &[direction])?;
    /// assert_eq!(tangents[0].item::<f32>()?, 30.0);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn linear(&self, primitive: &(impl Primitive + Clone)) -> Result<Tangents> {
        let inputs = self.inputs.iter().zip(self.tangents);
        let inputs = inputs.map(|(input, tangent)| match tangent {
            Some(tangent) => Ok(tangent.clone()),
            None if input.dtype().is_inexact() => Array::zeros(input.shape(), input.dtype()),
            None => Ok(input.clone()),
        });
        let inputs = inputs.collect::<Result<Vec<_>>>()?;
        let outputs = Array::apply(primitive.clone(), inputs)?;
        Ok(outputs.into_iter().map(Some).collect())
    }

    /// Refuses tangents of positions where [integers can change](crate::with_integer_derivatives);
    /// elsewhere they are zero.
    pub(crate) fn check_positions(&self, positions: std::ops::Range<usize>) -> Result<()> {
        if self.tangents[positions].iter().any(Option::is_some) {
            return positions_stay(self.op);
        }
        Ok(())
    }

    /// The tangents by transposing the reverse-mode rule. That rule is linear in its cotangents, and
    /// the gradient of a linear function is its transpose.
    ///
    /// ```
    /// # #[macro_use]
    /// # mod example { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/cube.rs")); }
    /// # use olivine_cpu as _;
    /// use olivine_core::{array, jvp, graph::{Jvp, Vjp}};
    /// cube! {
    ///     vjp: |vjp: &Vjp| vjp.each(|_| {
    ///         vjp.inputs[0].square()?.multiply(3)?.multiply(vjp.cotangent()).map(Some)
    ///     });
    ///     jvp: |rule: &Jvp| rule.transposed(&Cube);
    /// }
    /// let (_, tangents) = jvp(|x| Ok(vec![cube(&x[0])?]), &[array!(2.0)], &[array!(1.0)])?;
    /// assert_eq!(tangents[0].item::<f32>()?, 12.0);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn transposed(&self, primitive: &dyn Primitive) -> Result<Tangents> {
        self.transpose_of(|vjp| primitive.vjp(vjp))
    }

    pub(crate) fn transpose_of(
        &self,
        rule: impl FnOnce(&Vjp) -> Result<Gradients>,
    ) -> Result<Tangents> {
        let scope = TraceScope::open();
        let cotangents: SmallVec<[Option<Array>; 1]> = self
            .outputs
            .iter()
            .map(|output| {
                let smooth = is_smooth(output.dtype());
                let zeros = || Array::zeros(output.shape(), output.dtype());
                let leaf = || Ok(zeros()?.traced(&scope.0));
                smooth.then(leaf).transpose()
            })
            .collect::<Result<_>>()?;
        if cotangents.iter().all(Option::is_none) {
            return Ok(SmallVec::from_elem(None, self.outputs.len()));
        }
        let wanted: SmallVec<[bool; 4]> = self.tangents.iter().map(Option::is_some).collect();
        let gradients = rule(&Vjp {
            op: self.op,
            inputs: self.inputs,
            outputs: self.outputs,
            cotangents: &cotangents,
            wanted: &wanted,
        })?;
        let (mut pullbacks, mut tangents) = (Vec::new(), Vec::new());
        for (gradient, tangent) in gradients.into_iter().zip(self.tangents) {
            if let (Some(gradient), Some(tangent)) = (gradient, tangent) {
                pullbacks.push(gradient);
                tangents.push(tangent.clone());
            }
        }
        let leaves: Vec<Array> = cotangents.iter().flatten().cloned().collect();
        let mut found = transforms::backward(&leaves, &pullbacks, &tangents)?.into_iter();
        let per_output = cotangents
            .iter()
            .map(|leaf| leaf.as_ref().and_then(|_| found.next()));
        Ok(per_output.collect())
    }

    /// The tangents of all inputs.
    ///
    /// ```
    /// # #[macro_use]
    /// # mod example { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/cube.rs")); }
    /// # use olivine_cpu as _;
    /// use olivine_core::{array, jvp, graph::Jvp};
    /// cube! {
    ///     jvp: |rule: &Jvp| {
    ///         let tangent = &rule.filled()?[0];
    ///         assert_eq!(tangent.shape(), rule.inputs[0].shape());
    ///         let slope = rule.inputs[0].square()?.multiply(3)?;
    ///         Ok([Some(slope.multiply(tangent)?)].into_iter().collect())
    ///     };
    /// }
    /// let (_, tangents) = jvp(|x| Ok(vec![cube(&x[0])?]), &[array!(1.0)], &[array!(1.0)])?;
    /// assert_eq!(tangents[0].item::<f32>()?, 3.0);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn filled(&self) -> Result<Vec<Array>> {
        filled(self.tangents, self.inputs)
    }

    /// The tangents found by differentiating `f`, the same meaning in simpler operations.
    ///
    /// ```
    /// # #[macro_use]
    /// # mod example { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/cube.rs")); }
    /// # use olivine_cpu as _;
    /// use olivine_core::{array, jvp, graph::Jvp};
    /// cube! { jvp: |rule: &Jvp| rule.through(|x| Ok(vec![x[0].power(3)?])); }
    /// let (_, tangents) = jvp(|x| Ok(vec![cube(&x[0])?]), &[array!(2.0)], &[array!(1.0)])?;
    /// assert_eq!(tangents[0].item::<f32>()?, 12.0);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn through(&self, f: impl FnOnce(&[Array]) -> Result<Vec<Array>>) -> Result<Tangents> {
        let tangents = self.filled()?;
        let (_, tangents) = crate::jvp(f, self.inputs, &tangents)?;
        Ok(tangents.into_iter().map(Some).collect())
    }

    /// No tangent: the outputs do not change with the inputs wherever a derivative exists.
    ///
    /// ```
    /// # #[macro_use]
    /// # mod example { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/cube.rs")); }
    /// # use olivine_cpu as _;
    /// use olivine_core::{array, jvp, graph::Jvp};
    /// // As if the cube were a function in steps.
    /// cube! { jvp: |rule: &Jvp| rule.zero(); }
    /// let (_, tangents) = jvp(|x| Ok(vec![cube(&x[0])?]), &[array!(2.0)], &[array!(1.0)])?;
    /// assert_eq!(tangents[0].item::<f32>()?, 0.0);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn zero(&self) -> Result<Tangents> {
        Ok(SmallVec::from_elem(None, self.outputs.len()))
    }

    /// The error of an operation that has no derivative.
    ///
    /// ```
    /// # #[macro_use]
    /// # mod example { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/cube.rs")); }
    /// # use olivine_cpu as _;
    /// use olivine_core::{array, jvp, graph::Jvp};
    /// cube! { jvp: |rule: &Jvp| rule.unsupported("the example says so"); }
    /// let error = jvp(|x| Ok(vec![cube(&x[0])?]), &[array!(2.0)], &[array!(1.0)]).unwrap_err();
    /// assert!(error.to_string().contains("the example says so"));
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn unsupported(&self, reason: &'static str) -> Result<Tangents> {
        Err(Error::NoGradient {
            op: self.op,
            reason,
        })
    }
}

/// What a batching rule works with: inputs of which some have a batch along their first axis.
///
/// ```
/// # #[macro_use]
/// # mod example { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/cube.rs")); }
/// # use olivine_cpu as _;
/// use olivine_core::{array, Array, graph::Vmap, vmap};
/// cube! {
///     vmap: |vmap: &Vmap| {
///         assert_eq!((vmap.size, vmap.batched), (2, &[true][..]));
///         vmap.lifted(Cube)
///     };
/// }
/// let y = vmap(|x: &Array| cube(x), 0, 0)(&array!([[1.0], [2.0]]))?;
/// assert_eq!(y.to_vec::<f32>()?, [1.0, 8.0]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub struct Vmap<'a> {
    pub(crate) op: &'static str,
    /// The inputs of the operation.
    pub inputs: &'a [Array],
    /// For each input, whether its first axis is the batch. At least one has it.
    pub batched: &'a [bool],
    /// The size of the batch.
    pub size: usize,
}

impl Vmap<'_> {
    /// An input with the batch along its first axis, repeated if it has none.
    ///
    /// ```
    /// # #[macro_use]
    /// # mod example { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/cube.rs")); }
    /// # use olivine_cpu as _;
    /// use olivine_core::{array, Array, graph::Vmap, vmap};
    /// cube! { vmap: |vmap: &Vmap| Ok([vmap.input(0).power(3)?].into()); }
    /// let y = vmap(|x: &Array| cube(x), 0, 0)(&array!([1.0, 2.0]))?;
    /// assert_eq!(y.to_vec::<f32>()?, [1.0, 8.0]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn input(&self, i: usize) -> Array {
        let input = &self.inputs[i];
        if self.batched[i] {
            return input.clone();
        }
        let shape = input.shape().insert_axis(0, self.size);
        input.broadcast_shape(&shape)
    }

    /// An input with a first axis: the batch, or one of size one.
    ///
    /// ```
    /// # #[macro_use]
    /// # mod example { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/cube.rs")); }
    /// # use olivine_cpu as _;
    /// use olivine_core::{array, Array, graph::Vmap, vmap};
    /// cube! {
    ///     vmap: |vmap: &Vmap| {
    ///         // The batch comes first, so that this broadcasts whether or not the input has it.
    ///         let x = vmap.with_axis(0);
    ///         assert_eq!(x.ndim(), 1);
    ///         Ok([x.power(3)?].into())
    ///     };
    /// }
    /// let y = vmap(|x: &Array| cube(x), 0, 0)(&array!([1.0, 2.0]))?;
    /// assert_eq!(y.to_vec::<f32>()?, [1.0, 8.0]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn with_axis(&self, i: usize) -> Array {
        let input = &self.inputs[i];
        if self.batched[i] {
            return input.clone();
        }
        input.with_axes(&[0])
    }

    /// The outputs of an operation that treats the first axis as any other leading one.
    ///
    /// ```
    /// # #[macro_use]
    /// # mod example { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/cube.rs")); }
    /// # use olivine_cpu as _;
    /// use olivine_core::{array, Array, graph::Vmap, vmap};
    /// cube! { vmap: |vmap: &Vmap| vmap.lifted(Cube); }
    /// let rows = array!([[1.0, 2.0], [3.0, 4.0]]);
    /// let y = vmap(|row: &Array| cube(row)?.sum(..), 0, 0)(&rows)?;
    /// assert_eq!(y.to_vec::<f32>()?, [9.0, 91.0]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn lifted(&self, primitive: impl Primitive) -> Result<Batched> {
        Array::apply(primitive, (0..self.inputs.len()).map(|i| self.input(i)))
    }

    /// For each part of the batch its own position, in the shape of input `i` with a batch.
    ///
    /// ```
    /// # #[macro_use]
    /// # mod example { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/cube.rs")); }
    /// # use olivine_cpu as _;
    /// use olivine_core::{array, Array, graph::Vmap, vmap};
    /// cube! {
    ///     vmap: |vmap: &Vmap| {
    ///         assert_eq!(vmap.places(0)?.to_vec::<i64>()?, [0, 0, 1, 1]);
    ///         vmap.lifted(Cube)
    ///     };
    /// }
    /// let rows = array!([[1.0, 2.0], [3.0, 4.0]]);
    /// assert_eq!(vmap(|row: &Array| cube(row), 0, 0)(&rows)?.size(), 4);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn places(&self, i: usize) -> Result<Array> {
        let like = self.input(i);
        let places = Array::arange(0i64, self.size as i64, 1i64)?;
        let mut column: SmallVec<[usize; 4]> = SmallVec::from_elem(1, like.ndim());
        column[0] = self.size;
        Ok(places
            .reshape_to(column.into_iter().collect())
            .broadcast_shape(like.shape()))
    }

    /// The outputs found by batching `f`, the same meaning in simpler operations.
    ///
    /// ```
    /// # #[macro_use]
    /// # mod example { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/cube.rs")); }
    /// # use olivine_cpu as _;
    /// use olivine_core::{array, Array, graph::Vmap, vmap};
    /// cube! { vmap: |vmap: &Vmap| vmap.through(|x| Ok(vec![x[0].power(3)?])); }
    /// let y = vmap(|x: &Array| cube(x), 0, 0)(&array!([1.0, 2.0]))?;
    /// assert_eq!(y.to_vec::<f32>()?, [1.0, 8.0]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn through(&self, f: impl Fn(&[Array]) -> Result<Vec<Array>>) -> Result<Batched> {
        let axes = self.batched.iter().map(|&batched| batched.then_some(0));
        let f = |inputs: &Vec<Array>| f(inputs);
        let outputs = crate::vmap(f, LeafAxes(axes.collect()), 0)(&self.inputs.to_vec())?;
        Ok(outputs.into())
    }

    /// The outputs found by one operation for each part of the batch: right for every operation,
    /// but slower than one operation for all.
    ///
    /// ```
    /// # #[macro_use]
    /// # mod example { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/cube.rs")); }
    /// # use olivine_cpu as _;
    /// use olivine_core::{array, Array, graph::Vmap, vmap};
    /// cube! { vmap: |vmap: &Vmap| vmap.each(&Cube); }
    /// let y = vmap(|x: &Array| cube(x), 0, 0)(&array!([1.0, 2.0]))?;
    /// assert_eq!(y.to_vec::<f32>()?, [1.0, 8.0]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn each(&self, primitive: &(impl Primitive + Clone)) -> Result<Batched> {
        if self.size == 0 {
            return self.of_none(primitive);
        }
        let mut parts: Vec<Batched> = Vec::with_capacity(self.size);
        for at in 0..self.size {
            let inputs = self.inputs.iter().zip(self.batched);
            let part = |(input, &batched): (&Array, &bool)| {
                if batched {
                    input.at_front(at)
                } else {
                    input.clone()
                }
            };
            parts.push(Array::apply(primitive.clone(), inputs.map(part))?);
        }
        let stacked = (0..parts[0].len()).map(|output| {
            let parts: Vec<&Array> = parts.iter().map(|part| &part[output]).collect();
            crate::stack(&parts, 0)
        });
        stacked.collect()
    }

    /// The error of an operation that cannot be done for a batch.
    ///
    /// ```
    /// # #[macro_use]
    /// # mod example { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/cube.rs")); }
    /// # use olivine_cpu as _;
    /// use olivine_core::{array, Array, graph::Vmap, vmap};
    /// cube! { vmap: |vmap: &Vmap| vmap.unsupported("the example says so"); }
    /// let error = vmap(|x: &Array| cube(x), 0, 0)(&array!([1.0])).unwrap_err();
    /// assert!(error.to_string().contains("the example says so"));
    /// ```
    pub fn unsupported(&self, reason: &'static str) -> Result<Batched> {
        let op = self.op;
        Err(Error::NoBatch { op, reason })
    }

    /// Empty outputs, of the shapes that one part would give.
    fn of_none(&self, primitive: &impl Primitive) -> Result<Batched> {
        let inputs = self
            .inputs
            .iter()
            .zip(self.batched)
            .map(|(input, &batched)| {
                if batched {
                    Array::zeros(&input.shape()[1..], input.dtype())
                } else {
                    Ok(input.clone())
                }
            });
        let inputs: Vec<Array> = inputs.collect::<Result<_>>()?;
        let specs = primitive.infer(&inputs)?;
        let empty = |spec: &super::Spec| Array::zeros(spec.shape.insert_axis(0, 0), spec.dtype);
        specs.iter().map(empty).collect()
    }
}

impl Op {
    /// The gradient of each input, by the operation's rule, wherever it is kept.
    pub(crate) fn vjp(&self, vjp: &Vjp) -> Result<Gradients> {
        match self {
            Op::Primitive(primitive) => primitive.vjp(vjp),
            Op::View(view) => view.vjp(vjp),
            Op::Unary(_)
            | Op::Binary(_)
            | Op::Select
            | Op::Cast
            | Op::Copy
            | Op::Placeholder(_) => scalar::vjp(self, vjp),
        }
    }

    /// The tangent of each output.
    pub(crate) fn jvp(&self, jvp: &Jvp) -> Result<Tangents> {
        match self {
            Op::Primitive(primitive) => primitive.jvp(jvp),
            Op::View(view) => {
                let along = |tangent: &Array| view.of(tangent, jvp.outputs[0].shape());
                Ok([jvp.tangents[0].as_ref().map(along)].into())
            }
            Op::Unary(_)
            | Op::Binary(_)
            | Op::Select
            | Op::Cast
            | Op::Copy
            | Op::Placeholder(_) => Ok([scalar::jvp(self, jvp)?].into()),
        }
    }

    /// The outputs for a batch of inputs; `specs` are the outputs' without one.
    pub(crate) fn vmap(&self, vmap: &Vmap, specs: &Specs) -> Result<Batched> {
        match self {
            Op::Primitive(primitive) => primitive.vmap(vmap),
            Op::View(view) => Ok([view.batched(&vmap.inputs[0], &specs[0].shape)].into()),
            Op::Unary(_)
            | Op::Binary(_)
            | Op::Select
            | Op::Cast
            | Op::Copy
            | Op::Placeholder(_) => {
                let spec = Spec {
                    shape: specs[0].shape.insert_axis(0, vmap.size),
                    dtype: specs[0].dtype,
                };
                let inputs = (0..vmap.inputs.len()).map(|i| vmap.input(i));
                Ok([Array::record(self.clone(), inputs, spec)].into())
            }
        }
    }
}
