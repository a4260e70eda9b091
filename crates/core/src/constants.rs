//! Owns the numbers that programs name.

/// The base of the natural logarithm.
pub const E: f64 = std::f64::consts::E;
/// The limit of the harmonic numbers less the logarithm, γ.
pub const EULER_GAMMA: f64 = 0.577_215_664_901_532_9;
/// Infinity.
pub const INF: f64 = f64::INFINITY;
/// Not a number.
pub const NAN: f64 = f64::NAN;
/// Half of a circle by its radius, π.
pub const PI: f64 = std::f64::consts::PI;
