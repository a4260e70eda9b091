//! Owns routing: which experts work on a token, how much each counts, and what all tokens share.

use olivine_core::{Array, Dtype, Result};
use olivine_nn::{Activation, Layer, Module, Param, init};

use super::{GatedMlp, Linear, SwitchGlu, top_experts, weighted};
use crate::Weights;

/// What logits of experts are made into.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Scores {
    /// Parts of one, among all experts.
    Softmax,
    /// Parts of one, among those that are chosen.
    SoftmaxOfChosen,
    /// Each on its own, between zero and one.
    Sigmoid,
}

/// Experts of which only those in the best groups can be chosen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Groups {
    pub(crate) count: usize,
    pub(crate) kept: usize,
    /// How many of a group's experts tell how good it is.
    pub(crate) judges: usize,
}

/// How experts are chosen and weighted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Router {
    pub(crate) scores: Scores,
    pub(crate) groups: Option<Groups>,
    /// How many experts work on a token.
    pub(crate) count: usize,
    /// The weights of the chosen experts add up to one.
    pub(crate) normalised: bool,
    /// Multiplies the weights.
    pub(crate) scale: f32,
}

impl Router {
    /// A router without groups.
    pub(crate) fn new(scores: Scores, count: usize, normalised: bool) -> Self {
        Router {
            scores,
            groups: None,
            count,
            normalised,
            scale: 1.0,
        }
    }

    /// Checks that so many experts can be chosen so.
    pub(crate) fn checked(self, weights: &Weights, experts: usize) -> crate::Result<Self> {
        let count = self.count;
        if count == 0 || count > experts {
            return Err(weights.bad(format!("{count} of {experts} experts cannot be chosen")));
        }
        if let Some(Groups {
            count,
            kept,
            judges,
        }) = self.groups
        {
            let fits = count > 0 && experts.is_multiple_of(count) && experts / count >= judges;
            if !fits || kept == 0 || kept > count {
                return Err(weights.bad(format!(
                    "{kept} of {count} groups of {experts} experts cannot be chosen"
                )));
            }
        }
        Ok(self)
    }

    /// The experts of each token (batch, tokens, count) and their weights, from logits (batch,
    /// tokens, experts); `correction` is added to the scores to choose, but not to weigh.
    pub(crate) fn choose(
        &self,
        logits: &Array,
        correction: Option<&Array>,
    ) -> Result<(Array, Array)> {
        let scores = match self.scores {
            Scores::Softmax => logits.softmax(-1)?,
            Scores::SoftmaxOfChosen => logits.clone(),
            Scores::Sigmoid => logits.astype(Dtype::Float32)?.sigmoid()?,
        };
        let mut rank = match correction {
            Some(correction) => scores.add(correction)?,
            None => scores.clone(),
        };
        if let Some(groups) = self.groups {
            rank = groups.keep_best(&rank)?;
        }
        let chosen = top_experts(&rank, self.count)?;
        let mut weights = scores.take_along_axis(&chosen, -1)?;
        if let Scores::SoftmaxOfChosen = self.scores {
            weights = weights.softmax(-1)?;
        }
        if self.normalised {
            weights = weights.divide(weights.sum(olivine_core::keep(-1))?)?;
        }
        if self.scale != 1.0 {
            weights = weights.multiply(self.scale)?;
        }
        Ok((chosen, weights))
    }
}

impl Groups {
    /// The scores (batch, tokens, experts), with zeros in all but the best groups.
    fn keep_best(self, scores: &Array) -> Result<Array> {
        if self.kept == self.count {
            return Ok(scores.clone());
        }
        let (batch, tokens, experts) = (scores.dim(0)?, scores.dim(1)?, scores.dim(2)?);
        let grouped = scores.reshape([batch, tokens, self.count, experts / self.count.max(1)])?;
        let worth = grouped.topk(self.judges, -1)?.sum(-1)?;
        let best = top_experts(&worth, self.kept)?;
        let kept = worth.zeros_like()?.put_along_axis(&best, 1.0, -1)?;
        grouped
            .multiply(kept.expand_dims(-1)?)?
            .reshape([batch, tokens, experts])
    }
}

/// The layer whose outputs are the logits of experts.
#[derive(Clone, Debug, Module)]
pub(crate) struct Gate {
    #[module(flatten)]
    logits: Linear,
    /// Added to the scores to choose experts.
    e_score_correction_bias: Option<Param>,
}

