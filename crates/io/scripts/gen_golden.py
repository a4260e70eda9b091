"""Writes crates/io/golden: files by NumPy and by the public `gguf` package, and what they mean.

Run: `pip install -r crates/io/scripts/requirements.txt`, then `python crates/io/scripts/gen_golden.py`.

- numpy.npz (stored) and numpy_deflated.npz: members named KIND_ORDER_LAYOUT, such as `f4_big_fortran`, which hold
  `k - 3` (signed, float), `k` (unsigned), `k % 2` (bool) or `k + (k + 1)j` for k = 0…5 in shape (2, 3).
- v1.npy, v2.npy, v3.npy: the same `<f4` array in each version of the format.
- quants.gguf: two rows of random blocks of every quantized type; quants.npz: their values by the gguf package
  (`TYPE`), and the packed triples by MLX (`TYPE.weight`, `TYPE.scales`, `TYPE.biases`). packed.npz: the same values in
  single precision, of the types whose packed form is exact.
"""

import pathlib

import gguf
import mlx.core as mx
import numpy as np

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "golden"
GOLDEN.mkdir(exist_ok=True)


def values(kind):
    k = np.arange(6).reshape(2, 3)
    if kind[0] == "b":
        return k % 2 == 1
    if kind[0] == "u":
        return k
    return k + (k + 1) * 1j if kind[0] == "c" else k - 3


members = {}
for kind in "b1 u1 u2 u4 u8 i1 i2 i4 i8 f2 f4 f8 c8".split():
    for order in ("little", "big"):
        for layout in ("c", "fortran"):
            array = values(kind).astype({"little": "<", "big": ">"}[order] + kind)
            members[f"{kind}_{order}_{layout}"] = np.asarray(array, order={"c": "C", "fortran": "F"}[layout])
np.savez(GOLDEN / "numpy.npz", **members)
np.savez_compressed(GOLDEN / "numpy_deflated.npz", **members)
for version in (1, 2, 3):
    with open(GOLDEN / f"v{version}.npy", "wb") as file:
        np.lib.format.write_array(file, values("f4").astype("<f4"), version=(version, 0))

rng = np.random.default_rng(9)
TYPES = "Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q2_K Q3_K Q4_K Q5_K Q6_K TQ1_0 TQ2_0 IQ4_NL IQ4_XS MXFP4".split()
# Bytes of each block at which 16-bit scales begin: random bits there would be NaN or infinite.
SCALES = {
    "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "Q2_K": [80, 82], "Q3_K": [108],
    "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208], "TQ1_0": [52], "TQ2_0": [64], "IQ4_NL": [0], "IQ4_XS": [0], "MXFP4": [],
}
writer = gguf.GGUFWriter(GOLDEN / "quants.gguf", "golden")
writer.add_array("some.names", ["a", "é", ""])
writer.add_array("some.numbers", [1, -2, 3])
writer.add_float64("some.float", 0.1)
writer.add_bool("some.truth", True)
expected = {}
exact = {}
for name in TYPES:
    kind = gguf.GGMLQuantizationType[name]
    size, block = gguf.GGML_QUANT_SIZES[kind]
    blocks = rng.integers(0, 256, size=(2, 512 // size, block), dtype=np.uint8)
    for at in SCALES[name]:
        scales = rng.uniform(-0.5, 0.5, size=blocks.shape[:2]).astype(np.float16)
        blocks[..., at : at + 2] = scales[..., None].view(np.uint8)
    if name == "MXFP4":
        blocks[..., 0] = rng.integers(120, 132, size=blocks.shape[:2])
    data = blocks.reshape(2, -1)
    writer.add_tensor(f"{name}.weight", data, raw_dtype=kind)
    expected[name] = gguf.quants.dequantize(data, kind).astype(np.float16)
    if name in "Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q2_K Q3_K Q4_K Q5_K Q6_K".split():
        exact[name] = gguf.quants.dequantize(data, kind)
np.savez_compressed(GOLDEN / "packed.npz", **exact)
floats = np.array([[1.5, -2.25, 3.0]], dtype=np.float32)
writer.add_tensor("plain.f32", floats)
writer.add_tensor("plain.f16", floats.astype(np.float16))
writer.add_tensor("plain.f64", floats.astype(np.float64))
writer.add_tensor("plain.i64", np.array([[[2**40, -1], [0, 7]]], dtype=np.int64))
writer.add_tensor("plain.bf16", np.array([[0x80, 0x3F, 0, 0x40]], np.uint8), raw_dtype=gguf.GGMLQuantizationType.BF16)
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()

# MLX cannot load some of the types, so the packed ones are written once more by themselves.
packed = GOLDEN / "packed.gguf"
writer = gguf.GGUFWriter(packed, "golden")
reader = gguf.GGUFReader(GOLDEN / "quants.gguf")
for tensor in reader.tensors:
    if tensor.name in ("Q4_0.weight", "Q4_1.weight", "Q8_0.weight"):
        writer.add_tensor(tensor.name, np.array(tensor.data), raw_dtype=tensor.tensor_type)
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
for name, array in mx.load(str(packed)).items():
    expected[name] = np.array(array)
packed.unlink()
np.savez_compressed(GOLDEN / "quants.npz", **expected)
for path in sorted(GOLDEN.iterdir()):
    print(path.name, path.stat().st_size, "bytes")
