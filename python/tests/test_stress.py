"""Tests what only shows under load: many threads, forked processes, and memory after many repetitions."""

import gc
import os
import resource
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import olivine.core as mx
import pytest


def resident() -> int:
    """The process's resident memory in bytes, where the system tells; the peak elsewhere."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * resource.getpagesize()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def test_eight_threads_share_arrays_and_functions() -> None:
    weight = mx.array([1.0, 2.0, 3.0])
    loss = mx.value_and_grad(lambda w, x: ((w * x) ** 2).sum())
    compiled = mx.compile(lambda w, x: mx.exp(w * x * 0.01).sum())
    batched = mx.vmap(lambda x: x * weight)
    lazy = [(weight + i).sum() for i in range(200)]

    def work(seed: int) -> int:
        mx.random.seed(seed)
        for i in range(200):
            x = mx.random.uniform(shape=(3,))
            value, gradient = loss(weight, x)
            assert mx.allclose(gradient, 2 * weight * x * x).item()
            assert mx.allclose(value, ((weight * x) ** 2).sum()).item()
            eager = mx.exp(weight * x * 0.01).sum()
            assert mx.allclose(compiled(weight, x), eager).item()
            assert batched(mx.stack([x, x])).shape == (2, 3)
            # All threads evaluate the same arrays.
            assert lazy[i].item() == 6.0 + 3 * i
            mx.async_eval(x * 2)
        return seed

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(8))) == list(range(8))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_forked_process_computes() -> None:
    x = mx.ones((300, 300))
    mx.eval(x @ x)
    child = os.fork()
    if child == 0:
        # No test framework here: the status tells.
        status = 1
        try:
            y = mx.grad(lambda a: (a * a).sum())(mx.array([1.0, 2.0]))
            if y.tolist() == [2.0, 4.0] and (x @ x)[0, 0].item() == 300.0:
                status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0


def repeat(times: int) -> None:
    x = mx.array([1.0, 2.0, 3.0])
    gradient = mx.grad(lambda a: (a * a).sum())
    compiled = mx.compile(lambda a: mx.exp(a) * 2)
    for i in range(times):
        y = x + i
        y = y[1:] * 2
        mx.eval(y)
        if i % 10 == 0:
            mx.eval(gradient(x), compiled(x))
        if i % 100 == 0:
            mx.eval(mx.compile(lambda a: a + 1)(x))
            mx.eval(mx.vmap(lambda a: a * 2)(x))


def test_memory_stays_flat_over_a_hundred_thousand_repetitions() -> None:
    repeat(10_000)
    gc.collect()
    before = resident()
    repeat(100_000)
    gc.collect()
    assert resident() - before < 8 << 20
