//! Owns what changes single logits before anything is filtered: biases and penalties.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::SamplerOptions;

/// The last `size` tokens, or all of them for 0.
fn recent(history: &[u32], size: usize) -> &[u32] {
    let size = if size == 0 { history.len() } else { size };
    &history[history.len().saturating_sub(size)..]
}

/// The distinct tokens among recent ones, and how often each occurs.
fn counts(history: &[u32], size: usize) -> HashMap<u32, u32> {
    let mut counts = HashMap::new();
    for &token in recent(history, size) {
        *counts.entry(token).or_insert(0) += 1;
    }
    counts
}

/// Adds to the logits of some tokens; those outside the vocabulary do not exist.
pub(super) fn bias(logits: &mut [f32], biases: &BTreeMap<u32, f32>) {
    for (&token, &bias) in biases {
        if let Some(logit) = logits.get_mut(token as usize) {
            *logit += bias;
        }
    }
}

/// Makes recent tokens less likely by a factor, whatever the sign of their logits.
pub(super) fn repetition(logits: &mut [f32], history: &[u32], options: &SamplerOptions) {
    let penalty = options.repetition_penalty;
    if penalty == 1.0 {
        return;
    }
    for token in counts(history, options.repetition_context_size).into_keys() {
        if let Some(logit) = logits.get_mut(token as usize) {
            *logit = if *logit < 0.0 {
                *logit * penalty
            } else {
                *logit / penalty
            };
        }
    }
}

/// Lowers recent tokens once, however often they occur.
pub(super) fn presence(logits: &mut [f32], history: &[u32], options: &SamplerOptions) {
    if options.presence_penalty == 0.0 {
        return;
    }
    for token in counts(history, options.presence_context_size).into_keys() {
        if let Some(logit) = logits.get_mut(token as usize) {
            *logit -= options.presence_penalty;
        }
    }
}

/// Lowers recent tokens for each time they occur.
pub(super) fn frequency(logits: &mut [f32], history: &[u32], options: &SamplerOptions) {
    if options.frequency_penalty == 0.0 {
        return;
    }
    for (token, count) in counts(history, options.frequency_context_size) {
        if let Some(logit) = logits.get_mut(token as usize) {
            *logit -= options.frequency_penalty * count as f32;
        }
    }
}

/// Lowers tokens that would continue a repetition: `multiplier * base^(length - allowed_length)`,
/// where `length` is that of the longest end of the history which the token followed before.
///
/// DRY is by p-e-w, <https://github.com/oobabooga/text-generation-webui/pull/5677>.
pub(super) fn dry(
    logits: &mut [f32],
    history: &[u32],
    options: &SamplerOptions,
    breakers: &HashSet<u32>,
) {
    if options.dry_multiplier == 0.0 {
        return;
    }
    for (token, length) in repetitions(recent(history, options.dry_range), breakers) {
        let Some(extra) = length.checked_sub(options.dry_allowed_length) else {
            continue;
        };
        if let Some(logit) = logits.get_mut(token as usize) {
            let penalty = options.dry_multiplier * libm::powf(options.dry_base, extra as f32);
            // Beyond this a token is as good as impossible, and sums stay finite.
            *logit -= penalty.min(1e9);
        }
    }
}

/// The tokens that followed an earlier copy of the history's end, with the longest such copy.
fn repetitions(history: &[u32], breakers: &HashSet<u32>) -> HashMap<u32, usize> {
    let mut longest = HashMap::new();
    let newest_first: Vec<u32> = history.iter().rev().copied().collect();
    let limit = newest_first
        .iter()
        .position(|token| breakers.contains(token))
        .unwrap_or(newest_first.len());
    for (place, length) in common_with_start(&newest_first).into_iter().enumerate() {
        let length = length.min(limit);
        if place == 0 || length == 0 {
            continue;
        }
        let next = newest_first[place - 1];
        if !breakers.contains(&next) {
            let known = longest.entry(next).or_insert(0);
            *known = length.max(*known);
        }
    }
    longest
}

/// For every place, how many tokens from there on are those of the beginning (the Z-function),
/// found in linear time.
fn common_with_start(tokens: &[u32]) -> Vec<usize> {
    let mut common = vec![0; tokens.len()];
    // The copy of the beginning that reaches furthest.
    let (mut start, mut end) = (0, 0);
    for place in 1..tokens.len() {
        let mut length = if place < end {
            common[place - start].min(end - place)
        } else {
            0
        };
        while tokens
            .get(place + length)
            .is_some_and(|token| *token == tokens[length])
        {
            length += 1;
        }
        if place + length > end {
            (start, end) = (place, place + length);
        }
        common[place] = length;
    }
    common
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repetitions_are_the_longest_copies_of_the_end() {
        // The end `1 2 3` occurs before 4, and its own end `2 3` before 9.
        let history = [1, 2, 3, 4, 2, 3, 9, 1, 2, 3];
        let found = repetitions(&history, &HashSet::new());
        assert_eq!(found, HashMap::from([(4, 3), (9, 2)]));
        // No copy reaches across a 2, and 9 does not follow as a breaker.
        let found = repetitions(&history, &HashSet::from([2]));
        assert_eq!(found, HashMap::from([(4, 1), (9, 1)]));
        assert_eq!(
            repetitions(&history, &HashSet::from([9, 1])),
            HashMap::from([(4, 2)])
        );
        assert!(repetitions(&history, &HashSet::from([3])).is_empty());
        assert!(repetitions(&[], &HashSet::new()).is_empty());
    }

    #[test]
    fn repetitions_agree_with_a_plain_search() {
        let mut state = 1u32;
        for _ in 0..200 {
            let history: Vec<u32> = (0..40)
                .map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (state >> 16) % 3
                })
                .collect();
            let mut plain: HashMap<u32, usize> = HashMap::new();
            for next in 1..history.len() {
                let length = (0..next)
                    .take_while(|&n| history[next - 1 - n] == history[history.len() - 1 - n])
                    .count();
                if length > 0 {
                    let known = plain.entry(history[next]).or_insert(0);
                    *known = length.max(*known);
                }
            }
            assert_eq!(repetitions(&history, &HashSet::new()), plain, "{history:?}");
        }
    }
}
