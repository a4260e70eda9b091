//! Owns programs: traced functions as lists of steps, to be simplified, replayed and stored.

mod fuse;
mod reshape;
mod simplify;

use std::{collections::HashMap, sync::Arc};

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::{Inputs, Node, Op, Spec, Specs, TraceScope, outputs_of};
use crate::{
    Array, Error, Result, Shape, Stream,
    ops::view::View,
    transforms::{
        compile::export,
        tape::{Key, key, steps_between},
    },
};

/// As many axes as arrays of stored functions may have: orders of axes are stored as bytes.
const MOST_AXES: usize = 128;

/// Where a value in a program comes from.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, graph::{Program, Slot}};
/// let x = array!([1.0]);
/// let program = Program::trace(&[x], |x| Ok(vec![x[0].exp()?, x[0].clone()]))?;
/// assert_eq!(program.outputs, [Slot::Step(0, 0), Slot::Input(0)]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Slot {
    /// An argument.
    Input(u32),
    /// An array that does not depend on the arguments.
    Constant(u32),
    /// An output, the second number, of a step.
    Step(u32, u32),
}

/// One operation of a program.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, graph::{Program, Slot, Step}};
/// let x = array!([1.0]);
/// let program = Program::trace(&[x], |x| Ok(vec![x[0].exp()?]))?;
/// let step: &Step = &program.steps[0];
/// assert_eq!((step.op.name(), &step.inputs[..]), ("exp", &[Slot::Input(0)][..]));
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Step {
    /// What is computed.
    pub op: Op,
    /// From what.
    pub inputs: SmallVec<[Slot; 3]>,
    /// What comes out.
    pub specs: Specs,
    /// Where it was placed; a program that was read from a file runs on the current stream.
    #[serde(skip)]
    pub(crate) stream: Option<Stream>,
}

/// A traced function: what it does with its arguments, step by step.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, graph::Program};
/// let x = array!([1.0, 2.0]);
/// let program = Program::trace(&[x.clone()], |x| Ok(vec![x[0].add(1.0)?.square()?]))?;
/// assert_eq!(program.call(&[x])?[0].to_vec::<f32>()?, [4.0, 9.0]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Program {
    /// The arguments' shapes and dtypes when the function was traced.
    pub inputs: Vec<Spec>,
    /// The arrays that the function captured or made; they are stored beside the program.
    #[serde(skip)]
    pub constants: Vec<Array>,
    /// The operations, in the order in which they can run.
    pub steps: Vec<Step>,
    /// The results.
    pub outputs: Vec<Slot>,
    /// True if arguments of other shapes, of the same ranks, may be given.
    pub shapeless: bool,
}

