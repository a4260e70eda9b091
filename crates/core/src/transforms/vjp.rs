//! Owns reverse-mode differentiation: it walks the recorded graph backwards.

use std::{
    borrow::Borrow,
    collections::{HashMap, HashSet},
    sync::Arc,
};

use smallvec::SmallVec;

use super::{
    Tree,
    integers::is_smooth,
    tape::{Key, Step, key, outputs_of, steps_between},
};
use crate::{
    Array, Dtype, Error, Result,
    graph::{Op, TraceScope, Vjp},
};

/// Differentiates a function of several arrays in reverse.
///
/// Returns the function's outputs at `primals` and, for each primal, the sum over outputs of the
/// output's cotangent times its derivative. Cotangents have the shapes of the outputs. The gradient of
/// a complex array has the slopes along its real and imaginary parts as its parts, so where the
/// derivative is a complex number, its conjugate multiplies the cotangent.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{vjp, Array};
/// let x = Array::scalar(3.0f32);
/// let (_, gradients) = vjp(|x| Ok(vec![x[0].square()?]), &[x], &[Array::scalar(1.0f32)])?;
/// assert_eq!(gradients[0].item::<f32>()?, 6.0);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn vjp<P: Borrow<Array>, C: Borrow<Array>>(
    f: impl FnOnce(&[Array]) -> Result<Vec<Array>>,
    primals: &[P],
    cotangents: &[C],
) -> Result<(Vec<Array>, Vec<Array>)> {
    let cotangents = cotangents.iter().map(|x| conjugate(x.borrow()));
    let cotangents: Vec<Array> = cotangents.collect::<Result<_>>()?;
    let (outputs, gradients) = pull_back(f, primals, &cotangents)?;
    let gradients = gradients.iter().map(conjugate);
    Ok((outputs, gradients.collect::<Result<_>>()?))
}

/// The conjugate; real arrays are their own, and are not recorded again.
pub(crate) fn conjugate(x: &Array) -> Result<Array> {
    match x.dtype() {
        Dtype::Complex64 => x.conjugate(),
        _ => Ok(x.clone()),
    }
}

/// As [`vjp`], in the convention of rules: a gradient's product with a step has the same real part as
/// the cotangent's product with the step of the outputs. Rules are then free of conjugates.
pub(crate) fn pull_back<P: Borrow<Array>>(
    f: impl FnOnce(&[Array]) -> Result<Vec<Array>>,
    primals: &[P],
    cotangents: &[Array],
) -> Result<(Vec<Array>, Vec<Array>)> {
    let scope = TraceScope::open();
    let primals = primals.iter().map(Borrow::borrow);
    let leaves: Vec<Array> = primals.map(|primal| primal.traced(&scope.0)).collect();
    let outputs = f(&leaves)?;
    if outputs.len() != cotangents.len() {
        let (given, due) = (cotangents.len(), outputs.len());
        let reason = format!("{given} cotangents for {due} outputs");
        return Err(Error::Argument { op: "vjp", reason });
    }
    for (output, cotangent) in outputs.iter().zip(cotangents) {
        if output.shape() != cotangent.shape() {
            let (output, given) = (output.shape(), cotangent.shape());
            let reason = format!("a cotangent of shape {given} for an output of shape {output}");
            return Err(Error::Shape { op: "vjp", reason });
        }
    }
    let gradients = backward(&leaves, &outputs, cotangents)?;
    Ok((outputs, gradients))
}

/// Whether no gradient is wanted of what lies before an operation.
fn stops(op: &Op) -> bool {
    matches!(op, Op::Primitive(primitive) if primitive.stops_gradients())
}

/// Walks back from `outputs` and returns the gradient of each leaf; zeros where none arrives.
pub(crate) fn backward(
    leaves: &[Array],
    outputs: &[Array],
    cotangents: &[Array],
) -> Result<Vec<Array>> {
    let steps = steps_between(leaves, outputs);
    let place = |array: &Array| Arc::as_ptr(&array.node);
    // Gradients flow to numbers that can change a little.
    let smooth = leaves.iter().filter(|leaf| is_smooth(leaf.dtype()));
    let mut on_path: HashSet<Key> = smooth.map(place).collect();
    for Step { node, op, inputs } in &steps {
        if !stops(op) && inputs.iter().any(|input| on_path.contains(&place(input))) {
            on_path.insert(Arc::as_ptr(node));
        }
    }
    let mut gradients: HashMap<(Key, u32), Array> = HashMap::new();
    let accumulate = |gradients: &mut HashMap<(Key, u32), Array>, at: &Array, g: Array| {
        let at = key(at);
        let sum = match gradients.remove(&at) {
            Some(sum) => sum.add(&g)?,
            None => g,
        };
        gradients.insert(at, sum);
        Ok::<_, Error>(())
    };
    for (output, cotangent) in outputs.iter().zip(cotangents) {
        if on_path.contains(&place(output)) {
            accumulate(&mut gradients, output, cotangent.astype(output.dtype())?)?;
        }
    }
    for Step { node, op, inputs } in steps.iter().rev() {
        let outputs = outputs_of(node);
        let cotangents: SmallVec<[Option<Array>; 1]> = outputs
            .iter()
            .map(|output| gradients.remove(&key(output)))
            .collect();
        if cotangents.iter().all(Option::is_none) {
            continue;
        }
        let wanted: SmallVec<[bool; 4]> = inputs
            .iter()
            .map(|input| on_path.contains(&place(input)))
            .collect();
        let vjp = Vjp {
            op: op.name(),
            inputs,
            outputs: &outputs,
            cotangents: &cotangents,
            wanted: &wanted,
        };
        let found = node.stream.scope(|| op.vjp(&vjp))?;
        for (input, gradient) in inputs.iter().zip(found) {
            if let Some(gradient) = gradient {
                accumulate(&mut gradients, input, gradient)?;
            }
        }
    }
    leaves
        .iter()
        .map(|leaf| match gradients.remove(&key(leaf)) {
            Some(gradient) => gradient.astype(leaf.dtype()),
            None => Array::zeros(leaf.shape(), leaf.dtype()),
        })
        .collect()
}

