//! Owns taking whole layers from weights: norms, linear layers, tables and experts.

use std::rc::Rc;

use olivine_core::{Array, Dtype, Shape, quantized::Quantization, stack};
use olivine_nn::{LayerNorm, QuantizedEmbedding, QuantizedLinear, init};

use super::{Change, Weights};
use crate::{
    Recipe, Result,
    layers::{Embedding, Linear, Matrices, Norm, SwitchLinear},
};

impl Weights {
    fn zeros(&self, name: &str, size: usize) -> Result<Array> {
        self.tensor(name, [size], &|shape| Array::zeros(shape, Dtype::Float32))
    }

    fn ones(&self, name: &str, size: usize) -> Result<Array> {
        self.tensor(name, [size], &|shape| Array::ones(shape, Dtype::Float32))
    }

    /// A normalisation by the root mean square.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// assert!(olivine_lm::Weights::random().rms_norm("norm", 8, 1e-6).is_ok());
    /// ```
    pub fn rms_norm(&self, name: &str, size: usize, eps: f64) -> Result<Norm> {
        Ok(Norm::rms(self.at(name).ones("weight", size)?, eps as f32))
    }

    /// A normalisation by the root mean square, times one more than its weight.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// assert!(olivine_lm::Weights::random().rms_norm_plus_one("norm", 8, 1e-6).is_ok());
    /// ```
    pub fn rms_norm_plus_one(&self, name: &str, size: usize, eps: f64) -> Result<Norm> {
        Ok(Norm::rms_plus_one(
            self.at(name).zeros("weight", size)?,
            eps as f32,
        ))
    }

    /// A normalisation by mean and variance, with a weight, and a bias if asked for.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// assert!(olivine_lm::Weights::random().layer_norm("norm", 8, 1e-5, true).is_ok());
    /// ```
    pub fn layer_norm(&self, name: &str, size: usize, eps: f64, bias: bool) -> Result<Norm> {
        let own = self.at(name);
        let bias = if bias {
            Some(own.zeros("bias", size)?.into())
        } else {
            None
        };
        let weight = Some(own.ones("weight", size)?.into());
        Ok(Norm::Layer(LayerNorm {
            weight,
            bias,
            eps: eps as f32,
        }))
    }

    /// A linear layer.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_nn::Module;
    /// let layer = olivine_lm::Weights::random().linear("up_proj", 4, 8, true)?;
    /// assert_eq!(layer.num_parameters(), 4 * 8 + 8);
    /// # Ok::<(), olivine_lm::Error>(())
    /// ```
    pub fn linear(&self, name: &str, inputs: usize, outputs: usize, bias: bool) -> Result<Linear> {
        let own = self.at(name);
        let limit = 1.0 / (inputs.max(1) as f32).sqrt();
        let uniform = |shape: Shape| init::uniform(shape, -limit, limit);
        let weight = own.matrices([outputs, inputs].into(), &uniform)?;
        let bias = if bias {
            Some(own.tensor("bias", [outputs], &uniform)?.into())
        } else {
            None
        };
        Ok(match weight {
            Matrices::Dense { weight } => Linear::Dense(olivine_nn::Linear { weight, bias }),
            Matrices::Quantized(weight) => Linear::Quantized(QuantizedLinear { weight, bias }),
        })
    }

    /// A linear layer that chooses experts: packed, it keeps eight bits.
    pub(crate) fn router(
        &self,
        name: &str,
        inputs: usize,
        outputs: usize,
        bias: bool,
    ) -> Result<Linear> {
        let careful = |recipe: &Recipe| {
            let (recipe, eight) = (recipe.clone(), Quantization::affine(64, 8));
            Recipe::new(recipe.default_scheme(), move |layer, _| {
                recipe.of(layer, inputs).and(eight.as_ref().ok().copied())
            })
        };
        let change = &self.shared.change;
        let change = Change {
            quantize: change.quantize.as_ref().map(careful),
            ..change.clone()
        };
        let own = self.clone().with(|shared| shared.change = change);
        let layer = own.linear(name, inputs, outputs, bias)?;
        self.shared.used.borrow_mut().extend(own.shared.used.take());
        Ok(layer)
    }

