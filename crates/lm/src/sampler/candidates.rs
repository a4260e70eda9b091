//! Owns the tokens still in the running, the filters that narrow them down, and the draw among them.
//!
//! Filters find a threshold by partial selection, in a few passes over the vocabulary: nothing is sorted
//! but the tokens around a threshold.

use std::collections::HashSet;

use super::weights::{BLOCK, at_least, copy, greatest, most, weigh};

/// Tokens with their logits, in the order of their ids. The buffers are kept from step to step.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    /// The ids, unless every token of the vocabulary is still there.
    tokens: Vec<u32>,
    narrowed: bool,
    pub(super) logits: Vec<f32>,
    most: f32,
    weights: Vec<f32>,
    sums: Vec<f64>,
    /// The weight of all tokens before Mirostat's cut.
    whole: f64,
    /// The slope that the weights were computed with, while they are those of the logits.
    slope: Option<f32>,
}

impl Candidates {
    /// Starts over with a whole vocabulary: NaN is impossible, and if anything is infinite, only the
    /// infinite ones are possible, all alike. Returns whether anything is possible.
    pub(super) fn start(&mut self, logits: &[f32]) -> bool {
        self.narrowed = false;
        self.slope = None;
        self.most = copy(logits, &mut self.logits);
        if self.most == f32::INFINITY {
            for logit in &mut self.logits {
                *logit = if *logit == f32::INFINITY {
                    0.0
                } else {
                    f32::NEG_INFINITY
                };
            }
            self.most = 0.0;
        }
        self.most > f32::NEG_INFINITY
    }

    /// Notes that logits were changed from outside; returns whether anything is possible still.
    pub(super) fn changed(&mut self) -> bool {
        self.slope = None;
        self.most = most(&self.logits);
        self.most > f32::NEG_INFINITY
    }

    /// The logarithm of what turns weights into probabilities.
    pub(super) fn log_total(&mut self) -> f64 {
        self.weigh(1.0);
        libm::log(self.total()) + f64::from(self.most)
    }

    /// The first of the likeliest tokens.
    pub(super) fn likeliest(&self) -> u32 {
        let place = self.logits.iter().position(|&logit| logit == self.most);
        place.map_or(0, |place| self.token(place))
    }

    fn token(&self, place: usize) -> u32 {
        if self.narrowed {
            self.tokens[place]
        } else {
            place as u32
        }
    }

    fn weigh(&mut self, slope: f32) {
        if self.slope != Some(slope) {
            weigh(
                &self.logits,
                self.most,
                slope,
                &mut self.weights,
                &mut self.sums,
            );
            self.slope = Some(slope);
        }
    }

    fn total(&self) -> f64 {
        self.sums.iter().sum()
    }

    /// Keeps only what `keep` says of a place.
    fn retain(&mut self, mut keep: impl FnMut(usize) -> bool) {
        let kept: Vec<usize> = (0..self.logits.len())
            .filter(|&place| keep(place))
            .collect();
        self.select(&kept);
    }

    /// Keeps only these places, which are in order.
    fn select(&mut self, places: &[usize]) {
        let tokens = places.iter().map(|&place| self.token(place)).collect();
        for (to, &from) in places.iter().enumerate() {
            self.logits[to] = self.logits[from];
        }
        self.logits.truncate(places.len());
        self.tokens = tokens;
        self.narrowed = true;
        self.slope = None;
        self.most = most(&self.logits);
    }

    /// Keeps only logits of at least `floor`, which is above negative infinity.
    fn keep_from(&mut self, floor: f32) {
        let mut places = Vec::new();
        at_least(&self.logits, floor, |place, _| {
            places.push(place);
            floor
        });
        self.select(&places);
    }

    /// Keeps the tokens whose surprise is closest to the expected one.
    pub(super) fn typical(&mut self, mass: f32) {
        if mass >= 1.0 {
            return;
        }
        self.weigh(1.0);
        let (most, total) = (self.most, self.total());
        let possible = self.weights.iter().zip(&self.logits);
        let possible = possible.filter(|(weight, _)| **weight > 0.0);
        let expected: f64 = possible
            .clone()
            .map(|(&weight, &logit)| f64::from(weight) * f64::from(logit - most))
            .sum();
        // How far the logarithm of a probability is from its mean; the total's logarithm cancels.
        let expected = (expected / total) as f32;
        let closeness = |logit: f32| -(logit - most - expected).abs();
        let pairs: Vec<(f32, f32)> = possible
            .map(|(&weight, &logit)| (closeness(logit), weight))
            .collect();
        let floor = least_key_reaching(&pairs, f64::from(mass) * total);
        let logits = std::mem::take(&mut self.logits);
        let kept: Vec<usize> = (0..logits.len())
            .filter(|&place| self.weights[place] > 0.0 && closeness(logits[place]) >= floor)
            .collect();
        self.logits = logits;
        self.select(&kept);
    }

    /// Keeps the fewest tokens that together reach a share of the probability; ties stay.
    pub(super) fn top_p(&mut self, share: f32) {
        if share >= 1.0 {
            return;
        }
        self.weigh(1.0);
        let total = self.total();
        let target = f64::from(share) * total;
        // Tokens lighter than this, were they all of them, would not make up the rest.
        let lightest = (total * (1.0 - f64::from(share)) / self.logits.len() as f64 * 0.999) as f32;
        // Mostly far fewer are enough.
        let mut light = (total * 1e-3) as f32;
        let mut pairs = Vec::new();
        loop {
            light = light.max(lightest);
            pairs.clear();
            let mut mass = 0.0;
            at_least(&self.weights, light, |place, weight| {
                pairs.push((self.logits[place], weight));
                mass += f64::from(weight);
                light
            });
            if mass >= target || light == lightest {
                break;
            }
            light /= 64.0;
        }
        let floor = least_key_reaching(&pairs, target);
        self.keep_from(floor.max(f32::MIN));
    }

