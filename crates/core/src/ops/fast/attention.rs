//! Owns attention: weighted means of values, the weights being a softmax of scaled dot products.

use serde::{Deserialize, Serialize};

use super::{
    Family, Gradient, Input, OpInfo, Sample, accumulator, check_cotangent, check_float, fused, kinds,
};
use crate::{
    Array, Dtype, Error, Result, Shape,
    graph::{Batched, Gradients, Jvp, Primitive, Spec, Specs, Tangents, Vjp, Vmap},
    keep,
};

const OP: &str = "scaled_dot_product_attention";

/// Which keys a query sees.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, Array, Dtype};
/// use olivine_core::fast::{AttentionMask, AttentionOptions, scaled_dot_product_attention};
/// let q = Array::zeros([1, 1, 2, 4], Dtype::Float32)?;
/// let v = array!([[[[1.0], [3.0]]]]);
/// let options = AttentionOptions { scale: 0.5, mask: AttentionMask::Causal, sinks: None };
/// // The first query sees the first key only, the second one both.
/// let y = scaled_dot_product_attention(&q, &q, &v, &options)?;
/// assert_eq!(y.to_vec::<f32>()?, [1.0, 2.0]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy, Default)]
pub enum AttentionMask<'a> {
    /// All.
    #[default]
    None,
    /// Those up to its own position; the last query has the last key's.
    Causal,
    /// By an array that broadcasts to (batch, heads, queries, keys): where a bool is true, or with
    /// numbers added to the scores.
    Array(&'a Array),
}

/// The arguments of [`scaled_dot_product_attention`] besides the arrays that meet in it.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, Array, Dtype};
/// use olivine_core::fast::{AttentionMask, AttentionOptions, scaled_dot_product_attention};
/// let x = Array::zeros([1, 1, 1, 4], Dtype::Float32)?;
/// // A sink takes part of the weight, here half, and gives nothing.
/// let sink = array!([0.0]);
/// let options = AttentionOptions { scale: 1.0, mask: AttentionMask::None, sinks: Some(&sink) };
/// let y = scaled_dot_product_attention(&x, &x, &x.ones_like()?, &options)?;
/// assert_eq!(y.to_vec::<f32>()?, [0.5; 4]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy)]
pub struct AttentionOptions<'a> {
    /// Multiplies dot products; usually one over the root of a head's size.
    pub scale: f32,
    /// Which keys a query sees.
    pub mask: AttentionMask<'a>,
    /// For each query head, a score that takes part in the softmax but has no value.
    pub sinks: Option<&'a Array>,
}

impl AttentionOptions<'_> {
    /// The operation that these ask for, and the mask and the sinks as its inputs; the mask is broadcast to
    /// the shape of the scores, where operands have one.
    pub(in crate::ops) fn prepared(
        &self,
        op: &'static str,
        dtype: Dtype,
        scores: Option<[usize; 4]>,
    ) -> Result<(ScaledDotProductAttention, Vec<Array>)> {
        let fits = |x: &Array, reason| {
            if x.dtype().promote(dtype) == dtype {
                return Ok(());
            }
            Err(Error::Dtype { op, dtype: x.dtype(), reason })
        };
        let mut inputs = Vec::new();
        if let AttentionMask::Array(mask) = self.mask {
            fits(mask, "a mask is bool, or of a dtype that the output's can hold")?;
            inputs.push(match scores {
                None => mask.clone(),
                Some(full) if mask.dtype() == Dtype::Bool => mask.broadcast_to(full)?,
                Some(full) => mask.astype(dtype)?.broadcast_to(full)?,
            });
        }
        if let Some(sinks) = self.sinks {
            fits(sinks, "sinks are of a dtype that the output's can hold")?;
            inputs.push(sinks.astype(dtype)?);
        }
        let primitive = ScaledDotProductAttention {
            scale: self.scale,
            causal: matches!(self.mask, AttentionMask::Causal),
            mask: matches!(self.mask, AttentionMask::Array(_)),
            sinks: self.sinks.is_some(),
        };
        Ok((primitive, inputs))
    }
}

