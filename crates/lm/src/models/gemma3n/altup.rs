//! Owns AltUp: residual streams that predict each other around a layer that sees one of them.

use olivine_core::{Array, Dtype, Result};
use olivine_nn::{Layer, Module, Param};

use crate::layers::{Linear, Norm};

/// A matrix whose elements may be clipped, used in float32.
#[derive(Clone, Debug, Module)]
pub(super) struct Coefficients {
    pub(super) weight: Param,
    pub(super) clip: Option<f32>,
}

impl Coefficients {
    fn forward(&self, x: &Array) -> Result<Array> {
        let mut weight = self.weight.astype(Dtype::Float32)?;
        if let Some(clip) = self.clip {
            weight = weight.clip(-clip, clip)?;
        }
        x.matmul(weight.swapaxes(0, 1)?)
    }
}

/// Predicts all residual streams before a layer, and corrects them by what it did to one.
#[derive(Clone, Debug, Module)]
pub(super) struct AltUp {
    pub(super) correct_output_scale: Param,
    pub(super) correction_coefs: Coefficients,
    pub(super) prediction_coefs: Coefficients,
    pub(super) modality_router: Linear,
    pub(super) router_norm: Norm,
    pub(super) active: usize,
}

impl AltUp {
    fn routes(&self, x: &Array) -> Result<Array> {
        let width = x.dim(-1)? as f32;
        let normed = self.router_norm.forward(x)?.multiply(width.recip())?;
        self.modality_router
            .forward(&normed)?
            .astype(Dtype::Float32)?
            .tanh()
    }

    /// Streams (count, batch, tokens, width) from those after the layer before.
    pub(super) fn predict(&self, streams: &Array) -> Result<Array> {
        let routes = self.routes(&streams.index(self.active as i64)?)?;
        let (batch, tokens, count) = (routes.dim(0)?, routes.dim(1)?, routes.dim(2)?);
        let mixture = self
            .prediction_coefs
            .forward(&routes)?
            .reshape([batch, tokens, count, count])?
            .swapaxes(2, 3)?;
        let exact = streams.astype(Dtype::Float32)?;
        let mixed = exact.transpose([1, 2, 3, 0])?.matmul(mixture)?;
        mixed
            .transpose([3, 0, 1, 2])?
            .add(exact)?
            .astype(streams.dtype())
    }

    pub(super) fn correct(&self, predicted: &Array, made: &Array) -> Result<Array> {
        let shares = self
            .correction_coefs
            .forward(&self.routes(made)?)?
            .add(1.0)?;
        let news = made.subtract(predicted.index(self.active as i64)?)?;
        let shares = shares.moveaxis(2, 0)?.expand_dims(-1)?;
        news.expand_dims(0)?
            .multiply(shares)?
            .add(predicted)?
            .astype(made.dtype())
    }
}
