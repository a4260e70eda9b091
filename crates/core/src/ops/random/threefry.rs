//! Owns the Threefry-2x32 block function and the order in which its blocks fill memory.

/// Encrypts a counter under a key in twenty rounds: 64 bits that look random.
///
/// Source: Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3" (2011).
///
/// ```
/// use olivine_core::random::threefry2x32;
/// assert_eq!(threefry2x32([0, 0], [0, 0]), [0x6b20_0159, 0x99ba_4efe]);
/// ```
#[inline(always)]
pub const fn threefry2x32(key: [u32; 2], counter: [u32; 2]) -> [u32; 2] {
    const ROTATIONS: [[u32; 4]; 2] = [[13, 15, 26, 6], [17, 29, 16, 24]];
    const PARITY: u32 = 0x1BD1_1BDA;
    let schedule = [key[0], key[1], key[0] ^ key[1] ^ PARITY];
    let mut a = counter[0].wrapping_add(schedule[0]);
    let mut b = counter[1].wrapping_add(schedule[1]);
    let mut group = 0;
    while group < 5 {
        let mut round = 0;
        while round < 4 {
            a = a.wrapping_add(b);
            b = b.rotate_left(ROTATIONS[group % 2][round]) ^ a;
            round += 1;
        }
        a = a.wrapping_add(schedule[(group + 1) % 3]);
        b = b
            .wrapping_add(schedule[(group + 2) % 3])
            .wrapping_add(group as u32 + 1);
        group += 1;
    }
    [a, b]
}

/// Writes the random words of `key` at positions `first..` of the first half of `count` words.
///
/// Word `i` of the first half and word `i` of the second half come from one block, so `low` and
/// `high` are equally long parts of the two halves. An odd count has one more word between the
/// halves; see [`middle_word`].
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::random::{self, fill_halves, key};
/// let (mut low, mut high) = ([0; 1], [0; 1]);
/// fill_halves([0, 0], 2, 0, &mut low, &mut high);
/// let words = random::Bits::new([2]).key(&key(0)).sample()?;
/// assert_eq!(words.to_vec::<u32>()?, [low[0], high[0]]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[inline(always)]
pub fn fill_halves(key: [u32; 2], count: usize, first: usize, low: &mut [u32], high: &mut [u32]) {
    let second = (count / 2 + count % 2) as u32;
    for (i, (a, b)) in low.iter_mut().zip(high).enumerate() {
        let i = (first + i) as u32;
        [*a, *b] = threefry2x32(key, [i, second.wrapping_add(i)]);
    }
}

/// The word between the halves of an odd number of words.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::random::{self, middle_word};
/// // Of three words, the middle one.
/// let words = random::Bits::new([3]).key(&random::key(0)).sample()?;
/// assert_eq!(words.index(1)?.item::<u32>()?, middle_word([0, 0], 3));
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[inline]
pub const fn middle_word(key: [u32; 2], count: usize) -> u32 {
    threefry2x32(key, [(count / 2) as u32, 0])[0]
}

/// All `N` random words of a key.
pub(super) fn words<const N: usize>(key: [u32; 2]) -> [u32; N] {
    let mut words = [0; N];
    let (low, rest) = words.split_at_mut(N / 2);
    let (middle, high) = rest.split_at_mut(N % 2);
    fill_halves(key, N, 0, low, high);
    middle.fill(middle_word(key, N));
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_match_the_published_test_vectors() {
        let ones = u32::MAX;
        assert_eq!(
            threefry2x32([ones, ones], [ones, ones]),
            [0x1cb9_96fc, 0xbb00_2be7]
        );
        assert_eq!(
            threefry2x32([0x1319_8a2e, 0x0370_7344], [0x243f_6a88, 0x85a3_08d3]),
            [0xc492_3a9c, 0x483d_f7a0]
        );
    }
}
