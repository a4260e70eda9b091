"""Tests devices, streams, memory counters and groups of one process."""

import signal
import threading
import time
from typing import Any

import olivine.core as mx
import pytest


def test_devices_equal_their_kinds() -> None:
    assert mx.default_device() == mx.cpu
    assert mx.Device(mx.cpu) == mx.Device(mx.cpu, 0) != mx.Device(mx.gpu)
    assert mx.is_available(mx.cpu) and not mx.is_available(mx.gpu)
    assert (mx.device_count(mx.cpu), mx.device_count(mx.gpu)) == (1, 0)
    assert mx.device_info()["device_name"]
    assert mx.device_info(mx.gpu) == {}


@pytest.mark.parametrize(
    "call",
    [
        mx.default_stream,
        mx.new_stream,
        mx.set_default_device,
        mx.new_thread_local_stream,
        lambda device: mx.stream(device).__enter__(),
        lambda device: mx.add(mx.array(1), mx.array(1), stream=device),
    ],
)
def test_a_missing_gpu_is_a_value_error(call: Any) -> None:
    with pytest.raises(ValueError, match="GPU"):
        call(mx.gpu)


def test_operations_go_to_the_stream_of_a_with_statement() -> None:
    outer = mx.default_stream(mx.cpu)
    side = mx.new_stream(mx.cpu)
    context = mx.stream(side)
    with context:
        assert mx.default_stream(mx.cpu) == side
        with context, mx.stream(outer):
            assert mx.default_stream(mx.cpu) == outer
        x = mx.array([1.0, 2.0]) * 2
    assert mx.default_stream(mx.cpu) == outer != side
    assert (x + mx.array(1.0)).tolist() == [3.0, 5.0]
    with pytest.raises(KeyError), mx.stream(side):
        raise KeyError
    assert mx.default_stream(mx.cpu) == outer


def test_a_stream_is_for_the_thread_that_made_it() -> None:
    mine = mx.new_stream(mx.cpu)
    local = mx.new_thread_local_stream(mx.cpu)
    shared = mx.new_thread_unsafe_stream(mx.cpu)
    outcome: list[Any] = []

    def work() -> None:
        try:
            with mx.stream(mine):
                outcome.append("entered")
        except RuntimeError as error:
            outcome.append(str(error))
        for stream in (local, shared):
            with mx.stream(stream):
                outcome.append((mx.array(1) + 1).item())
        mx.clear_streams()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert "another thread" in outcome[0]
    assert outcome[1:] == [2, 2]


def test_work_of_several_streams_meets() -> None:
    streams = [mx.new_stream(mx.cpu) for _ in range(3)]
    x = mx.ones((64,))
    for i in range(60):
        x = mx.add(x, mx.array(1.0), stream=streams[i % 3])
    mx.async_eval(x)
    mx.synchronize(streams[0])
    mx.synchronize()
    assert x.tolist() == [61.0] * 64


def test_a_signal_interrupts_a_long_evaluation() -> None:
    class Stop(Exception):
        pass

    def stop(*_: Any) -> None:
        raise Stop

    before = signal.signal(signal.SIGALRM, stop)
    x = mx.ones((700, 700)) / 700
    y = x
    for _ in range(3000):
        y = y @ x
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        start = time.monotonic()
        with pytest.raises(Stop):
            mx.eval(y)
        assert time.monotonic() - start < 5
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    # Whatever else is computed is not in the way.
    assert (mx.array(1) + 1).item() == 2


def test_memory_is_counted() -> None:
    before = mx.get_active_memory()
    x = mx.zeros((1 << 16,)) + 1
    mx.eval(x)
    assert mx.get_active_memory() - before >= 4 << 16
    assert mx.get_peak_memory() >= 4 << 16
    assert mx.get_array_buffer_size([x, {"same": x}]) >= 4 << 16
    del x
    assert mx.get_active_memory() == before
    mx.clear_cache()
    assert mx.get_cache_memory() == 0
    mx.reset_peak_memory()
    assert mx.get_peak_memory() == 0


def test_limits_are_given_back() -> None:
    for setter in (mx.set_memory_limit, mx.set_cache_limit):
        before = setter(1 << 40)
        assert setter(before) == 1 << 40
    before = mx.set_memory_limit(1 << 20)
    try:
        with pytest.raises(MemoryError):
            mx.eval(mx.zeros((1 << 22,)) + 1)
    finally:
        mx.set_memory_limit(before)
    assert mx.set_wired_limit(0) == 0


def test_a_group_of_one_keeps_everything_as_it_is() -> None:
    world = mx.distributed.init()
    assert (world.rank(), world.size()) == (0, 1)
    x = mx.array([1.0, 2.0])
    for name in ("all_sum", "all_max", "all_min", "all_gather", "sum_scatter"):
        assert getattr(mx.distributed, name)(x, group=world).tolist() == [1.0, 2.0]
    with pytest.raises(ValueError):
        mx.distributed.send(x, 0)
    with pytest.raises(ValueError):
        mx.distributed.recv_like(x, 0)
    with pytest.raises(RuntimeError):
        mx.distributed.init(strict=True)
    with pytest.raises(ValueError):
        mx.distributed.init(backend="pigeons")
    with pytest.raises(RuntimeError):
        world.split(0)


def test_other_makers_devices_say_that_they_are_missing() -> None:
    assert not mx.metal.is_available() and not mx.cuda.is_available()
    with pytest.raises(RuntimeError, match="Metal"):
        mx.metal.start_capture("trace")