impl Program {
    /// Traces `f`, which is called once with arrays like `examples` that have no values.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{array, graph::Program};
    /// let x = array!([1.0, 2.0]);
    /// let half = array!(0.5);
    /// // What the function captures is a constant of the program.
    /// let program = Program::trace(&[x.clone()], |x| Ok(vec![x[0].multiply(&half)?]))?;
    /// assert_eq!(program.constants.len(), 1);
    /// assert_eq!(program.call(&[x])?[0].to_vec::<f32>()?, [0.5, 1.0]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn trace(
        examples: &[Array],
        f: impl FnOnce(&[Array]) -> Result<Vec<Array>>,
    ) -> Result<Program> {
        Self::traced(false, examples, f)
    }

    /// As [`Program::trace`], for arguments of other shapes, of the same ranks.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{array, graph::Program};
    /// let mean = Program::trace_shapeless(&[array!([1.0, 2.0])], |x| Ok(vec![x[0].mean(..)?]))?;
    /// assert_eq!(mean.call(&[array!([1.0, 2.0, 6.0])])?[0].item::<f32>()?, 3.0);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn trace_shapeless(
        examples: &[Array],
        f: impl FnOnce(&[Array]) -> Result<Vec<Array>>,
    ) -> Result<Program> {
        Self::traced(true, examples, f)
    }

    fn traced(
        shapeless: bool,
        examples: &[Array],
        f: impl FnOnce(&[Array]) -> Result<Vec<Array>>,
    ) -> Result<Program> {
        let specs = examples.iter().map(|x| x.spec().clone()).collect();
        let mut program = export(shapeless, || Self::record("export", specs, f))?;
        program.fold()?;
        program.shapeless = shapeless;
        Ok(program)
    }

    /// Calls `f` with placeholders and writes down what it did.
    pub(crate) fn record(
        transform: &'static str,
        specs: Vec<Spec>,
        f: impl FnOnce(&[Array]) -> Result<Vec<Array>>,
    ) -> Result<Program> {
        let scope = TraceScope::open();
        let argument =
            |spec: &Spec| Array::placeholder(transform, spec.shape.clone(), spec.dtype, &scope.0);
        Self::record_from(specs.iter().map(argument).collect(), f)
    }

    /// As [`Program::record`], but the arguments have the values of `examples`, which `f` may use, and
    /// which stay good wherever it leaves them.
    pub(crate) fn record_with(
        examples: &[Array],
        f: impl FnOnce(&[Array]) -> Result<Vec<Array>>,
    ) -> Result<Program> {
        let scope = TraceScope::open();
        let traced = examples.iter().map(|example| example.traced(&scope.0));
        Self::record_from(traced.collect(), f)
    }

    fn record_from(
        leaves: Vec<Array>,
        f: impl FnOnce(&[Array]) -> Result<Vec<Array>>,
    ) -> Result<Program> {
        let results = f(&leaves)?;
        let mut slots: HashMap<(Key, u32), Slot> = HashMap::new();
        for (i, leaf) in leaves.iter().enumerate() {
            slots.insert(key(leaf), Slot::Input(i as u32));
        }
        let mut program = Program {
            inputs: leaves.iter().map(|leaf| leaf.spec().clone()).collect(),
            constants: Vec::new(),
            steps: Vec::new(),
            outputs: Vec::new(),
            shapeless: false,
        };
        let tape = steps_between(&leaves, &results);
        for step in &tape {
            let inputs = step.inputs.iter();
            let inputs = inputs
                .map(|input| program.slot(&mut slots, input))
                .collect();
            let at = program.steps.len() as u32;
            for output in outputs_of(&step.node) {
                slots.insert(key(&output), Slot::Step(at, output.index));
            }
            program.steps.push(Step {
                op: step.op.clone(),
                inputs,
                specs: step.node.specs.clone(),
                stream: Some(step.node.stream),
            });
        }
        program.outputs = results
            .iter()
            .map(|x| program.slot(&mut slots, x))
            .collect();
        Ok(program)
    }

    /// Does the same with fewer steps: equal ones once, unused ones not at all, and runs of scalar
    /// math, with a reduction at their end, as one. The results stay the same, bit for bit; see
    /// [`compile`](fn@crate::compile) for the one exception.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{array, Array, graph::Program};
    /// let x = array!([1.0, 2.0]);
    /// let f = |x: &[Array]| Ok(vec![x[0].exp()?.add(1.0)?.log()?]);
    /// let mut program = Program::trace(&[x], f)?;
    /// program.simplify();
    /// // One call of a kernel does all three.
    /// assert_eq!(program.steps.len(), 1);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn simplify(&mut self) {
        self.tidy();
        self.fuse();
    }

    /// As [`Program::simplify`], but leaves each operation as it is.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{array, Array, graph::Program};
    /// let x = array!([1.0, 2.0]);
    /// let f = |x: &[Array]| Ok(vec![x[0].exp()?.add(x[0].exp()?)?]);
    /// let mut program = Program::trace(&[x], f)?;
    /// program.tidy();
    /// let names: Vec<&str> = program.steps.iter().map(|step| step.op.name()).collect();
    /// assert_eq!(names, ["exp", "add"]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn tidy(&mut self) {
        self.share();
        self.prune();
    }

    /// The slot of an array; one that is not known is a constant.
    fn slot(&mut self, slots: &mut HashMap<(Key, u32), Slot>, array: &Array) -> Slot {
        *slots.entry(key(array)).or_insert_with(|| {
            self.constants.push(array.clone());
            Slot::Constant(self.constants.len() as u32 - 1)
        })
    }

    /// True if a constant belongs to a transform that is still running, which ends sooner than the
    /// program may be used.
    pub(crate) fn captures_traced(&self) -> bool {
        self.constants
            .iter()
            .any(|constant| constant.node.is_traced())
    }

    /// Makes the constants, which are returned, arguments behind the others.
    pub(crate) fn close(&mut self) -> Vec<Array> {
        let first = self.inputs.len() as u32;
        let close = |slot: &mut Slot| {
            if let Slot::Constant(i) = *slot {
                *slot = Slot::Input(first + i);
            }
        };
        let steps = self.steps.iter_mut().flat_map(|step| &mut step.inputs);
        steps.chain(&mut self.outputs).for_each(close);
        let constants = std::mem::take(&mut self.constants);
        self.inputs
            .extend(constants.iter().map(|x| x.spec().clone()));
        constants
    }

    /// Computes the constants, once for all calls.
    pub(crate) fn fold(&self) -> Result<()> {
        crate::eval(
            self.constants
                .iter()
                .filter(|constant| !constant.node.is_traced()),
        )
    }

    /// The spec of a slot.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{array, Dtype, graph::{Program, Spec}};
    /// let x = array!([1.0, 2.0]);
    /// let program = Program::trace(&[x], |x| Ok(vec![x[0].sum(..)?]))?;
    /// assert_eq!(program.spec(program.outputs[0]), &Spec::new([], Dtype::Float32));
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn spec(&self, slot: Slot) -> &Spec {
        match slot {
            Slot::Input(i) => &self.inputs[i as usize],
            Slot::Constant(i) => self.constants[i as usize].spec(),
            Slot::Step(step, output) => &self.steps[step as usize].specs[output as usize],
        }
    }

    /// Checks that a program which was read from a file holds together.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{array, graph::{Program, Slot}};
    /// let x = array!([1.0, 2.0]);
    /// let mut program = Program::trace(&[x], |x| Ok(vec![x[0].exp()?]))?;
    /// assert!(program.check().is_ok());
    /// program.outputs = vec![Slot::Step(7, 0)];
    /// assert!(program.check().is_err());
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn check(&self) -> Result<()> {
        let fail = |what: String| {
            let reason = format!("the program is broken: {what}");
            Err(Error::Argument {
                op: "import_function",
                reason,
            })
        };
        let known = |slot: &Slot, steps: usize| match *slot {
            Slot::Input(i) => (i as usize) < self.inputs.len(),
            Slot::Constant(i) => (i as usize) < self.constants.len(),
            Slot::Step(step, output) => {
                (step as usize) < steps && (output as usize) < self.steps[step as usize].specs.len()
            }
        };
        for spec in self
            .inputs
            .iter()
            .chain(self.steps.iter().flat_map(|step| &step.specs))
        {
            spec.shape
                .checked_bytes(spec.dtype.size(), "import_function")?;
            if spec.shape.rank() > MOST_AXES {
                return fail(format!("an array has {} axes", spec.shape.rank()));
            }
        }
        for (at, step) in self.steps.iter().enumerate() {
            if !step.inputs.iter().all(|slot| known(slot, at)) {
                return fail(format!("step {at} reads what is not there"));
            }
            let inputs: Vec<Array> = step
                .inputs
                .iter()
                .map(|slot| self.spec(*slot))
                .map(|spec| Array::zeros(&spec.shape, spec.dtype))
                .collect::<Result<_>>()?;
            let right = match step.op.specs(&inputs, &step.specs) {
                Ok(specs) => specs == step.specs,
                Err(error) => return fail(format!("step {at}: {error}")),
            };
            if !right {
                return fail(format!("step {at} does not give what it says"));
            }
        }
        if !self
            .outputs
            .iter()
            .all(|slot| known(slot, self.steps.len()))
        {
            return fail("an output is not there".to_owned());
        }
        Ok(())
    }

    /// Whether arguments have the shapes and dtypes that the program takes.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{array, graph::Program};
    /// let x = array!([1.0, 2.0]);
    /// let mut program = Program::trace(&[x.clone()], |x| Ok(vec![x[0].exp()?]))?;
    /// let longer = array!([1.0, 2.0, 3.0]);
    /// assert!(program.accepts(&[x]) && !program.accepts(&[longer.clone()]));
    /// program.shapeless = true;
    /// assert!(program.accepts(&[longer]));
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn accepts(&self, arguments: &[Array]) -> bool {
        let fits = |(spec, argument): (&Spec, &Array)| {
            spec.dtype == argument.dtype()
                && if self.shapeless {
                    spec.shape.rank() == argument.ndim()
                } else {
                    spec.shape == *argument.shape()
                }
        };
        arguments.len() == self.inputs.len() && self.inputs.iter().zip(arguments).all(fits)
    }

    /// The results for arguments.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{array, graph::Program};
    /// let x = array!([1.0, 2.0]);
    /// let program = Program::trace(&[x], |x| Ok(vec![x[0].add(1.0)?, x[0].sum(..)?]))?;
    /// let results = program.call(&[array!([3.0, 4.0])])?;
    /// assert_eq!(results[0].to_vec::<f32>()?, [4.0, 5.0]);
    /// assert_eq!(results[1].item::<f32>()?, 7.0);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn call(&self, arguments: &[Array]) -> Result<Vec<Array>> {
        if !self.accepts(arguments) {
            let list = |specs: &mut dyn Iterator<Item = (&Shape, crate::Dtype)>| {
                let each = specs.map(|(shape, dtype)| format!("{dtype} {shape}"));
                each.collect::<Vec<_>>().join(", ")
            };
            let given = list(&mut arguments.iter().map(|x| (x.shape(), x.dtype())));
            let wanted = list(&mut self.inputs.iter().map(|x| (&x.shape, x.dtype)));
            let reason = format!("arguments ({given}) for a function traced with ({wanted})");
            return Err(Error::Argument { op: "call", reason });
        }
        let same = self
            .inputs
            .iter()
            .zip(arguments)
            .all(|(spec, x)| spec.shape == *x.shape());
        let mut values: Vec<SmallVec<[Array; 1]>> = Vec::with_capacity(self.steps.len());
        let get = |values: &[SmallVec<[Array; 1]>], slot: Slot| match slot {
            Slot::Input(i) => arguments[i as usize].clone(),
            Slot::Constant(i) => self.constants[i as usize].clone(),
            Slot::Step(step, output) => values[step as usize][output as usize].clone(),
        };
        for step in &self.steps {
            let inputs: Inputs = step.inputs.iter().map(|&slot| get(&values, slot)).collect();
            let outputs = if same {
                step.again(inputs)
            } else {
                let olds = step.inputs.iter().map(|&slot| &self.spec(slot).shape);
                step.reshaped(inputs, &olds.collect::<SmallVec<[&Shape; 3]>>())?
            };
            values.push(outputs);
        }
        Ok(self
            .outputs
            .iter()
            .map(|&slot| get(&values, slot))
            .collect())
    }
}

