//! Owns attention whose keys and values are made of one small vector for each token (DeepSeek's
//! multi-head latent attention, arXiv:2405.04434).

use olivine_core::{Array, Result, concatenate};
use olivine_nn::{Layer, Module};

use super::{Block, Linear, Matrices, Norm, Rope, SwitchLinear, split_heads};
use crate::{AttentionRule, Cache, KvCache, Sequences, Weights, attend, attend::attend_made};

/// The sizes of a latent attention layer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LatentShape {
    pub(crate) width: usize,
    pub(crate) heads: usize,
    /// Width of the vector that queries are made of; without it they are made of the input.
    pub(crate) q_rank: Option<usize>,
    /// Width of the vector that keys and values are made of.
    pub(crate) kv_rank: usize,
    /// The part of a head that turns, the same in the keys of all heads.
    pub(crate) turned: usize,
    /// The part that does not.
    pub(crate) still: usize,
    /// Width of a head of values.
    pub(crate) value: usize,
    pub(crate) bias: bool,
}

/// How queries come of the input.
#[derive(Clone, Debug, Module)]
pub(crate) enum Queries {
    Whole {
        q_proj: Linear,
    },
    Latent {
        q_a_proj: Linear,
        q_a_layernorm: Norm,
        q_b_proj: Linear,
    },
}

impl Layer for Queries {
    fn forward(&self, x: &Array) -> Result<Array> {
        match self {
            Queries::Whole { q_proj } => q_proj.forward(x),
            Queries::Latent {
                q_a_proj,
                q_a_layernorm,
                q_b_proj,
            } => q_b_proj.forward(&q_a_layernorm.forward(&q_a_proj.forward(x)?)?),
        }
    }
}

/// How keys and values come of the small vectors, and which of them are remembered.
#[derive(Clone, Debug, Module)]
pub(crate) enum KeyValues {
    /// Keys and values are remembered.
    Whole { kv_b_proj: Linear },
    /// The vectors are remembered: a matrix for each head takes queries to where they are, or
    /// them to keys, and another one takes them to values.
    Latent {
        embed_q: SwitchLinear,
        unembed_out: SwitchLinear,
    },
}

/// Latent attention.
#[derive(Clone, Debug, Module)]
pub(crate) struct LatentAttention {
    #[module(flatten)]
    queries: Queries,
    kv_a_proj_with_mqa: Linear,
    kv_a_layernorm: Norm,
    #[module(flatten)]
    keys: KeyValues,
    o_proj: Linear,
    #[module(skip)]
    shape: LatentShape,
    #[module(skip)]
    rope: Rope,
    #[module(skip)]
    rule: AttentionRule,
}

impl LatentAttention {
    /// A layer that remembers keys and values, or the small vectors if `compact`; `factor`
    /// multiplies the usual scale.
    pub(crate) fn new(
        weights: &Weights,
        shape: LatentShape,
        compact: bool,
        rope: Rope,
        factor: f64,
    ) -> crate::Result<Self> {
        const EPS: f64 = 1e-6;
        let LatentShape {
            width,
            heads,
            q_rank,
            kv_rank,
            turned,
            still,
            value,
            bias,
        } = shape;
        let sizes = [kv_rank, turned, still, value, q_rank.unwrap_or(1)];
        if sizes.contains(&0) || !turned.is_multiple_of(2) {
            return Err(weights.bad(format!(
                "latent attention cannot have these sizes: {shape:?}"
            )));
        }
        let each = still + turned;
        let queries = match q_rank {
            None => Queries::Whole {
                q_proj: weights.linear("q_proj", width, heads * each, false)?,
            },
            Some(rank) => Queries::Latent {
                q_a_proj: weights.linear("q_a_proj", width, rank, bias)?,
                q_a_layernorm: weights.rms_norm("q_a_layernorm", rank, EPS)?,
                q_b_proj: weights.linear("q_b_proj", rank, heads * each, false)?,
            },
        };
        let keys = if compact {
            let matrices =
                |name: &str, sizes| weights.experts(name, sizes, false, &|_| name.to_owned());
            KeyValues::Latent {
                embed_q: matrices("embed_q", [heads, still, kv_rank])?,
                unembed_out: matrices("unembed_out", [heads, kv_rank, value])?,
            }
        } else {
            let outputs = heads * (still + value);
            KeyValues::Whole {
                kv_b_proj: weights.linear("kv_b_proj", kv_rank, outputs, false)?,
            }
        };
        Ok(LatentAttention {
            queries,
            kv_a_proj_with_mqa: weights.linear(
                "kv_a_proj_with_mqa",
                width,
                kv_rank + turned,
                bias,
            )?,
            kv_a_layernorm: weights.rms_norm("kv_a_layernorm", kv_rank, EPS)?,
            keys,
            o_proj: weights.linear("o_proj", heads * value, width, bias)?,
            shape,
            rope,
            rule: AttentionRule {
                scale: (factor / (each as f64).sqrt()) as f32,
                ..AttentionRule::default()
            },
        })
    }

