//! Owns the kernels: one file per operation, and the one list that registers them.

mod adamw;
mod arange;
mod arg_reduce;
mod as_strided;
mod attention;
pub(crate) mod binary;
pub(crate) mod cast;
mod concatenate;
mod conv;
pub(crate) mod copy;
mod cumulative;
mod dynamic_slice;
pub(crate) mod elementwise;
mod fft;
mod fused;
mod gated_delta;
mod gather;
mod gather_mm;
mod indices;
mod layer_norm;
mod linalg;
mod linear_scan;
mod logsumexp;
mod matmul;
mod merge;
mod movement;
mod norm;
mod quantized;
mod random_bits;
mod reduce;
mod reinterpret;
mod rms_norm;
mod rope;
mod row;
mod scalar;
mod scatter;
mod searchsorted;
mod segmented_mm;
pub(crate) mod select;
mod slice_update;
mod softmax;
mod sort;
#[cfg(test)]
mod test_inputs;
#[cfg(test)]
mod tests;
pub(crate) mod unary;

use olivine_core::{
    KernelTable,
    fast::{
        GatedDeltaUpdate, LayerNorm, LayerNormVjp, RmsNorm, RmsNormVjp, Rope,
        ScaledDotProductAttention, ScaledDotProductAttentionVjp,
    },
    fft::Fft,
    linalg::{
        Cholesky, Cofactors, Determinant, Eig, Eigh, Inverse, Lu, Pinv, Qr, SignedLogDeterminant,
        Solve, SolveTriangular, SquareRoot, Svd,
    },
    ops::{
        adamw::AdamW,
        arange::Arange,
        arg_reduce::ArgReduce,
        as_strided::AsStrided,
        concatenate::Concatenate,
        conv::Conv,
        cumulative::Cumulate,
        dynamic_slice::{DynamicSlice, DynamicSliceUpdate},
        fused::Fused,
        gather::{Gather, GatherAxis},
        gather_mm::GatherMm,
        linear_scan::LinearScan,
        logsumexp::LogSumExp,
        matmul::Matmul,
        reduce::Reduce,
        reinterpret::Reinterpret,
        scatter::{Scatter, ScatterAxis},
        searchsorted::SearchSorted,
        segmented_mm::SegmentedMm,
        slice_update::SliceUpdate,
        softmax::Softmax,
        sort::{ArgSort, Sort},
    },
    quantized::{
        Dequantize, FromFp8, GatherQmm, Quantize, QuantizedAttention, QuantizedMatmul, RoundTo,
        ToFp8,
    },
    random::RandomBits,
};

/// The kernels of structured primitives. Each operation adds one line.
pub(crate) fn table() -> KernelTable {
    let mut table = KernelTable::new();
    table.add::<AdamW>(adamw::run);
    table.add::<Arange>(arange::run);
    table.add::<ArgReduce>(arg_reduce::run);
    table.add::<AsStrided>(as_strided::run);
    table.add::<ArgSort>(sort::run_arg);
    table.add::<Cholesky>(|_, call| linalg::cholesky(call));
    table.add::<Cofactors>(|_, call| linalg::cofactors(call));
    table.add::<Concatenate>(concatenate::run);
    table.add::<Conv>(conv::run);
    table.add::<Cumulate>(cumulative::run);
    table.add::<DynamicSlice>(dynamic_slice::run);
    table.add::<DynamicSliceUpdate>(dynamic_slice::run_update);
    table.add::<Determinant>(|_, call| linalg::determinant(call));
    table.add::<Eig>(|primitive, call| linalg::eig(primitive.vectors, call));
    table.add::<Eigh>(|primitive, call| linalg::eigh(primitive.vectors, call));
    table.add::<Fft>(fft::run);
    table.add::<Fused>(fused::run);
    table.add::<GatedDeltaUpdate>(|primitive, call| gated_delta::run(*primitive, call));
    table.add::<Gather>(gather::run);
    table.add::<GatherAxis>(gather::run_axis);
    table.add::<GatherMm>(|_, call| gather_mm::run(call));
    table.add::<Quantize>(quantized::quantize);
    table.add::<Dequantize>(quantized::dequantize);
    table.add::<RoundTo>(quantized::round_to);
    table.add::<ToFp8>(|_, call| quantized::to_fp8(call));
    table.add::<FromFp8>(|primitive, call| quantized::from_fp8(*primitive, call));
    table.add::<QuantizedAttention>(|primitive, call| attention::run_packed(*primitive, call));
    table.add::<QuantizedMatmul>(quantized::quantized_matmul);
    table.add::<GatherQmm>(quantized::gather_qmm);
    table.add::<Inverse>(|_, call| linalg::inverse(call));
    table.add::<RandomBits>(random_bits::run);
    table.add::<LayerNorm>(|primitive, call| layer_norm::run(*primitive, call));
    table.add::<LayerNormVjp>(|primitive, call| layer_norm::run_vjp(*primitive, call));
    table.add::<LinearScan>(linear_scan::run);
    table.add::<LogSumExp>(|_, call| logsumexp::run(call));
    table.add::<Lu>(|_, call| linalg::lu(call));
    table.add::<Matmul>(|_, call| matmul::run(call));
    table.add::<Pinv>(|primitive, call| linalg::pinv(primitive.cutoff, call));
    table.add::<Qr>(|_, call| linalg::qr(call));
    table.add::<Reduce>(reduce::run);
    table.add::<Reinterpret>(reinterpret::run);
    table.add::<RmsNorm>(|primitive, call| rms_norm::run(*primitive, call));
    table.add::<RmsNormVjp>(|primitive, call| rms_norm::run_vjp(*primitive, call));
    table.add::<Rope>(|primitive, call| rope::run(*primitive, call));
    table.add::<ScaledDotProductAttention>(|primitive, call| attention::run(*primitive, call));
    table.add::<ScaledDotProductAttentionVjp>(|primitive, call| {
        attention::run_vjp(*primitive, call)
    });
    table.add::<Scatter>(scatter::run);
    table.add::<ScatterAxis>(scatter::run_axis);
    table.add::<SegmentedMm>(|_, call| segmented_mm::run(call));
    table.add::<SearchSorted>(searchsorted::run);
    table.add::<SignedLogDeterminant>(|_, call| linalg::sign_and_logarithm(call));
    table.add::<SliceUpdate>(slice_update::run);
    table.add::<Softmax>(|_, call| softmax::run(call));
    table.add::<Solve>(|_, call| linalg::solve(call));
    table.add::<SolveTriangular>(|primitive, call| linalg::solve_triangular(primitive.upper, call));
    table.add::<Sort>(|_, call| sort::run(call));
    table.add::<SquareRoot>(|_, call| linalg::square_root(call));
    table.add::<Svd>(|primitive, call| linalg::svd(primitive.vectors, call));
    table
}
