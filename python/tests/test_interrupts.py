"""Tests that a program can be stopped: by Ctrl-C while it computes, and by its own end."""

import signal
import subprocess
import sys
import textwrap

import pytest

LONG = """
import os, signal, sys, threading, time
import olivine.core as mx

x = mx.random.normal((1000, 1000))
mx.eval(x)


def long(steps):
    y = x
    for _ in range(steps):
        y = (y @ x) * 1e-2
    return y
"""


def run(program: str) -> subprocess.CompletedProcess[str]:
    """Runs a program after what all share."""
    text = LONG + textwrap.dedent(program)
    return subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, timeout=300, check=False
    )


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent otherwise there")
@pytest.mark.parametrize("ask", ["mx.eval(y)", "y.tolist()", "y[0, 0].item()", "memoryview(y)"])
def test_an_evaluation_ends_when_somebody_presses_ctrl_c(ask: str) -> None:
    result = run(f"""
        y = long(100_000)  # hours of work
        threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
        try:
            {ask}
        except KeyboardInterrupt:
            print("interrupted")
        # The rest of the work goes on behind the scenes; the program need not wait for it.
        sys.stdout.flush()
        os._exit(0)
    """)
    assert result.stdout == "interrupted\n", result.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent otherwise there")
def test_ctrl_c_that_nobody_catches_ends_the_program() -> None:
    result = run("""
        threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
        mx.eval(long(100_000))
    """)
    assert result.returncode in (-signal.SIGINT, 130, 1)
    assert "KeyboardInterrupt" in result.stderr
    assert "panicked" not in result.stderr


def test_a_program_may_end_while_arrays_are_computed() -> None:
    result = run("""
        mx.async_eval(long(20))
        def evaluate():
            mx.eval(long(20))
        threading.Thread(target=evaluate, daemon=True).start()
        time.sleep(0.05)
        print("done")
    """)
    assert (result.returncode, result.stdout, result.stderr) == (0, "done\n", "")