    /// Attention within one sequence of queries (batch, heads, tokens, size), given their small
    /// vectors and the part of the keys that turns, both (batch, 1, tokens, size).
    fn mix(
        &self,
        queries: &Array,
        latent: &Array,
        turned: &Array,
        cache: Option<&mut KvCache>,
    ) -> Result<Array> {
        let still = self.shape.still;
        let offset = cache.as_ref().map_or(0, |cache| cache.len());
        let turned = self.rope.apply(turned, offset)?;
        let own = queries.index((.., .., .., ..still))?;
        let own_turned = self
            .rope
            .apply(&queries.index((.., .., .., still..))?, offset)?;
        let joined = |still: &Array, turned: &Array| {
            let shape = still.shape().with_axis(3, turned.dim(3)?);
            concatenate(&[still, &turned.broadcast_to(shape)?], -1)
        };
        match &self.keys {
            KeyValues::Whole { kv_b_proj } => {
                let both = split_heads(
                    &kv_b_proj.forward(&latent.squeeze(1)?)?,
                    still + self.shape.value,
                )?
                .swapaxes(1, 2)?;
                let keys = joined(&both.index((.., .., .., ..still))?, &turned)?;
                let values = both.index((.., .., .., still..))?;
                let queries = joined(&own, &own_turned)?;
                attend([&queries, &keys, &values], cache, &self.rule)
            }
            KeyValues::Latent {
                embed_q,
                unembed_out,
            } => {
                let held = [latent, &turned];
                if queries.dim(2)? == 1 {
                    // It is less work to take one query to the vectors than all vectors to keys.
                    let queries = joined(&product(&own, embed_q, true)?, &own_turned)?;
                    let mixed =
                        attend_made(&queries, held, cache, &self.rule, |[latent, turned]| {
                            Ok([joined(&latent, &turned)?, latent])
                        })?;
                    return product(&mixed, unembed_out, true);
                }
                let queries = joined(&own, &own_turned)?;
                attend_made(&queries, held, cache, &self.rule, |[latent, turned]| {
                    let keys = joined(&product(&latent, embed_q, false)?, &turned)?;
                    Ok([keys, product(&latent, unembed_out, true)?])
                })
            }
        }
    }
}

/// The product of rows (batch, heads or 1, rows, columns) with the matrix of each head.
fn product(x: &Array, matrices: &SwitchLinear, transpose: bool) -> Result<Array> {
    match &matrices.matrices {
        Matrices::Dense { weight } if transpose => x.matmul(weight.swapaxes(-1, -2)?),
        Matrices::Dense { weight } => x.matmul(weight.value()),
        Matrices::Quantized(weight) => x.quantized_matmul(&weight.packed(), transpose),
    }
}

impl Block for LatentAttention {
    fn forward(&self, x: &Array, cache: usize, sequences: &mut Sequences<'_>) -> Result<Array> {
        let LatentShape {
            kv_rank,
            turned,
            still,
            ..
        } = self.shape;
        let queries = split_heads(&self.queries.forward(x)?, still + turned)?;
        let both = self.kv_a_proj_with_mqa.forward(x)?;
        let latent = self
            .kv_a_layernorm
            .forward(&both.index((.., .., ..kv_rank))?)?;
        let turned = both.index((.., .., kv_rank..))?;
        let mixed = sequences.each(cache, &[&queries, &latent, &turned], |parts, cache| {
            let cache = cache.and_then(Cache::kv);
            let (queries, latent) = (parts[0].swapaxes(1, 2)?, parts[1].expand_dims(1)?);
            let mixed = self.mix(&queries, &latent, &parts[2].expand_dims(1)?, cache)?;
            mixed.swapaxes(1, 2)?.flatten(2, 3)
        })?;
        self.o_proj.forward(&mixed)
    }
}

#[cfg(test)]
mod tests {
    use olivine_core::{Dtype, quantized::Quantization, random};

    use super::*;
    use crate::{Change, Recipe, layers::RopeScaling};

    const SHAPE: LatentShape = LatentShape {
        width: 64,
        heads: 2,
        q_rank: None,
        kv_rank: 64,
        turned: 32,
        still: 32,
        value: 32,
        bias: false,
    };

    fn layer(quantize: Option<Recipe>) -> LatentAttention {
        random::seed(5);
        let change = Change {
            quantize,
            ..Change::default()
        };
        let weights = Weights::random().changed(change);
        let rope = Rope::new(SHAPE.turned, 10_000.0, true, &RopeScaling::Default).unwrap();
        LatentAttention::new(&weights, SHAPE, true, rope, 1.0).unwrap()
    }

    /// Outputs of a prompt and of one more token, with caches of whole or packed numbers.
    fn run(layer: &LatentAttention, packed: Option<Quantization>) -> Vec<f32> {
        random::seed(6);
        let x = random::normal([1, 9, SHAPE.width]).unwrap();
        let mut cache = KvCache::new();
        if let Some(scheme) = packed {
            cache = cache.quantized(scheme).unwrap();
        }
        let mut caches = [Cache::from(cache)];
        let mut all = Vec::new();
        for part in [0..8, 8..9] {
            let x = x.index((.., part)).unwrap().astype(Dtype::Float32).unwrap();
            let mut sequences = Sequences::one(&mut caches);
            let y = layer.forward(&x, 0, &mut sequences).unwrap();
            all.extend(y.to_vec::<f32>().unwrap());
        }
        all
    }

    #[test]
    fn packed_matrices_and_packed_caches_stay_close() {
        let eight = Quantization::affine(32, 8).unwrap();
        let plain = run(&layer(None), None);
        let spread = plain.iter().fold(0.0f32, |most, x| most.max(x.abs()));
        let packed = layer(Some(Recipe::uniform(eight)));
        assert!(packed.parameters().contains_key("embed_q.scales"));
        for own in [run(&packed, None), run(&layer(None), Some(eight))] {
            assert_ne!(own, plain);
            for (own, plain) in own.iter().zip(&plain) {
                assert!((own - plain).abs() < 0.05 * spread, "{own} against {plain}");
            }
        }
    }
}
