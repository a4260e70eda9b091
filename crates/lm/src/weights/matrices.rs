//! Owns the way of a matrix out of its files: plain or packed, as it is there or changed.

use olivine_core::{Array, Dtype, Shape, quantized::Quantization};
use olivine_nn::QuantizedWeight;

use super::{Weights, packed};
use crate::{Result, layers::Matrices};

impl Weights {
    pub(super) fn matrices(
        &self,
        shape: Shape,
        fresh: &dyn Fn(Shape) -> olivine_core::Result<Array>,
    ) -> Result<Matrices> {
        self.matrices_named(shape, fresh, &self.prefix)
    }

    /// The matrix or matrices under this name; `layer` is the name that decides how to pack.
    pub(super) fn matrices_named(
        &self,
        shape: Shape,
        fresh: &dyn Fn(Shape) -> olivine_core::Result<Array>,
        layer: &str,
    ) -> Result<Matrices> {
        let change = &self.shared.change;
        let found = match self.stored(&shape, fresh)? {
            Matrices::Quantized(packed)
                if change.for_mlx && !packed.packed().scheme.is_in_mlx() =>
            {
                let weight = packed.packed().dequantize(change.dtype)?.into();
                Matrices::Dense { weight }
            }
            found => found,
        };
        let made = match found {
            Matrices::Quantized(packed) if change.dequantize => {
                let plain = packed.packed().dequantize(change.dtype)?;
                Matrices::Dense {
                    weight: plain.into(),
                }
            }
            Matrices::Dense { weight } => match &change.quantize {
                Some(recipe) => match recipe.of(layer, shape.last().copied().unwrap_or(0)) {
                    Some(scheme) => Matrices::Quantized(weight.quantize(scheme, None)?.into()),
                    None => Matrices::Dense { weight },
                },
                None => Matrices::Dense { weight },
            },
            Matrices::Quantized(packed) => Matrices::Quantized(packed),
        };
        let (made, scheme) = match made {
            Matrices::Quantized(weight) => {
                let mut packed = weight.packed();
                let scheme = packed.scheme;
                packed.scheme = scheme.with_activations(change.activations);
                (Matrices::Quantized(packed.into()), Some(scheme))
            }
            dense @ Matrices::Dense { .. } => (dense, None),
        };
        self.shared
            .packed
            .borrow_mut()
            .insert(layer.to_owned(), scheme);
        Ok(made)
    }

    /// A matrix as the files have it.
    pub(super) fn stored(
        &self,
        shape: &Shape,
        fresh: &dyn Fn(Shape) -> olivine_core::Result<Array>,
    ) -> Result<Matrices> {
        Ok(match self.foreign(shape)? {
            Some(found) => found,
            None if self.has("scales") => Matrices::Quantized(self.packed_matrices(shape)?),
            None => Matrices::Dense {
                weight: self.tensor("weight", shape.clone(), fresh)?.into(),
            },
        })
    }

    /// A matrix (outputs, inputs) in plain numbers, however the files have it.
    pub(crate) fn plain(&self, name: &str, outputs: usize, inputs: usize) -> Result<Array> {
        let zeros = |shape: Shape| Array::zeros(shape, Dtype::Float32);
        let stored = self.at(name).stored(&[outputs, inputs].into(), &zeros)?;
        Ok(match stored {
            Matrices::Dense { weight } => weight.value().clone(),
            Matrices::Quantized(packed) => packed.packed().dequantize(None)?,
        })
    }

    fn packed_matrices(&self, shape: &Shape) -> Result<QuantizedWeight> {
        let missing = |what: &str| self.bad(format!("{} is missing", self.name(what)));
        let codes = self.any("weight").ok_or_else(|| missing("weight"))?;
        let scales = self.any("scales").ok_or_else(|| missing("scales"))?;
        let biases = self.any("biases");
        let config = self.shared.config.as_ref();
        let scheme = match self.shared.foreign {
            Some(packed::Foreign::Mxfp4) => Some(Quantization::MXFP4),
            _ => config.and_then(|config| config.of(&self.prefix)),
        };
        let Some(scheme) = scheme else {
            let name = self.name("scales");
            return Err(self.bad(format!(
                "{name} is there, but config.json has no `quantization` for it"
            )));
        };
        let cast = |value: Array| self.cast(value);
        let packed = olivine_core::quantized::Quantized {
            codes,
            scales: cast(scales)?,
            biases: biases.map(cast).transpose()?,
            global_scale: None,
            scheme,
        };
        let own = packed
            .shape()
            .map_err(|error| self.bad(format!("{}: {error}", self.prefix)))?;
        if &own != shape {
            let name = self.name("weight");
            return Err(self.bad(format!(
                "{name} has shape {own}, the configuration says {shape}"
            )));
        }
        Ok(packed.into())
    }

    fn foreign(&self, shape: &Shape) -> Result<Option<Matrices>> {
        match self.shared.foreign {
            Some(foreign) => foreign.read(self, shape),
            None => Ok(None),
        }
    }
}
