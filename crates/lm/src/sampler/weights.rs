//! Owns the arithmetic on a whole vocabulary. Nothing here depends on the platform's mathematics,
//! so that a seed gives the same tokens everywhere.

/// Elements that are added to one sum before it is widened to `f64`.
pub(super) const BLOCK: usize = 1024;

/// Elements that a loop handles at once, so that the compiler uses vectors.
pub(super) const LANES: usize = 16;

/// `e^x` for `x` of 0 or less, exact to about one unit in the last place.
///
/// Only additions, products and bit patterns: their results are the same on every machine.
#[inline(always)]
fn exp(x: f32) -> f32 {
    // Adding and subtracting this rounds to whole numbers.
    const ROUND: f32 = 12_582_912.0;
    const LEAST: f32 = -87.0;
    let inside = if x > LEAST { x } else { LEAST };
    let shifted = inside * std::f32::consts::LOG2_E + ROUND;
    let whole = shifted - ROUND;
    // ln 2 in two parts, the first of which is exact in a product with a small whole number.
    let rest = (inside - whole * 0.693_359_4) + whole * 2.121_944_4e-4;
    let mut sum = 1.0 / 720.0;
    for factor in [1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        sum = sum * rest + factor;
    }
    // The whole number is in the lowest bits of the sum, from where it becomes an exponent.
    let scale = f32::from_bits(shifted.to_bits().wrapping_add(127) << 23);
    if x > LEAST { sum * scale } else { 0.0 }
}

/// Writes `exp((logit - most) * slope)` for every logit and adds it up: one sum for each block.
pub(super) fn weigh(
    logits: &[f32],
    most: f32,
    slope: f32,
    weights: &mut Vec<f32>,
    sums: &mut Vec<f64>,
) {
    weights.clear();
    weights.resize(logits.len(), 0.0);
    sums.clear();
    for (logits, weights) in logits.chunks(BLOCK).zip(weights.chunks_mut(BLOCK)) {
        for (weight, &logit) in weights.iter_mut().zip(logits) {
            *weight = exp((logit - most) * slope);
        }
        sums.push(sum(weights));
    }
}

/// The sum of a block in an order that depends on nothing but its length.
fn sum(block: &[f32]) -> f64 {
    let mut lanes = [0f32; LANES];
    let chunks = block.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, &value) in lanes.iter_mut().zip(chunk) {
            *lane += value;
        }
    }
    lanes
        .iter()
        .chain(rest)
        .map(|&value| f64::from(value))
        .sum()
}

/// Copies logits, with NaN made impossible, and returns the greatest.
pub(super) fn copy(logits: &[f32], into: &mut Vec<f32>) -> f32 {
    into.clear();
    into.extend(logits.iter().map(|&logit| {
        if logit.is_nan() {
            f32::NEG_INFINITY
        } else {
            logit
        }
    }));
    most(into)
}

/// The greatest of numbers that are not NaN.
pub(super) fn most(values: &[f32]) -> f32 {
    let greater = |a: f32, b: f32| if b > a { b } else { a };
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let chunks = values.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, &value) in lanes.iter_mut().zip(chunk) {
            *lane = greater(*lane, value);
        }
    }
    lanes
        .iter()
        .chain(rest)
        .copied()
        .fold(f32::NEG_INFINITY, greater)
}

/// Calls `visit` with the places and values that are at least `floor`, passing over the others
/// quickly; `visit` returns the floor from there on.
pub(super) fn at_least(values: &[f32], floor: f32, mut visit: impl FnMut(usize, f32) -> f32) {
    let mut floor = floor;
    for (chunk, first) in values.chunks(LANES).zip((0..).step_by(LANES)) {
        let passing = chunk.iter().map(|&value| u32::from(value >= floor));
        // Added up, not searched: this way whole registers are compared at a time.
        if passing.sum::<u32>() > 0 {
            for (place, &value) in (first..).zip(chunk) {
                if value >= floor {
                    floor = visit(place, value);
                }
            }
        }
    }
}

/// The `count` greatest values above negative infinity with their places, greatest first; of equal
/// ones the first.
pub(super) fn greatest(values: &[f32], count: usize) -> Vec<(usize, f32)> {
    let order = |a: &(usize, f32), b: &(usize, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
    let mut found: Vec<(usize, f32)> = Vec::new();
    if count == 0 {
        return found;
    }
    // Room for many more than are wanted, so that the list is cut down seldom.
    let room = count.saturating_mul(2).saturating_add(256);
    let mut floor = f32::MIN;
    at_least(values, floor, |place, value| {
        found.push((place, value));
        if found.len() == room {
            found.select_nth_unstable_by(count - 1, order);
            found.truncate(count);
            // What comes later and is only equal does not displace anything.
            floor = found[count - 1].1.next_up();
        }
        floor
    });
    if found.len() > count {
        found.select_nth_unstable_by(count - 1, order);
        found.truncate(count);
    }
    found.sort_unstable_by(order);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponential_is_close_to_the_exact_one() {
        let mut worst = 0f64;
        for step in 0..86_000 {
            let x = -(step as f32) / 1000.0;
            let exact = f64::from(x).exp();
            worst = worst.max((f64::from(exp(x)) - exact).abs() / exact);
        }
        assert!(worst < 3e-7, "{worst}");
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
    }

    #[test]
    fn the_exponential_has_these_bits_on_every_machine() {
        let bits: Vec<u32> = [-0.1, -1.0, -7.25, -33.3, -86.5]
            .map(|x| exp(x).to_bits())
            .to_vec();
        let recorded = [0x3f67a36d, 0x3ebc5ab2, 0x3a3a2b00, 0x2778b2ea, 0x0113bc74];
        assert_eq!(bits, recorded);
    }

    #[test]
    fn the_greatest_are_the_first_of_a_sorted_list() {
        let values: Vec<f32> = (0..5000u32).map(|i| ((i * 7919) % 1013) as f32).collect();
        let mut sorted: Vec<(usize, f32)> = values.iter().copied().enumerate().collect();
        sorted.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        for count in [0, 1, 5, 300, 4999, 5000, 9000] {
            assert_eq!(
                greatest(&values, count),
                sorted[..count.min(5000)],
                "{count}"
            );
        }
        assert!(greatest(&[f32::NEG_INFINITY; 3], 2).is_empty());
    }
}