/// Attention of queries (batch, heads, queries, size) to keys and values (batch, key heads, keys,
/// size). The inputs after these are the mask, of the scores' full shape, and the sinks, as far as
/// they are there.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, Array, Dtype};
/// use olivine_core::fast::ScaledDotProductAttention;
/// let plain = ScaledDotProductAttention { scale: 1.0, causal: false, mask: false, sinks: false };
/// let x = Array::zeros([1, 1, 2, 4], Dtype::Float32)?;
/// let v = array!([[[[1.0], [3.0]]]]);
/// assert_eq!(Array::apply_one(plain, [x.clone(), x, v])?.to_vec::<f32>()?, [2.0, 2.0]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct ScaledDotProductAttention {
    /// Multiplies dot products.
    #[serde(with = "crate::graph::number")]
    pub scale: f32,
    /// Whether a query sees only keys up to its own position.
    pub causal: bool,
    /// Whether there is a mask.
    pub mask: bool,
    /// Whether there are sinks.
    pub sinks: bool,
}

/// The gradients of [`ScaledDotProductAttention`] with respect to queries, keys and values. After
/// its inputs come its output and the cotangent.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{Array, Dtype};
/// use olivine_core::fast::{ScaledDotProductAttention, ScaledDotProductAttentionVjp};
/// let (mask, sinks) = (false, false);
/// let forward = ScaledDotProductAttention { scale: 1.0, causal: false, mask, sinks };
/// let x = Array::zeros([1, 1, 1, 2], Dtype::Float32)?;
/// let cotangent = x.ones_like()?;
/// let inputs = [x.clone(), x.clone(), x.clone(), x, cotangent];
/// let gradients = Array::apply(ScaledDotProductAttentionVjp { forward }, inputs)?;
/// // There is one key, so all of the cotangent goes to its value.
/// assert_eq!(gradients[2].to_vec::<f32>()?, [1.0, 1.0]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct ScaledDotProductAttentionVjp {
    /// The operation whose gradients these are.
    pub forward: ScaledDotProductAttention,
}

impl ScaledDotProductAttention {
    /// The mask and the sinks among the inputs.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::fast::ScaledDotProductAttention;
    /// let (mask, sinks) = (false, true);
    /// let with_sinks = ScaledDotProductAttention { scale: 1.0, causal: true, mask, sinks };
    /// let names = ["queries", "keys", "values", "sinks"];
    /// assert_eq!(with_sinks.parameters(&names), (None, Some(&"sinks")));
    /// ```
    pub fn parameters<T>(self, inputs: &[T]) -> (Option<&T>, Option<&T>) {
        let mask = self.mask.then(|| &inputs[3]);
        let sinks = self.sinks.then(|| &inputs[3 + usize::from(self.mask)]);
        (mask, sinks)
    }

    /// The number of inputs.
    fn count(self) -> usize {
        3 + usize::from(self.mask) + usize::from(self.sinks)
    }

    /// Dot products with what masks did to them: (batch, key heads, group, queries, keys).
    fn scores(self, inputs: &[Array]) -> Result<Array> {
        let (q, k) = (&inputs[0], &inputs[1]);
        let wide = accumulator(q.dtype());
        let (grouped, full) = grouped(q.shape(), k.shape());
        let q = q.astype(wide)?.multiply(self.scale)?.reshape_to(grouped);
        let k = k.astype(wide)?.expand_dims(2)?.swapaxes(-1, -2)?;
        let mut scores = q.matmul(k)?;
        let least = Array::scalar(f32::MIN).astype(wide)?;
        if self.causal {
            scores = visible(inputs)?.select(&scores, &least)?;
        }
        if let (Some(mask), _) = self.parameters(inputs) {
            let mask = mask.reshape_to(full);
            scores = if mask.dtype() == Dtype::Bool {
                mask.select(scores, least)?
            } else {
                scores.add(mask.astype(wide)?)?
            };
        }
        Ok(scores)
    }

    /// The weights of the values: (batch, key heads, group, queries, keys).
    fn weights(self, inputs: &[Array]) -> Result<Array> {
        let scores = self.scores(inputs)?;
        let (_, Some(sinks)) = self.parameters(inputs) else {
            return scores.softmax(-1);
        };
        let heads = [scores.shape()[1], scores.shape()[2], 1, 1];
        let sinks = sinks.astype(scores.dtype())?.reshape(heads)?;
        let greatest = scores.max(keep(-1))?.maximum(&sinks)?;
        let exp = scores.subtract(&greatest)?.exp()?;
        let sum = exp.sum(keep(-1))?.add(sinks.subtract(greatest)?.exp()?)?;
        exp.divide(sum)
    }
}