impl Gate {
    /// A gate like other linear layers, but packed with more bits.
    pub(crate) fn new(weights: &Weights, width: usize, experts: usize) -> crate::Result<Self> {
        Ok(Gate {
            logits: weights.router("gate", width, experts, false)?,
            e_score_correction_bias: None,
        })
    }

    /// A gate that is never packed, perhaps with a correction of its scores.
    pub(crate) fn plain(
        weights: &Weights,
        width: usize,
        experts: usize,
        corrected: bool,
    ) -> crate::Result<Self> {
        let own = weights.at("gate");
        let limit = 1.0 / (width.max(1) as f32).sqrt();
        let weight = own.tensor("weight", [experts, width], &|shape| {
            init::uniform(shape, -limit, limit)
        })?;
        let name = "e_score_correction_bias";
        let correction = if corrected {
            Some(own.exact(name, [experts], &|shape| {
                Array::zeros(shape, Dtype::Float32)
            })?)
        } else {
            None
        };
        Ok(Gate {
            logits: Linear::Dense(olivine_nn::Linear {
                weight: weight.into(),
                bias: None,
            }),
            e_score_correction_bias: correction.map(Into::into),
        })
    }

    /// As [`Router::choose`], for tokens (batch, tokens, width).
    pub(crate) fn choose(&self, x: &Array, router: &Router) -> Result<(Array, Array)> {
        let correction = self.e_score_correction_bias.as_ref().map(Param::value);
        router.choose(&self.logits.forward(x)?, correction)
    }
}

/// Gated experts, chosen by a gate, and perhaps one that works on every token.
#[derive(Clone, Debug, Module)]
pub(crate) struct Moe {
    gate: Gate,
    switch_mlp: SwitchGlu,
    /// Works on every token; the gate beside it weighs what it makes.
    pub(crate) shared_expert: Option<GatedMlp>,
    pub(crate) shared_expert_gate: Option<Linear>,
    /// Work on every token.
    pub(crate) shared_experts: Option<GatedMlp>,
    #[module(skip)]
    router: Router,
}

impl Moe {
    /// Experts under `switch_mlp`, or each alone under `experts`, without shared ones.
    pub(crate) fn new(
        weights: &Weights,
        [experts, width, inner]: [usize; 3],
        bias: bool,
        gate: Gate,
        router: Router,
    ) -> crate::Result<Self> {
        let single = |expert: usize, name: &str| weights.name(format!("experts.{expert}.{name}"));
        let switch = weights.at("switch_mlp");
        let sizes = [experts, width, inner];
        Ok(Moe {
            gate,
            router: router.checked(weights, experts)?,
            switch_mlp: SwitchGlu::new(&switch, sizes, bias, Activation::Silu, &single)?,
            shared_expert: None,
            shared_expert_gate: None,
            shared_experts: None,
        })
    }

    /// As [`Moe::new`], with an expert for every token that a gate of its own weighs (Qwen).
    pub(crate) fn with_gated_expert(
        weights: &Weights,
        sizes: [usize; 3],
        shared: usize,
        router: Router,
    ) -> crate::Result<Self> {
        let [experts, width, _] = sizes;
        let gate = Gate::new(weights, width, experts)?;
        let own = weights.at("shared_expert");
        let expert = GatedMlp::new(&own, width, shared, false, Activation::Silu)?;
        Ok(Moe {
            shared_expert: Some(expert),
            shared_expert_gate: Some(weights.router("shared_expert_gate", width, 1, false)?),
            ..Moe::new(weights, sizes, false, gate, router)?
        })
    }
}

impl Layer for Moe {
    fn forward(&self, x: &Array) -> Result<Array> {
        let (chosen, weights) = self.gate.choose(x, &self.router)?;
        let mut y = weighted(&self.switch_mlp.forward(x, &chosen)?, &weights)?;
        if let Some(expert) = &self.shared_expert {
            let mut shared = expert.forward(x)?;
            if let Some(gate) = &self.shared_expert_gate {
                shared = shared.multiply(gate.forward(x)?.sigmoid()?)?;
            }
            y = y.add(shared)?;
        }
        match &self.shared_experts {
            Some(experts) => y.add(experts.forward(x)?),
            None => Ok(y),
        }
    }
}

/// A feed-forward layer with or without experts.
#[derive(Clone, Debug, Module)]
pub(crate) enum FeedForward {
    Dense(GatedMlp),
    Sparse(Box<Moe>),
}

impl Layer for FeedForward {
    fn forward(&self, x: &Array) -> Result<Array> {
        match self {
            FeedForward::Dense(layer) => layer.forward(x),
            FeedForward::Sparse(layer) => layer.forward(x),
        }
    }
}
