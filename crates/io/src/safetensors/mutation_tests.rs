//! Owns the proof that no file makes the reader panic: valid files, changed at random.

use super::samples::*;

/// SplitMix64: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
}

fn valid() -> Vec<u8> {
    let entries = [
        r#""__metadata__":{"format":"pt","käse":"\u00e9"}"#.to_owned(),
        tensor("a.weight", "F32", &[2, 3], [0, 24]),
        tensor("b", "I64", &[1], [24, 32]),
        tensor("c", "BF16", &[2, 0, 7], [32, 32]),
        tensor("d", "F16", &[3], [32, 38]),
        tensor("mask", "BOOL", &[2, 2], [38, 42]),
        tensor("e", "F8_E5M2", &[2], [42, 44]),
        tensor("scalar", "U8", &[], [44, 45]),
    ];
    let data: Vec<u8> = (0..45).map(|i| u8::from(i >= 38 && i % 2 == 0)).collect();
    aligned_file(&header(&entries), &data)
}

/// Changes that have a chance to leave the file readable to some depth.
fn mutate(file: &mut Vec<u8>, random: &mut Random) {
    const TOKENS: [&[u8]; 16] = [
        b"0",
        b"18446744073709551615",
        b"9223372036854775808",
        b"-1",
        b"1e3",
        b"{",
        b"}",
        b"[",
        b"]",
        b"\"",
        b",",
        b":",
        b"BOOL",
        b"C64",
        b"\\u0000",
        b"\xff",
    ];
    if file.is_empty() {
        file.push(random.next() as u8);
        return;
    }
    let at = random.below(file.len());
    match random.below(8) {
        0 => file[at] ^= 1 << random.below(8),
        1 => file[at] = random.next() as u8,
        2 => file.truncate(at),
        3 => drop(file.remove(at)),
        4 => file.insert(at, random.next() as u8),
        5 => {
            let token = TOKENS[random.below(TOKENS.len())];
            let end = (at + random.below(token.len() + 1)).min(file.len());
            file.splice(at..end, token.iter().copied());
        }
        6 => {
            // Digits: other sizes and offsets in a header that stays valid JSON.
            let digits: Vec<usize> = (8..file.len())
                .filter(|&i| file[i].is_ascii_digit())
                .collect();
            if !digits.is_empty() {
                file[digits[random.below(digits.len())]] = b'0' + random.below(10) as u8;
            }
        }
        _ => {
            let end = (at + random.below(40)).min(file.len());
            let copy = file[at..end].to_vec();
            let to = random.below(file.len());
            file.splice(to..to, copy);
        }
    }
    // Most changes move the header's end; set its length right half of the time, to get past it.
    if file.len() > 8 && random.below(2) == 0 {
        let end = file.iter().rposition(|&byte| byte == b'}').unwrap_or(0);
        let length = (end + 1).saturating_sub(8) as u64;
        file[..8].copy_from_slice(&length.to_le_bytes());
    }
}

/// Uses all of a file that opens; returns whether it did.
fn exercise(bytes: &[u8]) -> bool {
    let Ok(file) = open(bytes) else { return false };
    for name in file.names() {
        let info = file.info(name).unwrap();
        if let Ok(array) = file.array(name) {
            assert_eq!(array.shape(), info.shape);
            assert_eq!(array.nbytes(), info.bytes);
            assert_eq!(bytes_of(&array).len(), info.bytes);
        }
    }
    assert_eq!(file.arrays().len(), file.len());
    true
}

#[test]
fn random_changes_never_panic() {
    let rounds = if cfg!(miri) { 200 } else { 60_000 };
    let mut random = Random(7);
    let valid = valid();
    assert!(exercise(&valid));
    let mut opened = 0;
    for _ in 0..rounds {
        let mut file = valid.clone();
        for _ in 0..=random.below(3) {
            mutate(&mut file, &mut random);
        }
        opened += usize::from(exercise(&file));
    }
    // Otherwise the changes would only test the first check.
    assert!(
        opened > rounds / 200 && opened < rounds,
        "{opened} of {rounds} files opened"
    );
}

#[test]
fn every_prefix_is_an_error() {
    let valid = valid();
    // Miri takes seconds for each hundred.
    let step = if cfg!(miri) { 17 } else { 1 };
    for end in (0..valid.len()).step_by(step) {
        assert!(!exercise(&valid[..end]), "{end} of {} bytes", valid.len());
    }
}
