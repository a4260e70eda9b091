"""Owns how a peer library is timed: the command line, warming up, and the line protocol of the driver.

What every benchmark measures, the same in each peer and in Olivine; float32 unless the name says otherwise. Arrays
hold standard normal values.

- `matmul_512`, `matmul_1024`, `matmul_2048`, with `_bf16` and `_f16`: the product of two square matrices.
- `add_16m`, `exp_16m`, `sum_16m`: over 2**24 values, as many as a matrix of 4096 by 4096 has.
- `gelu_16m`: `0.5 * x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x**3)))`, spelled out op by op, over 2**24 values.
- `gelu_fused_16m`: the same function by the library's best fused means.
- `squared_error_16m`: the mean squared difference of two vectors of 2**24 values, by the library's best fused means.
- `softmax_4096`, `rms_norm_4096`, `layer_norm_4096`: over the last axis of a 4096 by 4096 matrix; the norms with weight
  (and bias), eps 1e-5.
- `sum_axis0_4096`: the sum over the first axis of a 4096 by 4096 matrix.
- `transpose_4096`: the transpose of a 4096 by 4096 matrix, copied to row-major order.
- `sort_1m`: 2**20 values in ascending order.
- `sdpa_decode`: attention, 1 batch, 32 query heads, 8 key-value heads, 128 wide, 1 query over 1024 keys, scale 128**-0.5.
- `sdpa_prefill`: the same with 1024 queries and a causal mask.
- `q4_matvec_4096`, `q4_matmul_4096`, with `_bf16`: a row of 4096, or 256 of them, times the transpose of a 4096 by 4096
  matrix of 4-bit codes. A scale and a bias for every 64 of them have the dtype of the rows.
- `conv2d_56`: 8 images of 56 by 56 with 64 channels, 64 filters of 3 by 3, padding 1, in the library's best layout.
- `fft_4096`: the complex64 Fourier transforms of 256 rows of 4096.
- `small_adds_1000`: `x = x + one` a thousand times over one float, then reading the value.
- `train_step`: forward, backward and AdamW update of a Llama-like model on one fixed random batch of
  8 x 256 tokens: vocabulary 2048, 4 layers, width 256, 4 heads of 64 with rope (base 10000, halves rotated),
  causal attention, SwiGLU of 688, RMSNorm (eps 1e-5) before each block and at the end, separate output head, no biases,
  mean cross-entropy; AdamW with rate 3e-4, betas 0.9 and 0.95, eps 1e-8, weight decay 0.1 on every parameter.
"""

import argparse
import json
import os
import statistics
import sys
import time

THREADS = int(os.environ.get("BENCH_THREADS") or os.cpu_count() or 1)

# Seconds of unmeasured calls before each measurement, which averages over as many calls again.
WARM_UP = 0.02
# Seconds of a call that warms itself up, and is measured alone.
LONG = 0.5


class Timer:
    """Sets a benchmark up when it is first asked for, and times it; only the latest one keeps its inputs."""

    def __init__(self, setups):
        self.setups = setups
        self.name = self.work = None

    def run(self, name):
        """Milliseconds of one call of a benchmark."""
        if name != self.name:
            self.name = self.work = None
            self.work = self.setups[name]()
            self.name = name
        work, calls = self.work, 0
        # Another library ran last: wake the threads and fill the caches before the clock starts.
        start = time.perf_counter()
        while calls == 0 or time.perf_counter() - start < WARM_UP:
            work()
            calls += 1
        seconds = time.perf_counter() - start
        if calls > 1 or seconds < LONG:
            start = time.perf_counter()
            for _ in range(calls):
                work()
            seconds = time.perf_counter() - start
        return seconds * 1e3 / calls


def serve(setups, version):
    """Tell the library's version and benchmarks, then time those whose names come a line each."""
    timer = Timer(setups)
    print(json.dumps({"version": version, "benchmarks": list(setups)}), flush=True)
    for line in sys.stdin:
        name = line.strip()
        try:
            reply = {"name": name, "ms": timer.run(name)}
        except Exception as error:
            reply = {"name": name, "error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), flush=True)


def main(setups, library, version):
    """Run the command line for a peer's table of `name: setup`, where `setup()` returns the call to time."""
    parser = argparse.ArgumentParser(description=f"Time {library} {version} on {THREADS} threads (BENCH_THREADS).")
    parser.add_argument("--filter", default="", help="only benchmarks whose name contains this")
    parser.add_argument("--runs", type=int, default=9, help="measurements of each benchmark (default 9)")
    parser.add_argument("--list", action="store_true", help="print the names and stop")
    parser.add_argument(
        "--interactive",
        action="store_true",
        help="print version and names as a JSON line, then read names and print milliseconds as JSON lines",
    )
    arguments = parser.parse_args()
    if arguments.interactive:
        serve(setups, version)
        return

    timer = Timer(setups)
    for name in setups:
        if arguments.filter not in name:
            continue
        if arguments.list:
            print(name)
            continue
        timer.run(name)
        runs = [timer.run(name) for _ in range(arguments.runs)]
        median = round(statistics.median(runs), 4)
        print(json.dumps({"name": name, "median_ms": median, "runs": [round(run, 4) for run in runs]}), flush=True)
