"""Owns how tests find the programs beside them, which are no tests themselves."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
collect_ignore = ["run.py", "suite.py", "tasks.py", "tensors.py", "tiny.py"]
