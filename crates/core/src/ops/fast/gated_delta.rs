//! Owns the recurrence of gated delta networks: a memory of values that keys address, which fades,
//! is corrected towards each new value, and is read by queries.

use serde::{Deserialize, Serialize};

use super::{
    Domain, Family, Gradient, Input, OpInfo, Sample, accumulator, check_float, kinds,
};
use crate::{
    Array, Dtype, Error, Result, Shape,
    graph::{Batched, Gradients, Jvp, Primitive, Spec, Specs, Tangents, Vjp, Vmap},
};

const OP: &str = "gated_delta_update";

/// The recurrence over the second axis. Inputs, of one dtype: queries and keys (batch, steps, key
/// heads, key size), values (batch, steps, heads, value size), gates and rates (batch, steps,
/// heads), the state (batch, heads, value size, key size); and, if there is one, a mask of `bool`
/// (batch, steps). Outputs: what was read, of the values' shape, and the last state.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{Array, Dtype};
/// use olivine_core::fast::GatedDeltaUpdate;
/// let ones = |shape: &[usize]| Array::ones(shape, Dtype::Float32);
/// let (key, gate) = (ones(&[1, 1, 1, 1])?, ones(&[1, 1, 1])?);
/// let state = Array::zeros([1, 1, 1, 1], Dtype::Float32)?;
/// let inputs = [key.clone(), key.clone(), key, gate.clone(), gate, state];
/// let outputs = Array::apply(GatedDeltaUpdate { mask: false }, inputs)?;
/// assert_eq!((outputs[0].item::<f32>()?, outputs[1].item::<f32>()?), (1.0, 1.0));
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct GatedDeltaUpdate {
    /// Whether there is a mask.
    pub mask: bool,
}

crate::stored!(GatedDeltaUpdate);