impl ScaledDotProductAttention {
    /// The outputs of `primitive`, this operation or its gradient, with the batch joined to the first
    /// axis. Not if the sinks have a batch, since all of an operation's first axis share them.
    fn merged(
        self,
        primitive: &(impl Primitive + Clone),
        vmap: &Vmap,
    ) -> Result<Option<Batched>> {
        let sinks = self.sinks.then(|| 3 + usize::from(self.mask));
        if sinks.is_some_and(|at| vmap.batched[at]) {
            return Ok(None);
        }
        let joined = (0..vmap.inputs.len()).map(|i| {
            if sinks == Some(i) {
                Ok(vmap.inputs[i].clone())
            } else {
                vmap.input(i).flatten(0, 1)
            }
        });
        let outputs = Array::apply(primitive.clone(), joined.collect::<Result<Vec<_>>>()?)?;
        let rows = vmap.inputs[0].shape()[usize::from(vmap.batched[0])];
        let apart = |output: Array| {
            let sizes = [vmap.size, rows].into_iter();
            output.reshape_to(sizes.chain(output.shape()[1..].iter().copied()).collect())
        };
        Ok(Some(outputs.into_iter().map(apart).collect()))
    }
}

/// Whether a query, in rows, sees a key, in columns, by their positions alone.
fn visible(inputs: &[Array]) -> Result<Array> {
    let (queries, keys) = (inputs[0].shape()[2] as i32, inputs[1].shape()[2] as i32);
    let last: Vec<i32> = (0..queries).map(|i| i + keys - queries).collect();
    let last = Array::from_slice(&last, [last.len(), 1])?;
    let keys: Vec<i32> = (0..keys).collect();
    last.greater_equal(Array::from_slice(&keys, [keys.len()])?)
}

/// The shapes of queries and of scores with query heads grouped by their key head.
fn grouped(q: &[usize], k: &[usize]) -> (Shape, Shape) {
    let group = q[1] / k[1].max(1);
    let queries = Shape::from([q[0], k[1], group, q[2], q[3]]);
    (queries, Shape::from([q[0], k[1], group, q[2], k[2]]))
}

crate::stored!(ScaledDotProductAttention);

impl Primitive for ScaledDotProductAttention {
    fn name(&self) -> &'static str {
        OP
    }

    fn infer(&self, inputs: &[Array]) -> Result<Specs> {
        crate::graph::exactly(OP, self.count(), inputs)?;
        let (q, k, v) = (&inputs[0], &inputs[1], &inputs[2]);
        for x in [q, k, v] {
            check_float(OP, x.dtype())?;
            if x.ndim() != 4 {
                let reason = format!("it takes arrays of four axes, not of shape {}", x.shape());
                return Err(Error::Shape { op: OP, reason });
            }
        }
        let fits = q.shape()[0] == k.shape()[0]
            && k.shape()[..3] == v.shape()[..3]
            && q.shape()[3] == k.shape()[3]
            && k.shape()[1] > 0
            && q.shape()[1] % k.shape()[1] == 0;
        if !fits {
            let (q, k, v) = (q.shape(), k.shape(), v.shape());
            let reason = format!(
                "queries {q}, keys {k} and values {v} do not fit: batches, lengths and sizes are \
                 equal, and query heads a multiple of key heads"
            );
            return Err(Error::Shape { op: OP, reason });
        }
        if let (_, Some(sinks)) = self.parameters(inputs)
            && sinks.shape()[..] != q.shape()[1..2]
        {
            let (sinks, heads) = (sinks.shape(), q.shape()[1]);
            let reason = format!("sinks of shape {sinks} do not fit {heads} heads");
            return Err(Error::Shape { op: OP, reason });
        }
        if let (Some(mask), _) = self.parameters(inputs) {
            let scores = q.shape().with_axis(3, k.shape()[2]);
            if *mask.shape() != scores {
                let reason = format!("a mask of shape {} for scores {scores}", mask.shape());
                return Err(Error::Shape { op: OP, reason });
            }
        }
        let shape = q.shape().with_axis(3, v.shape()[3]);
        Ok([Spec { shape, dtype: q.dtype() }].into())
    }

    fn vjp(&self, vjp: &Vjp) -> Result<Gradients> {
        if vjp.wanted[3..].contains(&true) {
            return vjp.through(|inputs| self.decompose(inputs));
        }
        let inputs = vjp.inputs.iter().chain([&vjp.outputs[0], vjp.cotangent()]).cloned();
        let gradients = Array::apply(ScaledDotProductAttentionVjp { forward: *self }, inputs)?;
        vjp.each(|i| Ok(gradients.get(i).cloned()))
    }

    fn jvp(&self, jvp: &Jvp) -> Result<Tangents> {
        jvp.transposed(self)
    }

    fn vmap(&self, vmap: &Vmap) -> Result<Batched> {
        match self.merged(self, vmap)? {
            Some(outputs) => Ok(outputs),
            None => vmap.through(|inputs| self.decompose(inputs)),
        }
    }

    fn decompose(&self, inputs: &[Array]) -> Result<Vec<Array>> {
        let Spec { shape, dtype } = self.infer(inputs)?.remove(0);
        if inputs[1].shape()[2] == 0 {
            return Ok(vec![Array::zeros(shape, dtype)?]);
        }
        let weights = self.weights(inputs)?;
        let v = inputs[2].astype(weights.dtype())?.expand_dims(2)?;
        Ok(vec![weights.matmul(v)?.reshape_to(shape).astype(dtype)?])
    }
}