/// What a differentiated function returns: a loss, or a loss and something to pass on.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, Result};
/// use olivine_core::transforms::Objective;
/// fn value(objective: &impl Objective) -> Result<f32> {
///     objective.loss().item()
/// }
/// // A loss alone, or with something to pass on.
/// assert_eq!(value(&array!(2.0))?, value(&(array!(2.0), "accuracy: 0.9"))?);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub trait Objective: Sized {
    /// The scalar to differentiate.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// use olivine_core::transforms::Objective;
    /// let (loss, note) = (array!(0.5), 3);
    /// assert_eq!((loss, note).loss().item::<f32>()?, 0.5);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    fn loss(&self) -> &Array;
}

impl Objective for Array {
    fn loss(&self) -> &Array {
        self
    }
}

impl<T> Objective for (Array, T) {
    fn loss(&self) -> &Array {
        &self.0
    }
}

/// The function that returns both `f`'s value and the gradient of its loss.
///
/// `f` takes any [`Tree`] of arrays and returns a scalar loss, alone or first in a pair. The
/// gradient has the tree's structure; arrays of integers get zeros.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{value_and_grad, Array};
/// let loss = |(w, b): &(Array, Array)| w.multiply(b)?.sum(..);
/// let point = (Array::scalar(2.0f32), Array::scalar(5.0f32));
/// let (value, (dw, db)) = value_and_grad(loss)(&point)?;
/// assert_eq!((value.item::<f32>()?, dw.item::<f32>()?, db.item::<f32>()?), (10.0, 5.0, 2.0));
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn value_and_grad<T: Tree, O: Objective>(
    f: impl Fn(&T) -> Result<O>,
) -> impl Fn(&T) -> Result<(O, T)> {
    move |argument| {
        let scope = TraceScope::open();
        let mut leaves = Vec::new();
        let traced = argument.map(&mut |leaf| {
            let leaf = leaf.traced(&scope.0);
            leaves.push(leaf.clone());
            Ok(leaf)
        })?;
        let value = f(&traced)?;
        let loss = value.loss();
        if loss.size() != 1 || !is_smooth(loss.dtype()) {
            let reason = format!(
                "the loss must be one floating-point number, not {} of shape {}",
                loss.dtype(),
                loss.shape()
            );
            return Err(Error::Argument { op: "grad", reason });
        }
        let one = Array::ones(loss.shape(), loss.dtype())?;
        let mut gradients = backward(&leaves, std::slice::from_ref(loss), &[one])?.into_iter();
        let gradient = argument.map(&mut |_| {
            let gradient = gradients.next();
            conjugate(&gradient.expect("a tree visits the same leaves every time"))
        })?;
        Ok((value, gradient))
    }
}

/// The function that returns the gradient of `f`'s loss; see [`value_and_grad`].
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{grad, Array};
/// let second = grad(grad(|x: &Array| x.power(3.0)));
/// assert_eq!(second(&Array::scalar(2.0f32))?.item::<f32>()?, 12.0);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn grad<T: Tree, O: Objective>(f: impl Fn(&T) -> Result<O>) -> impl Fn(&T) -> Result<T> {
    let f = value_and_grad(f);
    move |argument| Ok(f(argument)?.1)
}

/// The same values, through which no gradient flows.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{grad, stop_gradient, Array};
/// let g = grad(|x: &Array| x.multiply(stop_gradient(x)?));
/// assert_eq!(g(&Array::scalar(3.0f32))?.item::<f32>()?, 3.0);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn stop_gradient(x: &Array) -> Result<Array> {
    Array::apply_one(crate::ops::stop_gradient::StopGradient, [x.clone()])
}
