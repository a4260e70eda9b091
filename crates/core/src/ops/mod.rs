//! Owns the operations: one file per op or family, and the list of all of them.
//!
//! The module list below is the only list of ops: each module contributes its [`OpInfo`] entries
//! to [`ops`], from which documentation, tests and bindings are made.

pub mod aliases;
pub mod dynamic_slice;
mod info;
pub mod linear_scan;
pub mod scalar;
pub mod view;

pub use info::{Domain, Family, Gradient, Input, OpInfo, Sample, SampleCall};

/// Declares the op modules and collects their entries.
macro_rules! op_modules {
    ($($(#[$doc:meta])* $module:ident),* $(,)?) => {
        $($(#[$doc])* pub mod $module;)*

        /// Every public operation, in the order of the modules that own them.
        ///
        /// ```
        /// assert!(olivine_core::ops::ops().iter().any(|op| op.name == "softmax"));
        /// ```
        pub fn ops() -> &'static [OpInfo] {
            static OPS: std::sync::LazyLock<Vec<OpInfo>> = std::sync::LazyLock::new(|| {
                let mut ops = scalar::ops();
                ops.extend(view::ops());
                $(ops.extend($module::ops());)*
                let aliases = aliases::entries(&ops);
                ops.extend(aliases);
                ops
            });
            &OPS
        }
    };
}

op_modules! {
    /// A step of the AdamW optimiser.
    adamw,
    /// Evenly spaced numbers.
    arange,
    /// The positions of extrema.
    arg_reduce,
    /// Fitting arrays to each other.
    arrange,
    /// Patterns of steps through memory.
    as_strided,
    /// Updates of selected elements.
    at,
    /// Comparing arrays as wholes, and bounds.
    compare,
    /// Matrix products with masked blocks.
    block_masked_mm,
    /// Joining arrays.
    concatenate,
    /// Convolutions.
    conv,
    /// Arrays made from nothing.
    creation,
    /// Functions with rules given by hand.
    custom,
    /// Arrays that are read when they are evaluated.
    deferred,
    /// Short compositions of scalar functions.
    derived,
    /// Diagonals.
    diagonal,
    /// Facts about dtypes.
    dtypes,
    /// Einstein summation.
    einsum,
    /// Fused building blocks of neural networks.
    fast,
    /// Running sums, products and extrema.
    cumulative,
    /// Runs of scalar math in one call.
    fused,
    /// Fourier transforms.
    fft,
    /// Reading by position.
    gather,
    /// Products of chosen matrices.
    gather_mm,
    /// The Walsh–Hadamard transform.
    hadamard,
    /// Indexing by positions, ranges and arrays.
    index,
    /// What only depends on shapes.
    like,
    /// Linear algebra.
    linalg,
    /// The logarithm of a sum of exponentials.
    logsumexp,
    /// Matrix products.
    matmul,
    /// Medians, and compositions with two results.
    numbers,
    /// Random numbers.
    random,
    /// Borders.
    pad,
    /// Products of vectors and over chosen axes.
    products,
    /// Numbers in few bits.
    quantized,
    /// Sums, products, extrema and truth over axes.
    reduce,
    /// Bits as another dtype.
    reinterpret,
    /// Repetition.
    repeat,
    /// Writing by position.
    scatter,
    /// Positions in sorted vectors.
    searchsorted,
    /// Matrix products of segments.
    segmented_mm,
    /// Writing into a slice.
    slice_update,
    /// The softmax function.
    softmax,
    /// Orders.
    sort,
    /// Cutting arrays.
    split,
    /// The identity that gradients do not pass.
    stop_gradient,
    /// Distinct elements.
    unique,
    /// Windows for signals.
    windows,
}
