//! Owns runs of scalar math done in one call, which `compile` makes of chains of operations.

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::{OpInfo, reduce::Reduce, scalar::{Binary, Unary}};
use crate::{
    Array, Dtype, Error, Result, Shape,
    graph::{
        Batched, Gradients, Jvp, Op, Primitive, Spec, Specs, Tangents, Vjp, Vmap,
    },
};

/// A scalar operation of a run.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, Array, Dtype};
/// use olivine_core::ops::{fused::{Fused, Scalar, ScalarStep}, scalar::Unary};
/// let dtype = Dtype::Int32;
/// let cast = ScalarStep { op: Scalar::Cast, inputs: [0].into_iter().collect(), dtype };
/// let op = Scalar::Unary(Unary::Negative);
/// let negative = ScalarStep { op, inputs: [1].into_iter().collect(), dtype };
/// let run = Fused { steps: vec![cast, negative], outputs: [2].into(), reduce: None };
/// assert_eq!(Array::apply_one(run, [array!([1.5, -2.5])])?.to_vec::<i32>()?, [-1, 2]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Scalar {
    /// A function of one value.
    Unary(Unary),
    /// A function of two values.
    Binary(Binary),
    /// A condition, the value where it is true, the value where it is false.
    Select,
    /// Conversion to the step's dtype.
    Cast,
}

impl Scalar {
    /// The scalar operation that an operation is, if it is one.
    pub(crate) fn of(op: &Op) -> Option<Scalar> {
        match op {
            Op::Unary(unary) => Some(Scalar::Unary(*unary)),
            Op::Binary(binary) => Some(Scalar::Binary(*binary)),
            Op::Select => Some(Scalar::Select),
            Op::Cast => Some(Scalar::Cast),
            Op::Copy | Op::View(_) | Op::Placeholder(_) | Op::Primitive(_) => None,
        }
    }

    fn op(self) -> Op {
        match self {
            Scalar::Unary(unary) => Op::Unary(unary),
            Scalar::Binary(binary) => Op::Binary(binary),
            Scalar::Select => Op::Select,
            Scalar::Cast => Op::Cast,
        }
    }
}

/// One step of a run. Values are numbered: first the inputs, then the steps.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, Array, Dtype};
/// use olivine_core::ops::{fused::{Fused, Scalar, ScalarStep}, scalar::Binary};
/// // Value 0 is the input, value 1 what this step makes of it.
/// let step = |inputs: [u16; 2], op| ScalarStep {
///     op: Scalar::Binary(op),
///     inputs: inputs.into_iter().collect(),
///     dtype: Dtype::Float32,
/// };
/// let steps = vec![step([0, 0], Binary::Add), step([1, 0], Binary::Multiply)];
/// let run = Fused { steps, outputs: [2].into(), reduce: None };
/// assert_eq!(Array::apply_one(run, [array!([1.0, 3.0])])?.to_vec::<f32>()?, [2.0, 18.0]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ScalarStep {
    /// What is computed.
    pub op: Scalar,
    /// From which values.
    pub inputs: SmallVec<[u16; 3]>,
    /// What comes out.
    pub dtype: Dtype,
}

/// A run of scalar math over inputs that broadcast together, and maybe a reduction of its last step.
///
/// It computes in blocks, so what lies between its steps never leaves the cache. Each element goes
/// through the same functions as without fusion, so the results are the same bits.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, Array, Dtype};
/// use olivine_core::ops::fused::{Fused, Scalar, ScalarStep};
/// use olivine_core::ops::{reduce::{Reduce, Reduction}, scalar::Unary};
/// let (op, dtype) = (Scalar::Unary(Unary::Square), Dtype::Float32);
/// let square = ScalarStep { op, inputs: [0].into_iter().collect(), dtype };
/// let sum = Reduce { reduction: Reduction::Sum, axes: [0].into_iter().collect() };
/// let run = Fused { steps: vec![square], outputs: [1].into(), reduce: Some(sum) };
/// assert_eq!(Array::apply_one(run, [array!([3.0, 4.0])])?.to_vec::<f32>()?, [25.0]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Fused {
    /// The steps, in order.
    pub steps: Vec<ScalarStep>,
    /// The steps whose values are outputs, in order.
    pub outputs: SmallVec<[u16; 1]>,
    /// What the last step's values, the only output, are reduced by.
    pub reduce: Option<Reduce>,
}

impl Fused {
    /// The shape that inputs broadcast to.
    pub(crate) fn shape(inputs: &[Array]) -> Result<Shape> {
        let mut shape = Shape::scalar();
        for input in inputs {
            shape = shape.broadcast(input.shape(), "fused")?;
        }
        Ok(shape)
    }

