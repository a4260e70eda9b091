//! Owns perplexity: how well a model foresees a text.

use olivine_core::{Array, Dtype, fast::cross_entropy};

use crate::{Error, LanguageModel, Result, Sequences};

/// What has been measured of a text.
///
/// ```
/// use olivine_lm::PerplexityMeasure;
/// // Ten tokens, each as likely as one of four.
/// let ln4 = 4f64.ln();
/// let measured = PerplexityMeasure { tokens: 10, loss: 10.0 * ln4, squares: 10.0 * ln4 * ln4 };
/// assert!((measured.value() - 4.0).abs() < 1e-9);
/// assert!(measured.standard_error() < 1e-6);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PerplexityMeasure {
    /// The tokens that were foreseen, more or less.
    pub tokens: usize,
    /// The sum of their losses, in nats.
    pub loss: f64,
    /// The sum of the squares of their losses.
    pub squares: f64,
}

impl PerplexityMeasure {
    /// The perplexity: from so many equally likely tokens the right one would have to be guessed.
    ///
    /// ```
    /// use olivine_lm::PerplexityMeasure;
    /// assert!(PerplexityMeasure::default().value().is_nan());
    /// ```
    pub fn value(&self) -> f64 {
        (self.loss / self.tokens as f64).exp()
    }

    /// The standard error of the perplexity, as if tokens were independent.
    ///
    /// ```
    /// use olivine_lm::PerplexityMeasure;
    /// let measured = PerplexityMeasure { tokens: 2, loss: 2.0, squares: 4.0 };
    /// assert!(measured.standard_error() > 1.0);
    /// ```
    pub fn standard_error(&self) -> f64 {
        let (count, mean) = (self.tokens as f64, self.loss / self.tokens as f64);
        let variance = (self.squares / count - mean * mean).max(0.0);
        self.value() * (variance / (count - 1.0).max(1.0)).sqrt()
    }
}

/// Measures how well a model foresees tokens, in pieces of `length` that are read `batch` at a
/// time, each without the others; what is left at the end is not read.
///
/// `progress` is told the pieces read, all pieces, and the perplexity so far; false stops.
///
/// # Errors
/// Too few tokens for one piece, tokens outside the vocabulary, a piece of less than two tokens.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_lm::{ModelFolder, models, perplexity};
/// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
/// let model = models::load(&ModelFolder::open(path)?)?;
/// let tokens: Vec<u32> = (0..64).collect();
/// let measured = perplexity(&*model, &tokens, 32, 2, &mut |_, _, _| true)?;
/// assert_eq!(measured.tokens, 2 * 31);
/// assert!(measured.value() > 1.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn perplexity(
    model: &dyn LanguageModel,
    tokens: &[u32],
    length: usize,
    batch: usize,
    progress: &mut dyn FnMut(usize, usize, f64) -> bool,
) -> Result<PerplexityMeasure> {
    let option = |option, value: usize, expected| Error::Option {
        option,
        value: value.to_string(),
        expected,
    };
    if length < 2 {
        return Err(option("length", length, "2 or more"));
    }
    if tokens.len() < length {
        return Err(option(
            "length",
            length,
            "at most the number of tokens in the text",
        ));
    }
    crate::generate::check(tokens, model.vocab_size())?;
    let all = tokens.len() / length;
    let mut measured = PerplexityMeasure::default();
    let mut done = 0;
    while done < all {
        let rows = batch.clamp(1, all - done);
        let piece = &tokens[done * length..(done + rows) * length];
        let piece = Array::from_slice(piece, [rows, length])?;
        let seen = piece.index((.., ..-1))?;
        let logits = model.logits(&model.hidden(&seen, &mut Sequences::forgotten())?)?;
        let losses = cross_entropy(&logits.astype(Dtype::Float32)?, &piece.index((.., 1..))?)?;
        for loss in losses.to_vec::<f32>()?.into_iter().map(f64::from) {
            measured.tokens += 1;
            measured.loss += loss;
            measured.squares += loss * loss;
        }
        done += rows;
        if !progress(done, all, measured.value()) {
            break;
        }
    }
    Ok(measured)
}
