//! Owns rotary position embeddings: how positions turn heads, and how contexts are stretched.

use std::f64::consts::TAU;

use olivine_core::{
    Array, Result, concatenate,
    fast::{RopeFrequencies, RopeOffset, RopeOptions, rope},
};

use crate::json::Object;

const MAX_POSITIONS: usize = 1 << 31;

/// How rotary frequencies are adapted to a context longer than the pre-training's.
///
/// ```
/// use olivine_lm::layers::RopeScaling;
/// assert_eq!(RopeScaling::default(), RopeScaling::Default);
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub enum RopeScaling {
    /// Frequencies are used as they are.
    #[default]
    Default,
    /// Positions are divided by `factor`.
    Linear {
        /// The divisor.
        factor: f64,
    },
    /// The base grows with the length of the text beyond the trained context.
    Dynamic {
        /// How fast it grows.
        factor: f64,
        /// The trained context, in tokens.
        max_position_embeddings: usize,
    },
    /// Low frequencies are divided by `factor`, high ones kept, those between blended (Llama 3.1).
    Llama3 {
        /// Divisor of the low frequencies.
        factor: f64,
        /// Wavelengths above `original / low_freq_factor` are stretched.
        low_freq_factor: f64,
        /// Wavelengths below `original / high_freq_factor` are kept.
        high_freq_factor: f64,
        /// Context length of the pre-training, in tokens.
        original_max_position_embeddings: usize,
    },
    /// As `Llama3` with a linear blend over the number of turns (YaRN, arXiv:2309.00071).
    Yarn {
        /// Divisor of the low frequencies.
        factor: f64,
        /// Frequencies that turn more often than this within the context are kept.
        beta_fast: f64,
        /// Frequencies that turn less often than this are divided by `factor`.
        beta_slow: f64,
        /// Numerator of the heads' scale.
        mscale: f64,
        /// Denominator of the heads' scale.
        mscale_all_dim: f64,
        /// Context length of the pre-training, in tokens.
        original_max_position_embeddings: usize,
    },
    /// Every frequency has a divisor of its own (Phi 3's LongRoPE, arXiv:2402.13753).
    LongRope {
        /// The divisors, one for each pair of elements.
        long_factor: Vec<f64>,
        /// Context length of the pre-training, in tokens.
        original_max_position_embeddings: usize,
        /// The stretched context, in tokens.
        max_position_embeddings: usize,
    },
    /// Only the first pairs turn, with the frequencies that they have among all of them.
    Proportional {
        /// Divisor of the frequencies.
        factor: f64,
        /// The part of the pairs that turns.
        partial_rotary_factor: f64,
    },
}

impl RopeScaling {
    /// Reads the fields of `rope_scaling`; `config` is the object around it.
    pub(crate) fn read(config: &Object, scaling: &Object) -> crate::Result<Self> {
        let field = if scaling.get("rope_type").is_some() {
            "rope_type"
        } else {
            "type"
        };
        let required = |name: &str| scaling.required(name, scaling.positive(name)?);
        let positive = |name: &str, usual: f64| {
            Ok::<f64, crate::Error>(scaling.positive(name)?.unwrap_or(usual))
        };
        let original = || {
            let name = "original_max_position_embeddings";
            let own = scaling.size(name, MAX_POSITIONS)?;
            Ok::<_, crate::Error>(own.or(config.size(name, MAX_POSITIONS)?))
        };
        let longest = || {
            let name = "max_position_embeddings";
            config.required(name, config.size(name, MAX_POSITIONS)?)
        };
        match scaling.string(field)? {
            None if scaling.get("factor").is_none() => Ok(RopeScaling::Default),
            None => Err(scaling.bad("rope_type", "is missing")),
            // Sections of positions in pictures; text has the same position in each.
            Some("default" | "mrope") => Ok(RopeScaling::Default),
            Some("linear") => Ok(RopeScaling::Linear {
                factor: required("factor")?,
            }),
            Some("dynamic") => Ok(RopeScaling::Dynamic {
                factor: required("factor")?,
                max_position_embeddings: longest()?,
            }),
            Some("llama3") => {
                let low_freq_factor = positive("low_freq_factor", 1.0)?;
                let high_freq_factor = positive("high_freq_factor", 4.0)?;
                if high_freq_factor <= low_freq_factor {
                    return Err(scaling.bad(
                        "high_freq_factor",
                        format!("is {high_freq_factor}; must be above low_freq_factor = {low_freq_factor}"),
                    ));
                }
                Ok(RopeScaling::Llama3 {
                    factor: required("factor")?,
                    low_freq_factor,
                    high_freq_factor,
                    original_max_position_embeddings: scaling
                        .required("original_max_position_embeddings", original()?)?,
                })
            }
            Some("yarn" | "deepseek_yarn") => Ok(RopeScaling::Yarn {
                factor: required("factor")?,
                beta_fast: positive("beta_fast", 32.0)?,
                beta_slow: positive("beta_slow", 1.0)?,
                mscale: positive("mscale", 1.0)?,
                mscale_all_dim: scaling.float("mscale_all_dim")?.unwrap_or(0.0),
                original_max_position_embeddings: original()?.unwrap_or(4096),
            }),
            Some("longrope" | "su") => Ok(RopeScaling::LongRope {
                long_factor: scaling.required("long_factor", scaling.floats("long_factor")?)?,
                original_max_position_embeddings: scaling
                    .required("original_max_position_embeddings", original()?)?,
                max_position_embeddings: longest()?,
            }),
            Some("proportional") => Ok(RopeScaling::Proportional {
                factor: positive("factor", 1.0)?,
                partial_rotary_factor: positive("partial_rotary_factor", 1.0)?,
            }),
            Some(_) => Err(scaling.unsupported(
                field,
                "default, linear, dynamic, llama3, yarn, longrope, proportional",
            )),
        }
    }