    /// A tensor that stays in float32, whatever the weights are cast to.
    pub(crate) fn exact(
        &self,
        name: &str,
        shape: impl Into<Shape>,
        fresh: &dyn Fn(Shape) -> olivine_core::Result<Array>,
    ) -> Result<Array> {
        self.uncast(name, shape.into(), fresh)
    }

    /// A table of vectors.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_nn::Module;
    /// let table = olivine_lm::Weights::random().embedding("embed_tokens", 100, 8)?;
    /// assert_eq!(table.num_parameters(), 800);
    /// # Ok::<(), olivine_lm::Error>(())
    /// ```
    pub fn embedding(&self, name: &str, count: usize, size: usize) -> Result<Embedding> {
        let deviation = 1.0 / (size.max(1) as f32).sqrt();
        let weight = self.at(name).matrices([count, size].into(), &|shape| {
            init::normal(shape, 0.0, deviation)
        })?;
        Ok(match weight {
            Matrices::Dense { weight } => Embedding::Dense(olivine_nn::Embedding { weight }),
            Matrices::Quantized(weight) => Embedding::Quantized(QuantizedEmbedding { weight }),
        })
    }

    /// Linear layers `[experts, inputs, outputs]` in one. Where the files hold every expert on its
    /// own, `single` gives the full name of one of them.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_nn::Module;
    /// let single = |expert: usize| format!("experts.{expert}.up_proj");
    /// let layer = olivine_lm::Weights::random().experts("switch.up_proj", [4, 8, 16], false, &single)?;
    /// assert_eq!(layer.num_parameters(), 4 * 8 * 16);
    /// # Ok::<(), olivine_lm::Error>(())
    /// ```
    pub fn experts(
        &self,
        name: &str,
        [experts, inputs, outputs]: [usize; 3],
        bias: bool,
        single: &dyn Fn(usize) -> String,
    ) -> Result<SwitchLinear> {
        let own = self.at(name);
        let limit = 1.0 / (inputs.max(1) as f32).sqrt();
        let uniform = |shape: Shape| init::uniform(shape, -limit, limit);
        let root = Weights {
            shared: Rc::clone(&self.shared),
            prefix: String::new(),
        };
        let apart = !self.is_random() && !own.has("weight") && experts > 0;
        if !apart {
            let matrices = own.matrices([experts, outputs, inputs].into(), &uniform)?;
            let bias = if bias {
                Some(own.tensor("bias", [experts, outputs], &uniform)?.into())
            } else {
                None
            };
            return Ok(SwitchLinear { matrices, bias });
        }
        let mut parts: [Vec<Array>; 4] = Default::default();
        let mut scheme = None;
        for expert in 0..experts {
            let one = root.at(single(expert));
            match one.matrices_named([outputs, inputs].into(), &uniform, &own.prefix)? {
                Matrices::Dense { weight } => parts[0].push(weight.value().clone()),
                Matrices::Quantized(weight) => {
                    let packed = weight.packed();
                    scheme = Some(packed.scheme);
                    parts[0].push(packed.codes);
                    parts[1].push(packed.scales);
                    parts[2].extend(packed.biases);
                }
            }
            if bias {
                parts[3].push(one.tensor("bias", [outputs], &uniform)?);
            }
        }
        let joined = |part: &[Array]| -> Result<Option<Array>> {
            Ok(if part.is_empty() {
                None
            } else {
                Some(stack(part, 0)?)
            })
        };
        let [codes, scales, biases, bias] = [
            joined(&parts[0])?,
            joined(&parts[1])?,
            joined(&parts[2])?,
            joined(&parts[3])?,
        ];
        let missing = || self.bad(format!("{} is missing", own.prefix));
        let codes = codes.ok_or_else(missing)?;
        let matrices = match (scheme, scales) {
            (Some(scheme), Some(scales)) => {
                let packed = olivine_core::quantized::Quantized {
                    codes,
                    scales,
                    biases,
                    global_scale: None,
                    scheme,
                };
                Matrices::Quantized(packed.into())
            }
            _ => Matrices::Dense {
                weight: codes.into(),
            },
        };
        Ok(SwitchLinear {
            matrices,
            bias: bias.map(Into::into),
        })
    }
}