impl Primitive for GatedDeltaUpdate {
    fn name(&self) -> &'static str {
        OP
    }

    fn infer(&self, inputs: &[Array]) -> Result<Specs> {
        crate::graph::exactly(OP, 6 + usize::from(self.mask), inputs)?;
        let fail = |reason: String| Err(Error::Shape { op: OP, reason });
        let (q, k, v, state) = (&inputs[0], &inputs[1], &inputs[2], &inputs[5]);
        let (&[batch, steps, key_heads, keys], &[_, _, heads, values]) =
            (&q.shape()[..], &v.shape()[..])
        else {
            return fail(format!("queries {} and values {} have no four axes", q.shape(), v.shape()));
        };
        let fits = q.shape() == k.shape()
            && v.shape()[..2] == q.shape()[..2]
            && key_heads > 0
            && heads.is_multiple_of(key_heads);
        if !fits {
            let (q, k, v) = (q.shape(), k.shape(), v.shape());
            return fail(format!(
                "queries {q}, keys {k} and values {v} do not fit: batches and steps are \
                 equal, and heads a multiple of key heads"
            ));
        }
        for (name, gate) in [("gamma", &inputs[3]), ("beta", &inputs[4])] {
            if gate.shape()[..] != [batch, steps, heads] {
                let shape = gate.shape();
                return fail(format!("{name} of shape {shape}, not ({batch}, {steps}, {heads})"));
            }
        }
        if state.shape()[..] != [batch, heads, values, keys] {
            let shape = state.shape();
            return fail(format!("a state of {shape}, not ({batch}, {heads}, {values}, {keys})"));
        }
        if self.mask && (inputs[6].shape()[..] != [batch, steps] || inputs[6].dtype() != Dtype::Bool) {
            let (dtype, shape) = (inputs[6].dtype(), inputs[6].shape());
            return fail(format!("a mask of {dtype} {shape}, not of bool ({batch}, {steps})"));
        }
        let dtype = q.dtype();
        if inputs[..6].iter().any(|input| input.dtype() != dtype) || !dtype.is_float() {
            let reason = "all inputs but the mask have one floating-point dtype";
            return Err(Error::Dtype { op: OP, dtype, reason });
        }
        Ok([v.spec().clone(), Spec { shape: state.shape().clone(), dtype }].into_iter().collect())
    }

    fn vjp(&self, vjp: &Vjp) -> Result<Gradients> {
        vjp.through(|inputs| self.decompose(inputs))
    }

    fn jvp(&self, jvp: &Jvp) -> Result<Tangents> {
        jvp.through(|inputs| self.decompose(inputs))
    }

    fn vmap(&self, vmap: &Vmap) -> Result<Batched> {
        // Both batches become one.
        let merged = (0..vmap.inputs.len()).map(|i| {
            let input = vmap.input(i);
            let shape = input.shape().without_axis(0);
            let shape = shape.with_axis(0, vmap.size * input.shape()[1]);
            input.reshape_to(shape)
        });
        let batch = vmap.input(0).shape()[1];
        let outputs = Array::apply(*self, merged.collect::<Vec<_>>())?;
        let parted = outputs.into_iter().map(|output| {
            let shape = output.shape().with_axis(0, batch);
            output.reshape_to(shape.insert_axis(0, vmap.size))
        });
        Ok(parted.collect())
    }

    fn decompose(&self, inputs: &[Array]) -> Result<Vec<Array>> {
        let (heads, steps) = (inputs[2].shape()[2], inputs[2].shape()[1]);
        let group = heads / inputs[0].shape()[2];
        let (q, k) = (inputs[0].repeat(group, 2)?, inputs[1].repeat(group, 2)?);
        let mut state = inputs[5].clone();
        let mut read = Vec::with_capacity(steps);
        for step in 0..steps {
            let at = |x: &Array, axis: i64| x.narrow(1, step, step + 1).squeeze(1)?.expand_dims(axis);
            let (query, key) = (at(&q, -2)?, at(&k, -2)?);
            let faded = state.multiply(at(&inputs[3], -1)?.expand_dims(-1)?)?;
            let known = faded.multiply(&key)?.sum(-1)?;
            let value = inputs[2].narrow(1, step, step + 1).squeeze(1)?;
            let change = value.subtract(known)?.multiply(at(&inputs[4], -1)?)?;
            let next = faded.add(change.expand_dims(-1)?.multiply(key)?)?;
            let found = next.multiply(query)?.sum(-1)?;
            if self.mask {
                let seen = inputs[6].narrow(1, step, step + 1).expand_dims(-1)?;
                read.push(seen.select(found, 0)?);
                state = seen.expand_dims(-1)?.select(next, state)?;
            } else {
                read.push(found);
                state = next;
            }
        }
        let read = if read.is_empty() { inputs[2].clone() } else { crate::stack(&read, 1)? };
        Ok(vec![read, state])
    }
}

/// The inputs of [`gated_delta_update`] besides queries, keys and values.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, Array, Dtype, keep};
/// use olivine_core::fast::{GatedDelta, gated_delta_update};
/// let x = Array::ones([1, 1, 1, 1], Dtype::Float32)?;
/// let (keep, ignore) = (array!([[[0.5]]]), array!([[[0.0]]]));
/// let gates = GatedDelta { gamma: &keep, beta: &ignore, state: Some(&x), mask: None };
/// // The state fades to a half, and the rate of zero lets no new value in.
/// let (_, state) = gated_delta_update(&x, &x, &x, &gates)?;
/// assert_eq!(state.item::<f32>()?, 0.5);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy)]
pub struct GatedDelta<'a> {
    /// What is kept of the state from one step to the next: (batch, steps, heads).
    pub gamma: &'a Array,
    /// How far a value is corrected: (batch, steps, heads).
    pub beta: &'a Array,
    /// The state before the first step, (batch, heads, value size, key size); zeros if there is
    /// none.
    pub state: Option<&'a Array>,
    /// The steps that count, `bool` (batch, steps). The others read zero and leave the state.
    pub mask: Option<&'a Array>,
}

