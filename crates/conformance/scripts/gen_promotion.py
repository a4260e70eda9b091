"""Writes golden/promotion.json: the result dtype of adding two arrays, for every pair of dtypes.

Run: `pip install -r crates/conformance/scripts/requirements.txt`, then
`python crates/conformance/scripts/gen_promotion.py`.
"""

import mlx.core as mx
from common import DTYPES, dtype_name, mlx_dtype, write_lines

rows = [
    [dtype_name(mx.zeros((1,), mlx_dtype(left)) + mx.zeros((1,), mlx_dtype(right))) for right in DTYPES]
    for left in DTYPES
]
write_lines("promotion.json", {"dtypes": DTYPES}, {"result": rows})