impl Step {
    /// The operation on other inputs of the same shapes and dtypes.
    fn again(&self, mut inputs: Inputs) -> SmallVec<[Array; 1]> {
        if matches!(self.op, Op::Binary(_) | Op::Select) {
            for input in &mut inputs {
                *input = input.broadcast_shape(&self.specs[0].shape);
            }
        }
        let stream = self.stream.unwrap_or_else(Stream::current);
        let node = Node::recorded(self.op.clone(), inputs, self.specs.clone(), stream, None);
        outputs_of(&Arc::new(node))
    }
}

impl Op {
    /// What comes out for inputs; `old` is what came out when it was recorded.
    fn specs(&self, inputs: &[Array], old: &Specs) -> Result<Specs> {
        if let Op::Primitive(primitive) = self {
            return primitive.infer(inputs);
        }
        let count = match self {
            Op::Binary(_) => 2,
            Op::Select => 3,
            _ => 1,
        };
        let whole = || {
            let mut shape = Shape::scalar();
            for input in inputs {
                shape = shape.broadcast(input.shape(), self.name())?;
            }
            Ok::<_, Error>(shape)
        };
        let fits = inputs.len() == count
            && old.len() == 1
            && match self {
                Op::View(view) => view.fits(inputs[0].shape(), &old[0].shape),
                Op::Placeholder(_) => false,
                _ => whole()? == old[0].shape,
            }
            && self.takes(inputs, old);
        if fits {
            return Ok(old.clone());
        }
        let reason = format!("the inputs do not fit {}", self.name());
        Err(Error::Shape {
            op: self.name(),
            reason,
        })
    }