    /// Keeps tokens at least this likely in relation to the likeliest.
    pub(super) fn min_p(&mut self, share: f32) {
        if share > 0.0 {
            self.keep_from(self.most + libm::logf(share));
        }
    }

    /// Excludes the top choices: of the tokens above a probability only the least likely stays, and
    /// special tokens always do.
    pub(super) fn xtc(&mut self, threshold: f32, special: &HashSet<u32>) {
        self.weigh(1.0);
        let above = (f64::from(threshold) * self.total()) as f32;
        let choices = self.weights.iter().filter(|&&weight| weight > above);
        let least = choices.copied().fold(f32::INFINITY, f32::min);
        let weights = std::mem::take(&mut self.weights);
        let tokens = std::mem::take(&mut self.tokens);
        let narrowed = self.narrowed;
        let token = |place: usize| {
            if narrowed {
                tokens[place]
            } else {
                place as u32
            }
        };
        let kept: Vec<usize> = (0..self.logits.len())
            .filter(|&place| weights[place] <= least || special.contains(&token(place)))
            .collect();
        self.weights = weights;
        self.tokens = tokens;
        self.select(&kept);
    }

    /// Keeps exactly this many of the likeliest; of equal ones those with the lowest ids.
    pub(super) fn top_k(&mut self, count: usize) {
        if (1..self.logits.len()).contains(&count) {
            let found = greatest(&self.logits, count);
            let mut places: Vec<usize> = found.into_iter().map(|(place, _)| place).collect();
            places.sort_unstable();
            self.select(&places);
        }
    }

    /// Divides the logits by the temperature.
    pub(super) fn temper(&mut self, temperature: f32) {
        // As a slope of the exponential, which only matters to what comes after.
        self.weigh(1.0 / temperature);
    }

    /// Keeps tokens of at most this surprise in bits, and at least the likeliest.
    pub(super) fn surprise_at_most(&mut self, bits: f64) {
        let slope = self.slope.unwrap_or(1.0);
        self.weigh(slope);
        self.whole = self.total();
        let least = (libm::exp2(-bits) * self.whole).min(1.0) as f32;
        let weights = std::mem::take(&mut self.weights);
        self.retain(|place| weights[place] >= least);
        self.weigh(slope);
    }

    /// The surprise of a token in bits, as it was before the cut.
    pub(super) fn surprise(&self, token: u32) -> f64 {
        -libm::log2(f64::from(self.weight_of(token)) / self.whole)
    }

    fn weight_of(&self, token: u32) -> f32 {
        let place = if self.narrowed {
            self.tokens.binary_search(&token).ok()
        } else {
            Some(token as usize)
        };
        place
            .and_then(|place| self.weights.get(place))
            .copied()
            .unwrap_or(0.0)
    }

    /// The token at a place between 0 and 1 of all that are left, each as long as it is likely.
    pub(super) fn at(&mut self, place: f64) -> u32 {
        self.weigh(self.slope.unwrap_or(1.0));
        let mut rest = place * self.total();
        let mut last = None;
        for (block, &sum) in self.sums.iter().enumerate() {
            if rest >= sum && block + 1 < self.sums.len() {
                rest -= sum;
                continue;
            }
            let weights = &self.weights[block * BLOCK..];
            for (inside, &weight) in weights.iter().enumerate() {
                if weight > 0.0 {
                    last = Some(block * BLOCK + inside);
                    rest -= f64::from(weight);
                    if rest < 0.0 {
                        break;
                    }
                }
            }
            break;
        }
        // What rounding pushes past the end belongs to the last that is possible.
        last.map_or_else(|| self.likeliest(), |place| self.token(place))
    }

    /// Every token that is possible still, with its probability.
    pub(super) fn probabilities(&mut self) -> Vec<(u32, f32)> {
        self.weigh(self.slope.unwrap_or(1.0));
        let total = self.total();
        let possible = self
            .weights
            .iter()
            .enumerate()
            .filter(|(_, weight)| **weight > 0.0);
        possible
            .map(|(place, &weight)| (self.token(place), (f64::from(weight) / total) as f32))
            .collect()
    }
}

/// The greatest key such that the pairs with this key or a greater one weigh at least `mass`.
fn least_key_reaching(pairs: &[(f32, f32)], mass: f64) -> f32 {
    const BINS: usize = 2048;
    let (least, most) = pairs
        .iter()
        .fold((f32::MAX, f32::MIN), |(least, most), &(key, _)| {
            let less = if key < least { key } else { least };
            (less, if key > most { key } else { most })
        });
    let scale = if most > least {
        BINS as f32 / (most - least)
    } else {
        0.0
    };
    let bin = |key: f32| (((most - key) * scale) as usize).min(BINS - 1);
    let mut bins = [0f64; BINS];
    for &(key, weight) in pairs {
        bins[bin(key)] += f64::from(weight);
    }
    let mut sum = 0.0;
    for (number, &weight) in bins.iter().enumerate() {
        if sum + weight < mass {
            sum += weight;
            continue;
        }
        let mut inside: Vec<(f32, f32)> = pairs
            .iter()
            .copied()
            .filter(|&(key, _)| bin(key) == number)
            .collect();
        inside.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
        for &(key, weight) in &inside {
            sum += f64::from(weight);
            if sum >= mass {
                return key;
            }
        }
        return inside.last().map_or(least, |&(key, _)| key);
    }
    least
}
