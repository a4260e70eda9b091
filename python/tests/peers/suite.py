"""Owns running MLX's own Python tests, from a copy of its repository, on olivine.

usage: python python/tests/peers/suite.py FOLDER --olivine PYTHON [--reference PYTHON] [FILE …]

FOLDER is python/tests of MLX's repository. Every file runs in a process of its own, on the CPU.
The table has the counts of each file, the names of the tests that fail follow, and the exit status
tells whether all passed that pass on the reference, or all at all where there is none.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

RAN = re.compile(r"^Ran (\d+) tests? in", re.MULTILINE)
SKIPPED = re.compile(r"^(?:OK|FAILED) \(.*?skipped=(\d+)", re.MULTILINE)
FAILED = re.compile(r"^(?:FAIL|ERROR): (\S+) \(([\w.]+)\)", re.MULTILINE)


@dataclass
class Counts:
    """What became of a file's tests."""

    passed: int = 0
    skipped: int = 0
    failed: set[str] = field(default_factory=set)
    seconds: float = 0.0

    def __str__(self) -> str:
        """Shows the counts in columns."""
        counts = f"{self.passed:5} passed {len(self.failed):4} failed {self.skipped:4} skipped"
        return f"{counts} {self.seconds:7.1f} s"


def run_file(command: list[str], folder: Path, name: str, timeout: float) -> Counts:
    """Runs the tests of one file and counts them."""
    begin = time.monotonic()
    try:
        result = subprocess.run(
            [*command, "-m", "unittest", name],
            cwd=folder,
            env={**os.environ, "DEVICE": "cpu"},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        text, status = result.stderr, result.returncode
    except subprocess.TimeoutExpired:
        text, status = "", -1
    seconds = time.monotonic() - begin
    ran, skipped = RAN.search(text), SKIPPED.search(text)
    # A test with several failing subtests is one test.
    failed = {f"{name}.{case.split('.')[-2]}.{test}" if "." in case else f"{name}.{test}"
              for test, case in FAILED.findall(text)}  # fmt: skip
    if ran is None:  # it crashed, hung, or was not even read
        last = (text.strip().splitlines() or [f"no result, exit status {status}"])[-1]
        return Counts(failed={f"{name}: {last}"}, seconds=seconds)
    skips = int(skipped[1]) if skipped else 0
    return Counts(int(ran[1]) - skips - len(failed), skips, failed, seconds)


def total(counts: list[Counts]) -> Counts:
    """Adds counts up."""
    return Counts(
        sum(c.passed for c in counts),
        sum(c.skipped for c in counts),
        set().union(*(c.failed for c in counts)),
        sum(c.seconds for c in counts),
    )


def main() -> int:
    """Prints the table and returns the exit status."""
    parser = argparse.ArgumentParser(description="Run MLX's own Python tests on olivine.")
    parser.add_argument("folder", type=Path, help="python/tests of MLX's repository")
    parser.add_argument("files", nargs="*", help="test_….py; the default is all of them")
    parser.add_argument("--olivine", required=True, help="a Python with olivine")
    parser.add_argument("--reference", help="a Python with mlx")
    parser.add_argument("--timeout", type=float, default=600, help="seconds for one file")
    options = parser.parse_args()
    names = [Path(f).stem for f in options.files] or sorted(
        path.stem for path in options.folder.glob("test_*.py")
    )
    sides = {"olivine": [options.olivine, "-m", "olivine.compat.mlx"]}
    if options.reference:
        sides["reference"] = [options.reference]
    results: dict[str, list[Counts]] = {side: [] for side in sides}
    for name in names:
        for side, command in sides.items():
            counts = run_file(command, options.folder, name, options.timeout)
            results[side].append(counts)
            print(f"{name:22} {side:10} {counts}", flush=True)
    for side, counted in results.items():
        print(f"{'all':22} {side:10} {total(counted)}")
    failed = total(results["olivine"]).failed
    for test in sorted(failed):
        print(f"failed: {test}")
    known = total(results["reference"]).failed if options.reference else set()
    return 1 if failed - known else 0


if __name__ == "__main__":
    sys.exit(main())