    /// What attention's scale is multiplied by: YaRN's `mscale_all_dim`, squared.
    ///
    /// ```
    /// use olivine_lm::layers::RopeScaling;
    /// assert_eq!(RopeScaling::Linear { factor: 8.0 }.attention_factor(), 1.0);
    /// ```
    pub fn attention_factor(&self) -> f64 {
        match *self {
            RopeScaling::Yarn {
                factor,
                mscale_all_dim,
                ..
            } if mscale_all_dim != 0.0 => yarn_scale(factor, mscale_all_dim).powi(2),
            _ => 1.0,
        }
    }
}

fn yarn_scale(factor: f64, weight: f64) -> f64 {
    if factor <= 1.0 {
        1.0
    } else {
        0.1 * weight * factor.ln() + 1.0
    }
}

/// Turns pairs of a head's elements by angles that grow with the position.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{Array, Dtype};
/// use olivine_lm::layers::{Rope, RopeScaling};
/// let rope = Rope::new(8, 10_000.0, false, &RopeScaling::Default)?;
/// let heads = Array::ones([1, 2, 3, 8], Dtype::Float32)?; // batch, heads, tokens, size
/// assert_eq!(rope.apply(&heads, 0)?.shape(), heads.shape());
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone)]
pub struct Rope {
    options: RopeOptions,
    /// Multiplies the turned elements.
    factor: f32,
    dynamic: Option<Dynamic>,
}

#[derive(Clone, Copy)]
struct Dynamic {
    base: f64,
    factor: f64,
    trained: usize,
}