crate::stored!(ScaledDotProductAttentionVjp);

impl Primitive for ScaledDotProductAttentionVjp {
    fn name(&self) -> &'static str {
        "scaled_dot_product_attention_vjp"
    }

    fn infer(&self, inputs: &[Array]) -> Result<Specs> {
        crate::graph::exactly(self.name(), self.forward.count() + 2, inputs)?;
        let (given, last) = inputs.split_at(inputs.len() - 2);
        let output = self.forward.infer(given)?.remove(0);
        for like in last {
            check_cotangent(self.name(), like, output.clone())?;
        }
        Ok(inputs[..3].iter().map(|input| input.spec().clone()).collect())
    }

    fn vjp(&self, vjp: &Vjp) -> Result<Gradients> {
        vjp.through(|inputs| self.decompose(inputs))
    }

    fn jvp(&self, jvp: &Jvp) -> Result<Tangents> {
        jvp.transposed(self)
    }

    fn vmap(&self, vmap: &Vmap) -> Result<Batched> {
        match self.forward.merged(self, vmap)? {
            Some(outputs) => Ok(outputs),
            None => vmap.through(|inputs| self.decompose(inputs)),
        }
    }

    fn decompose(&self, inputs: &[Array]) -> Result<Vec<Array>> {
        let (q, k, v) = (&inputs[0], &inputs[1], &inputs[2]);
        let cotangent = inputs.last().expect("the cotangent is the last input");
        if q.size() * k.shape()[2] == 0 {
            let zeros = inputs[..3].iter().map(|x| Array::zeros(x.shape(), x.dtype()));
            return zeros.collect();
        }
        let weights = self.forward.weights(inputs)?;
        let wide = weights.dtype();
        let (queries, _) = grouped(q.shape(), k.shape());
        let outputs = queries.with_axis(4, v.shape()[3]);
        let cotangent = cotangent.astype(wide)?.reshape_to(outputs);
        let values = v.astype(wide)?.expand_dims(2)?;
        let along = cotangent.matmul(values.swapaxes(-1, -2)?)?.multiply(&weights)?;
        let total = along.sum(keep(-1))?;
        let mut scores = along.subtract(weights.multiply(total)?)?;
        if let (Some(mask), _) = self.forward.parameters(inputs)
            && mask.dtype() == Dtype::Bool
        {
            scores = mask.reshape_to(scores.shape().clone()).select(scores, 0)?;
        }
        if self.forward.causal {
            scores = visible(inputs)?.select(scores, 0)?;
        }
        let scores = scores.multiply(self.forward.scale)?;
        let wide_q = q.astype(wide)?.reshape_to(queries);
        let wide_k = k.astype(wide)?.expand_dims(2)?;
        Ok(vec![
            scores.matmul(wide_k)?.reshape_to(q.shape().clone()).astype(q.dtype())?,
            scores.swapaxes(-1, -2)?.matmul(wide_q)?.sum(2)?.astype(k.dtype())?,
            weights.swapaxes(-1, -2)?.matmul(cotangent)?.sum(2)?.astype(v.dtype())?,
        ])
    }
}

