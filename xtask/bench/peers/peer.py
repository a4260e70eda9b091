"""Owns how a peer library is timed: the command line, warming up, and the line protocol of the driver.

What every benchmark measures, the same in each peer and in Olivine; float32 throughout, two threads:

- `matmul_512`, `matmul_1024`, `matmul_2048`: the product of two square matrices.
- `add_16m`, `exp_16m`, `sum_16m`: over 2**24 standard normal values.
- `gelu_16m`: `0.5 * x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x**3)))`, spelled out op by op, over 2**24 values.
- `gelu_fused_16m`: the same function by the library's best fused means.
- `squared_error_16m`: the mean squared difference of two vectors of 2**24 values, by the library's best fused means.
- `softmax_4096`, `rms_norm_4096`: over the last axis of a 4096 by 4096 matrix; RMS norm with weight, eps 1e-5.
- `sdpa_decode`: attention, 1 batch, 32 query heads, 8 key-value heads, 128 wide, 1 query over 1024 keys, scale 128**-0.5.
- `sdpa_prefill`: the same with 1024 queries and a causal mask.
- `small_adds_1000`: `x = x + one` a thousand times over one float, then reading the value.
- `train_step`: forward, backward and AdamW update of a Llama-like model on one fixed random batch of
  8 x 256 tokens: vocabulary 2048, 4 layers, width 256, 4 heads of 64 with rope (base 10000, halves rotated),
  causal attention, SwiGLU of 688, RMSNorm (eps 1e-5) before each block and at the end, separate output head, no biases,
  mean cross-entropy; AdamW with rate 3e-4, betas 0.9 and 0.95, eps 1e-8, weight decay 0.1 on every parameter.
"""

import argparse
import json
import statistics
import sys
import time

THREADS = 2
# Calls that one measurement averages over, where a single call is too short to time.
CALLS = {"matmul_512": 10, "matmul_1024": 2, "sdpa_decode": 20}

# Seconds of unmeasured calls, at least one, before each measurement.
WARM_UP = 0.02


class Timer:
    """Sets benchmarks up when first asked for, warms them up, and measures single runs."""

    def __init__(self, setups):
        self.setups = setups
        self.ready = {}

    def run(self, name):
        """Milliseconds of one call of a benchmark."""
        calls = CALLS.get(name, 1)
        if name not in self.ready:
            self.ready[name] = self.setups[name]()
            self.ready[name]()
        work = self.ready[name]
        # Another library ran last: wake the threads and fill the caches before the clock starts.
        start = time.perf_counter()
        while True:
            work()
            if time.perf_counter() - start > WARM_UP:
                break
        start = time.perf_counter()
        for _ in range(calls):
            work()
        return (time.perf_counter() - start) * 1e3 / calls

    def forget(self, name):
        """Free a benchmark's inputs."""
        self.ready.pop(name, None)


def main(setups, description):
    """Run the command line for a peer's table of `name: setup`, where `setup()` returns the call to time."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--filter", default="", help="only benchmarks whose name contains this")
    parser.add_argument("--runs", type=int, default=9, help="measurements of each benchmark (default 9)")
    parser.add_argument("--list", action="store_true", help="print the names and stop")
    parser.add_argument(
        "--interactive",
        action="store_true",
        help="read a name a line from standard input, run it once and print its milliseconds as a JSON line",
    )
    arguments = parser.parse_args()
    timer = Timer(setups)

    if arguments.interactive:
        for line in sys.stdin:
            name = line.strip()
            if name in setups:
                reply = {"name": name, "ms": timer.run(name)}
            else:
                reply = {"name": name, "error": "no such benchmark"}
            print(json.dumps(reply), flush=True)
        return

    for name in setups:
        if arguments.filter not in name:
            continue
        if arguments.list:
            print(name)
            continue
        runs = [timer.run(name) for _ in range(arguments.runs)]
        timer.forget(name)
        median = round(statistics.median(runs), 4)
        print(json.dumps({"name": name, "median_ms": median, "runs": [round(run, 4) for run in runs]}), flush=True)