/// What queries read from a memory that fades by `gamma` at each step and is then corrected, by
/// `beta`, so that the key finds the value; and the last state, in `float32`.
///
/// Queries and keys have the shape (batch, steps, key heads, key size), values (batch, steps, heads,
/// value size). Heads are a multiple of key heads, and neighbouring heads share one. At each step
/// `S = gamma S`, `S = S + beta (v - S k) kᵀ`, and `S q` is read. Computed in `float32`.
///
/// Gated delta networks: Yang, Kautz, Hatamizadeh, 2024, <https://arxiv.org/abs/2412.06464>.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{Array, Dtype, fast::{GatedDelta, gated_delta_update}};
/// let ones = |shape: [usize; 4]| Array::ones(shape, Dtype::Float32);
/// let (key, value) = (ones([1, 1, 1, 1])?, ones([1, 1, 1, 2])?);
/// let gate = Array::ones([1, 1, 1], Dtype::Float32)?;
/// let gates = GatedDelta { gamma: &gate, beta: &gate, state: None, mask: None };
/// // With a rate of one, the memory finds the value at once.
/// let (read, _) = gated_delta_update(&key, &key, &value, &gates)?;
/// assert_eq!(read.to_vec::<f32>()?, [1.0, 1.0]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn gated_delta_update(
    q: &Array,
    k: &Array,
    v: &Array,
    gates: &GatedDelta,
) -> Result<(Array, Array)> {
    let floats = [q, k, v, gates.gamma, gates.beta];
    let mut dtype = q.dtype();
    for array in floats.iter().copied().chain(gates.state) {
        check_float(OP, array.dtype())?;
    }
    for array in [k, v] {
        dtype = dtype.promote(array.dtype());
    }
    let wide = floats.iter().chain(&gates.state).fold(accumulator(dtype), |wide, array| {
        wide.promote(accumulator(array.dtype()))
    });
    let mut inputs: Vec<Array> =
        floats.iter().map(|array| array.astype(wide)).collect::<Result<_>>()?;
    inputs.push(if let Some(state) = gates.state {
        state.astype(wide)?
    } else {
        let size = |array: &Array, axis: usize| array.shape().get(axis).copied().unwrap_or(0);
        let shape = [size(q, 0), size(v, 2), size(v, 3), size(q, 3)];
        Array::zeros(Shape::from(shape), wide)?
    });
    if let Some(mask) = gates.mask {
        inputs.push(mask.astype(Dtype::Bool)?);
    }
    let mut outputs = Array::apply(GatedDeltaUpdate { mask: gates.mask.is_some() }, inputs)?;
    let state = outputs.remove(1);
    Ok((outputs.remove(0).astype(dtype)?, state))
}

pub(super) fn op() -> OpInfo {
    OpInfo {
        name: OP,
        doc: "What queries read from a memory that fades and is corrected step by step.",
        signature: "gated_delta_update(q, k, v, gamma, beta, initial_state=None, mask=None)",
        family: Family::Fast,
        kinds: kinds::FLOAT,
        gradient: Gradient::Smooth,
        samples: || {
            fn call(x: &[Array], state: Option<&Array>, mask: Option<&Array>) -> Result<Vec<Array>> {
                let gates = GatedDelta { gamma: &x[3], beta: &x[4], state, mask };
                let (read, state) = gated_delta_update(&x[0], &x[1], &x[2], &gates)?;
                Ok(vec![read, state])
            }
            let inputs = |steps: usize, key_heads: usize, heads: usize| {
                let unit = |shape: &[usize]| Input::new(shape, Domain::Unit);
                vec![
                    unit(&[2, steps, key_heads, 3]),
                    unit(&[2, steps, key_heads, 3]),
                    Input::any([2, steps, heads, 2]),
                    unit(&[2, steps, heads]),
                    unit(&[2, steps, heads]),
                ]
            };
            let state = Input::any([2, 2, 2, 3]);
            let mask = Input::new([2, 3], Domain::Truth);
            let with = |more: &[Input]| [inputs(3, 1, 2), more.to_vec()].concat();
            vec![
                Sample::many("", inputs(4, 2, 2), |x| call(x, None, None)),
                Sample::many("", inputs(3, 1, 2), |x| call(x, None, None)),
                Sample::many("state", with(std::slice::from_ref(&state)), |x| call(x, Some(&x[5]), None)),
                Sample::many("state, mask", with(&[state, mask]), |x| {
                    call(x, Some(&x[5]), Some(&x[6]))
                }),
                Sample::many("", inputs(0, 1, 1), |x| call(x, None, None)),
            ]
        },
    }
}