    /// The names of all that it does, in order, such as `CompiledBroadcastMultiplyAdd`.
    pub(crate) fn label(&self, inputs: &[Array]) -> String {
        let whole = Self::shape(inputs).unwrap_or_default();
        let mut label = String::from("Compiled");
        let mut add = |name: &str| {
            for word in name.split('_') {
                let mut letters = word.chars();
                label.extend(letters.next().map(|first| first.to_ascii_uppercase()));
                label.push_str(letters.as_str());
            }
        };
        inputs.iter().filter(|input| *input.shape() != whole).for_each(|_| add("broadcast"));
        self.steps.iter().for_each(|step| add(step.op.op().name()));
        if let Some(reduce) = &self.reduce {
            add(reduce.name());
        }
        label
    }

    /// The dtype of a value.
    fn dtype(&self, inputs: &[Array], value: u16) -> Option<Dtype> {
        let value = usize::from(value);
        match value.checked_sub(inputs.len()) {
            None => Some(inputs[value].dtype()),
            Some(step) => self.steps.get(step).map(|step| step.dtype),
        }
    }

    /// Whether each step reads values before it, of dtypes that it takes.
    fn holds_together(&self, inputs: &[Array]) -> bool {
        let steps = self.steps.iter().enumerate().all(|(at, step)| {
            let limit = inputs.len() + at;
            if step.inputs.iter().any(|&value| usize::from(value) >= limit) {
                return false;
            }
            let dtypes: Option<SmallVec<[Dtype; 3]>> =
                step.inputs.iter().map(|&value| self.dtype(inputs, value)).collect();
            let Some(dtypes) = dtypes else { return false };
            match (step.op, &dtypes[..]) {
                (Scalar::Unary(unary), &[x]) => unary.dtypes(x) == Some((x, step.dtype)),
                (Scalar::Binary(binary), &[a, b]) => {
                    a == b && binary.dtypes(a) == Some((a, step.dtype))
                }
                (Scalar::Select, &[c, a, b]) => {
                    c == Dtype::Bool && a == step.dtype && b == step.dtype
                }
                (Scalar::Cast, &[_]) => true,
                _ => false,
            }
        });
        let all = inputs.len() + self.steps.len();
        let output = |&value: &u16| (inputs.len()..all).contains(&usize::from(value));
        let last = self.outputs.last().map(|&value| usize::from(value) + 1) == Some(all);
        let single = self.reduce.is_none() || self.outputs.len() == 1;
        steps && last && single && self.outputs.iter().all(output)
    }
}

crate::stored!(Fused);

impl Primitive for Fused {
    fn name(&self) -> &'static str {
        "fused"
    }

    fn infer(&self, inputs: &[Array]) -> Result<Specs> {
        if !self.holds_together(inputs) {
            let reason = "the steps of a fused operation do not fit together".to_owned();
            return Err(Error::Argument { op: self.name(), reason });
        }
        let shape = Self::shape(inputs)?;
        if let Some(reduce) = &self.reduce {
            let whole = self.steps[self.steps.len() - 1].dtype;
            // Rows are reduced one after another, so they lie along the last axes.
            let first = shape.rank().saturating_sub(reduce.axes.len());
            let mut axes: SmallVec<[usize; 4]> = reduce.axes.iter().copied().collect();
            axes.sort_unstable();
            if !axes.into_iter().eq(first..shape.rank()) {
                let reason = format!("axes {:?} of {shape} are not the last", reduce.axes);
                return Err(Error::Argument { op: self.name(), reason });
            }
            return reduce.infer(&[Array::zeros(shape, whole)?]);
        }
        let spec = |&value: &u16| Spec {
            shape: shape.clone(),
            dtype: self.steps[usize::from(value) - inputs.len()].dtype,
        };
        Ok(self.outputs.iter().map(spec).collect())
    }

    fn vjp(&self, vjp: &Vjp) -> Result<Gradients> {
        vjp.through(|inputs| self.decompose(inputs))
    }

    fn jvp(&self, jvp: &Jvp) -> Result<Tangents> {
        jvp.through(|inputs| self.decompose(inputs))
    }

    fn vmap(&self, vmap: &Vmap) -> Result<Batched> {
        vmap.through(|inputs| self.decompose(inputs))
    }

    fn decompose(&self, inputs: &[Array]) -> Result<Vec<Array>> {
        let shape = Self::shape(inputs)?;
        let mut values: Vec<Array> = inputs.to_vec();
        for step in &self.steps {
            let operands = step.inputs.iter().map(|&value| &values[usize::from(value)]);
            let operands: SmallVec<[Array; 3]> =
                operands.map(|value| value.broadcast_shape(&shape)).collect();
            let spec = Spec { shape: shape.clone(), dtype: step.dtype };
            values.push(Array::record(step.op.op(), operands, spec));
        }
        let outputs = self.outputs.iter().map(|&value| values[usize::from(value)].clone());
        match &self.reduce {
            None => Ok(outputs.collect()),
            Some(reduce) => Ok(Array::apply(reduce.clone(), outputs)?.into_vec()),
        }
    }
}

/// `compile` makes these; they have no public name.
pub(super) fn ops() -> Vec<OpInfo> {
    Vec::new()
}