    /// Whether scalar math has the inputs' dtypes and gives the outputs'.
    fn takes(&self, inputs: &[Array], old: &Specs) -> bool {
        let (dtypes, output) = (|i: usize| inputs[i].dtype(), old[0].dtype);
        match self {
            Op::Unary(unary) => unary.dtypes(dtypes(0)) == Some((dtypes(0), output)),
            Op::Binary(binary) => {
                dtypes(0) == dtypes(1) && binary.dtypes(dtypes(0)) == Some((dtypes(0), output))
            }
            Op::Select => {
                dtypes(0) == crate::Dtype::Bool && dtypes(1) == output && dtypes(2) == output
            }
            Op::Cast => true,
            Op::Copy | Op::View(_) => dtypes(0) == output,
            Op::Primitive(_) | Op::Placeholder(_) => false,
        }
    }
}

impl View {
    /// Whether the view takes one shape to another, inside its bounds.
    fn fits(&self, from: &Shape, to: &Shape) -> bool {
        match self {
            View::Alias => from == to,
            View::Reshape(meaning) => reshape::follows(meaning, from, to),
            View::Transpose(order) => {
                let mut seen: SmallVec<[bool; 8]> = SmallVec::from_elem(false, from.rank());
                order.len() == from.rank()
                    && to.rank() == from.rank()
                    && order.iter().enumerate().all(|(i, &axis)| {
                        let axis = usize::from(axis);
                        axis < from.rank()
                            && !std::mem::replace(&mut seen[axis], true)
                            && to[i] == from[axis]
                    })
            }
            View::Broadcast => from
                .broadcast(to, "broadcast_to")
                .is_ok_and(|shape| shape == *to),
            View::Slice { starts, steps } => {
                starts.len() == from.rank()
                    && steps.len() == from.rank()
                    && to.rank() == from.rank()
                    && (0..from.rank()).all(|axis| {
                        let Some(count) = to[axis].checked_sub(1) else {
                            return true;
                        };
                        let start = starts[axis] as i128;
                        let end = start + steps[axis] as i128 * count as i128;
                        start < from[axis] as i128 && (0..from[axis] as i128).contains(&end)
                    })
            }
        }
    }
}
