//! Owns the weights of recordings, which `gen_models.py` derives from the names of tensors, too.

use olivine_core::Array;

/// The tensor of a name: noise from -1 to 1 by SplitMix64, started at a hash of the name.
pub(crate) fn tensor(
    name: &str,
    seed: u64,
    (shape, offset, scale): &(Vec<usize>, f32, f32),
) -> Array {
    let start = format!("{seed}:{name}")
        .bytes()
        .fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3)
        });
    let count: usize = shape.iter().product();
    let noise = (1..=count as u64).map(|i| {
        let mut x = start.wrapping_add(i.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        x ^= x >> 31;
        ((x >> 40) as f64 / f64::from(1 << 23) - 1.0) as f32
    });
    let values: Vec<f32> = noise.map(|noise| offset + scale * noise).collect();
    Array::from_slice(&values, &shape[..]).unwrap()
}