impl Rope {
    /// Turns the first `dims` elements of each head with frequencies that fall from 1 to about
    /// `1 / theta`; `traditional` pairs neighbours instead of halves.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::layers::{Rope, RopeScaling};
    /// assert!(Rope::new(8, 10_000.0, true, &RopeScaling::Linear { factor: 2.0 }).is_ok());
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn new(dims: usize, theta: f64, traditional: bool, scaling: &RopeScaling) -> Result<Self> {
        let half = dims / 2;
        let period = |i: usize| theta.powf(i as f64 / half as f64);
        let periods = |of: &dyn Fn(usize) -> f64| -> Result<RopeFrequencies> {
            let periods: Vec<f32> = (0..half).map(|i| of(i) as f32).collect();
            Ok(RopeFrequencies::Wavelengths(Array::from_slice(
                &periods,
                [half],
            )?))
        };
        let mut options = RopeOptions {
            traditional,
            frequencies: RopeFrequencies::Base(theta as f32),
            ..RopeOptions::new(dims)
        };
        let (mut factor, mut dynamic) = (1.0, None);
        match scaling {
            RopeScaling::Default => {}
            RopeScaling::Linear { factor } => options.scale = (1.0 / factor) as f32,
            &RopeScaling::Dynamic {
                factor,
                max_position_embeddings: trained,
            } => {
                dynamic = Some(Dynamic {
                    base: theta,
                    factor,
                    trained,
                });
            }
            &RopeScaling::Llama3 {
                factor,
                low_freq_factor,
                high_freq_factor,
                original_max_position_embeddings,
            } => {
                options.frequencies = periods(&|i| {
                    let turns = original_max_position_embeddings as f64 / (period(i) * TAU);
                    // Fast rotations stay, slow ones stretch by `factor`, and those between blend.
                    let kept = ((turns - low_freq_factor) / (high_freq_factor - low_freq_factor))
                        .clamp(0.0, 1.0);
                    period(i) / (kept + (1.0 - kept) / factor)
                })?;
            }
            &RopeScaling::Yarn {
                factor: stretch,
                beta_fast,
                beta_slow,
                mscale,
                mscale_all_dim,
                original_max_position_embeddings: context,
            } => {
                // The place, among pairs, of the frequency that turns so often in the context.
                let place = |turns: f64| {
                    dims as f64 * (context as f64 / (turns * TAU)).ln() / (2.0 * theta.ln())
                };
                let low = place(beta_fast).floor().max(0.0);
                let high = place(beta_slow).ceil().min(dims as f64 - 1.0);
                let width = if low == high { 0.001 } else { high - low };
                options.frequencies = periods(&|i| {
                    let stretched = ((i as f64 - low) / width).clamp(0.0, 1.0);
                    period(i) / (1.0 - stretched + stretched / stretch)
                })?;
                factor = yarn_scale(stretch, mscale) / yarn_scale(stretch, mscale_all_dim);
            }
            RopeScaling::LongRope {
                long_factor,
                original_max_position_embeddings: original,
                max_position_embeddings: longest,
            } => {
                if long_factor.len() != half {
                    let reason =
                        format!("long_factor has {} numbers, not {half}", long_factor.len());
                    return Err(olivine_core::Error::Argument { op: "rope", reason });
                }
                options.frequencies = periods(&|i| long_factor[i] * period(i))?;
                let stretch = *longest as f64 / *original as f64;
                if stretch > 1.0 {
                    factor = (1.0 + stretch.ln() / (*original as f64).ln()).sqrt();
                }
            }
            &RopeScaling::Proportional {
                factor,
                partial_rotary_factor,
            } => {
                let turned = (dims as f64 * partial_rotary_factor) as usize / 2;
                options.frequencies = periods(&|i| {
                    if i < turned {
                        factor * period(i)
                    } else {
                        f64::INFINITY
                    }
                })?;
            }
        }
        Ok(Rope {
            options,
            factor: factor as f32,
            dynamic,
        })
    }

    /// Turns heads (batch, heads, tokens, size), the first of which has position `offset`.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// use olivine_lm::layers::{Rope, RopeScaling};
    /// let rope = Rope::new(2, 10_000.0, false, &RopeScaling::Default)?;
    /// // The first position does not turn.
    /// let head = array!([[[[1.0, 2.0]]]]);
    /// assert_eq!(rope.apply(&head, 0)?.to_vec::<f32>()?, [1.0, 2.0]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn apply(&self, heads: &Array, offset: usize) -> Result<Array> {
        let mut options = RopeOptions {
            offset: RopeOffset::At(offset as i32),
            ..self.options.clone()
        };
        if let Some(Dynamic {
            base,
            factor,
            trained,
        }) = self.dynamic
        {
            let dims = options.dims as f64;
            let length = (heads.dim(-2)? + offset).max(trained) as f64;
            let growth = factor * length / trained as f64 - (factor - 1.0);
            let base = base * growth.powf(dims / (dims - 2.0));
            options.frequencies = RopeFrequencies::Base(base as f32);
        }
        if self.factor == 1.0 {
            return rope(heads, &options);
        }
        let dims = options.dims;
        if heads.dim(-1)? == dims {
            return rope(&heads.multiply(self.factor)?, &options);
        }
        let (turned, rest) = (
            heads.index((.., .., .., ..dims))?,
            heads.index((.., .., .., dims..))?,
        );
        rope(
            &concatenate(&[turned.multiply(self.factor)?, rest], -1)?,
            &options,
        )
    }

    /// The dtype-independent number of elements that turn.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::layers::{Rope, RopeScaling};
    /// assert_eq!(Rope::new(8, 10_000.0, false, &RopeScaling::Default)?.dims(), 8);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn dims(&self) -> usize {
        self.options.dims
    }
}

impl std::fmt::Debug for Rope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Rope(dims={})", self.options.dims)
    }
}
