//! Owns where, and by how much, results may differ from the reference package's.

use olivine_core::{
    Dtype,
    ops::{Family, OpInfo, ops},
};

/// In place of a dtype: inputs without axes.
pub(crate) const RANK_0: &str = "rank 0";

/// What differs on purpose: the operation, the dtype of an input or [`RANK_0`], and why.
pub(crate) const DIFFERENCES: &[(&str, &str, &str)] = &[
    (
        "floor_divide",
        "complex64",
        "complex numbers have no floor; refused",
    ),
    (
        "logaddexp",
        "complex64",
        "complex numbers have no order to scale by; refused",
    ),
    (
        "isposinf",
        "complex64",
        "complex infinities have no sign; refused",
    ),
    (
        "isneginf",
        "complex64",
        "complex infinities have no sign; refused",
    ),
    ("sum", RANK_0, SCALAR),
    ("prod", RANK_0, SCALAR),
    ("floor_divide", "float16", ROUNDED),
    ("floor_divide", "bfloat16", ROUNDED),
    ("divmod", "float16", ROUNDED),
    ("divmod", "bfloat16", ROUNDED),
    ("cos", "float64", SINGLE),
    ("erf", "float64", SINGLE),
    ("erfinv", "float64", SINGLE),
    ("exp", "float64", SINGLE),
    ("logaddexp", "float64", SINGLE),
    ("sigmoid", "float64", SINGLE),
    ("sin", "float64", SINGLE),
    ("segmented_mm", "float16", MISPLACED),
    ("segmented_mm", "bfloat16", MISPLACED),
    ("logsumexp", "uint8", UNSIGNED),
    ("logsumexp", "uint16", UNSIGNED),
    ("logsumexp", "uint32", UNSIGNED),
    ("logsumexp", "uint64", UNSIGNED),
];

const MISPLACED: &str =
    "the reference's results for halves are not those of its own for the same numbers as float32";

const UNSIGNED: &str = "the reference subtracts the greatest element before it converts, and wraps";

const SCALAR: &str = "the reference keeps the dtype of a scalar that it would widen with axes";

const ROUNDED: &str =
    "the reference rounds the quotient, which may become zero, before it takes the floor";

const SINGLE: &str = "the reference computes it in single precision, and overflows as singles do";

/// Operations without cases, and why.
pub(crate) const NOT_ASKED: &[(&[&str], &str)] = &[
    (
        &["adamw", "asarray", "quantized_scaled_dot_product_attention"],
        "the reference's core has no such function",
    ),
    (
        &["gather_qqmm"],
        "the reference has it on graphics processors only",
    ),
    (
        &["empty", "empty_like"],
        "the reference says nothing of the values",
    ),
    (
        &["random.bits"],
        "the reference's is not public; the recorded draws have it",
    ),
    (
        &[
            "broadcast_shapes",
            "can_cast",
            "einsum_path",
            "finfo",
            "iinfo",
            "isdtype",
            "issubdtype",
            "result_type",
        ],
        "the answer is no array; the tests of promotion and of names compare them",
    ),
];

/// Operations that the reference computes in the dtype of its inputs and then widens.
const WIDENED: &[&str] = &["cross_entropy", "dequantize"];

/// The dtype whose steps a result is measured in: that which the reference computes in.
pub(crate) fn computed_in(op: &str, inputs: &[Dtype], result: Dtype) -> Dtype {
    let narrow = [Dtype::BFloat16, Dtype::Float16];
    let narrow = narrow.into_iter().find(|dtype| inputs.contains(dtype));
    narrow.filter(|_| WIDENED.contains(&op)).unwrap_or(result)
}

/// Reductions that the reference computes with exponentials of single precision, even in `float64`.
const SINGLE_REDUCTIONS: &[&str] = &["logcumsumexp", "logsumexp", "softmax"];

/// The list's entry for a Python name. Names have no module there, signatures do.
pub(crate) fn entry(op: &str) -> Option<&'static OpInfo> {
    let bare = op.strip_prefix("fast.").unwrap_or(op);
    ops()
        .iter()
        .find(|info| info.name == bare || info.signature.split('(').next() == Some(op))
}

/// How far a result near zero may lie from the reference's, unless its inputs say.
pub(crate) fn least(op: &str, dtype: Dtype) -> Option<f64> {
    let family = entry(op)?.family;
    if op == "logaddexp" || !matches!(family, Family::Unary | Family::Binary) {
        return None;
    }
    Some(match (op, dtype) {
        // The reference's is a short polynomial.
        ("erf", Dtype::Float32) => 1e-6,
        // Below the normal numbers digits may be lost.
        (_, Dtype::Float16) => 2f64.powi(-24),
        _ => f64::from(f32::MIN_POSITIVE) * 2f64.powi(-22),
    })
}

/// How many steps of the dtype a result may lie from the reference's.
pub(crate) fn slack(op: &str, dtype: Dtype) -> f64 {
    let family = entry(op).map(|info| info.family);
    let random = op.starts_with("random.");
    match (family, dtype) {
        (_, Dtype::Float64) if SINGLE_REDUCTIONS.contains(&op) => 64.0 * 2f64.powi(29),
        (Some(Family::Shape | Family::Sorting | Family::Elementwise), _) => 0.0,
        (Some(Family::Creation | Family::Indexing), _) => 4.0,
        _ if random => 64.0,
        // Errors grow with the condition of the matrix.
        _ if op.starts_with("linalg.") => 1024.0,
        // The reference adds up in halves, product by product.
        (_, Dtype::Float16 | Dtype::BFloat16)
            if matches!(op, "quantized_matmul" | "gather_qmm" | "qqmm") =>
        {
            128.0
        }
        // The reference rounds between the steps of halves.
        (_, Dtype::Float16 | Dtype::BFloat16) => 4.0,
        (Some(Family::Unary | Family::Binary), _) => 32.0,
        _ => 64.0,
    }
}
