"""Owns what identifies the tensors of a safetensors file."""

from __future__ import annotations

import hashlib
import json
import struct
from pathlib import Path


def tensor_hashes(file: Path) -> dict[str, str]:
    """Returns what identifies each tensor of a safetensors file: its type, shape and bytes."""
    data = file.read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + size])
    header.pop("__metadata__", None)
    hashes = {}
    for name, entry in sorted(header.items()):
        begin, end = entry["data_offsets"]
        digest = hashlib.sha256(data[8 + size + begin : 8 + size + end]).hexdigest()
        hashes[name] = f"{entry['dtype']}{entry['shape']} {digest}"
    return hashes