/// Attention: for each query the mean of the values, weighted by the softmax over keys of the
/// scaled dot products of query and keys.
///
/// Queries have the shape (batch, heads, queries, size); keys and values (batch, key heads, keys,
/// size). Heads are a multiple of key heads, and neighbouring query heads share a key head. The
/// softmax is in `float32`. A query that sees no key gets the mean of all values.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{Array, Dtype, fast::{self, AttentionMask, AttentionOptions}};
/// let q = Array::zeros([1, 1, 2, 4], Dtype::Float32)?;
/// let v = Array::from_slice(&[1.0f32, 3.0], [1, 1, 2, 1])?;
/// let options = AttentionOptions { scale: 0.5, mask: AttentionMask::Causal, sinks: None };
/// let y = fast::scaled_dot_product_attention(&q, &q, &v, &options)?;
/// assert_eq!(y.to_vec::<f32>()?, [1.0, 2.0]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn scaled_dot_product_attention(
    q: &Array,
    k: &Array,
    v: &Array,
    options: &AttentionOptions,
) -> Result<Array> {
    let dtype = q.dtype().promote(k.dtype()).promote(v.dtype());
    check_float(OP, dtype)?;
    // Ranks are checked by the rule for broadcasting here, and by `infer` for the rest.
    let scores = (q.ndim() == 4 && k.ndim() == 4)
        .then(|| [q.shape()[0], q.shape()[1], q.shape()[2], k.shape()[2]]);
    let (primitive, rest) = options.prepared(OP, dtype, scores)?;
    let mut inputs = vec![q.astype(dtype)?, k.astype(dtype)?, v.astype(dtype)?];
    inputs.extend(rest);
    fused(primitive, inputs)
}

pub(super) fn op() -> OpInfo {
    OpInfo {
        name: OP,
        doc: "Means of values, weighted by the softmax of dot products of queries and keys.",
        signature: "scaled_dot_product_attention(q, k, v, *, scale, mask=None, sinks=None)",
        family: Family::Fast,
        kinds: kinds::FLOAT,
        gradient: Gradient::Smooth,
        samples: || {
            fn options<'a>(mask: AttentionMask<'a>, sinks: Option<&'a Array>) -> AttentionOptions<'a> {
                AttentionOptions { scale: 0.4, mask, sinks }
            }
            fn plain(x: &[Array], mask: AttentionMask) -> Result<Array> {
                scaled_dot_product_attention(&x[0], &x[1], &x[2], &options(mask, None))
            }
            let inputs = |heads, queries, key_heads, keys| {
                [
                    Input::any([2, heads, queries, 8]),
                    Input::any([2, key_heads, keys, 8]),
                    Input::any([2, key_heads, keys, 6]),
                ]
            };
            let with = |more| {
                let [q, k, v] = inputs(4, 3, 2, 5);
                [q, k, v, more]
            };
            vec![
                Sample::new("", inputs(2, 3, 2, 5), |x| plain(x, AttentionMask::None)),
                Sample::new("grouped", inputs(4, 3, 2, 5), |x| plain(x, AttentionMask::None)),
                Sample::new("one query", inputs(4, 1, 2, 9), |x| plain(x, AttentionMask::None)),
                Sample::new("causal", inputs(4, 3, 2, 5), |x| plain(x, AttentionMask::Causal)),
                Sample::new("causal, long", inputs(2, 70, 1, 70), |x| {
                    plain(x, AttentionMask::Causal)
                }),
                Sample::new("causal, more queries than keys", inputs(2, 5, 1, 3), |x| {
                    plain(x, AttentionMask::Causal)
                }),
                Sample::new("added mask", with(Input::any([3, 5])), |x| {
                    plain(x, AttentionMask::Array(&x[3]))
                }),
                Sample::new("bool mask", inputs(4, 3, 2, 3), |x| {
                    let visible = [true, false, false, true, true, false, false, true, true];
                    let mask = Array::from_slice(&visible, [3, 3])?;
                    plain(x, AttentionMask::Array(&mask))
                }),
                Sample::new("sinks", with(Input::any([4])), |x| {
                    let options = options(AttentionMask::None, Some(&x[3]));
                    scaled_dot_product_attention(&x[0], &x[1], &x[2], &options)
                }),
                Sample::new("no keys", inputs(4, 3, 2, 0), |x| plain(x, AttentionMask::None)),
            ]
        },
    }
}
