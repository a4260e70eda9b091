"""Times llama.cpp's products with 4-bit matrices; peer.py says what each benchmark is.

It calls ggml, the library of kernels under llama.cpp, by ctypes: a graph of one `ggml_mul_mat`, with the matrix in
Q4_0 (groups of 32, a float16 scale, no bias), arranged as llama.cpp arranges it when it loads a model, and rows in
float32, which ggml rounds to 8 bits. Rows in bfloat16 are not an input of its CPU kernels, so `_bf16` is the same.

Run: `pip install -r xtask/bench/peers/requirements-llamacpp.txt`, which needs a C and a C++ compiler, then
`python xtask/bench/peers/llamacpp_bench.py [--filter NAME] [--interactive]`.
"""

import ctypes
import importlib.metadata
import importlib.util
import pathlib

import numpy as np
import peer

SIZE = 4096
# Of ggml.h.
F32, Q4_0 = 0, 2
# Bytes that graphs and descriptions of tensors may take.
CONTEXT = 1 << 20

POINTER, SIZE_T, LONG, INT = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int64, ctypes.c_int


class InitParams(ctypes.Structure):
    """`struct ggml_init_params`."""

    _fields_ = [("mem_size", SIZE_T), ("mem_buffer", POINTER), ("no_alloc", ctypes.c_bool)]


# Says nothing about how matrices are arranged.
SILENT = ctypes.CFUNCTYPE(None, INT, ctypes.c_char_p, POINTER)(lambda *_: None)

# What is called of ggml: the result and the arguments.
FUNCTIONS = {
    "ggml_log_set": (None, [POINTER, POINTER]),
    "ggml_init": (POINTER, [InitParams]),
    "ggml_free": (None, [POINTER]),
    "ggml_new_tensor_2d": (POINTER, [POINTER, INT, LONG, LONG]),
    "ggml_mul_mat": (POINTER, [POINTER, POINTER, POINTER]),
    "ggml_new_graph": (POINTER, [POINTER]),
    "ggml_build_forward_expand": (None, [POINTER, POINTER]),
    "ggml_nbytes": (SIZE_T, [POINTER]),
    "ggml_quantize_chunk": (SIZE_T, [INT, POINTER, POINTER, LONG, LONG, LONG, POINTER]),
    "ggml_backend_cpu_init": (POINTER, []),
    "ggml_backend_cpu_set_n_threads": (None, [POINTER, INT]),
    "ggml_backend_get_device": (POINTER, [POINTER]),
    "ggml_backend_dev_backend_reg": (POINTER, [POINTER]),
    "ggml_backend_reg_get_proc_address": (POINTER, [POINTER, ctypes.c_char_p]),
    "ggml_backend_get_default_buffer_type": (POINTER, [POINTER]),
    "ggml_backend_buft_name": (ctypes.c_char_p, [POINTER]),
    "ggml_backend_supports_op": (ctypes.c_bool, [POINTER, POINTER]),
    "ggml_backend_alloc_ctx_tensors_from_buft": (POINTER, [POINTER, POINTER]),
    "ggml_backend_buffer_free": (None, [POINTER]),
    "ggml_backend_tensor_set": (None, [POINTER, POINTER, SIZE_T, SIZE_T]),
    "ggml_backend_tensor_get": (None, [POINTER, POINTER, SIZE_T, SIZE_T]),
    "ggml_backend_graph_compute": (INT, [POINTER, POINTER]),
}


class Ggml:
    """The functions of ggml, from the libraries that llama-cpp-python ships."""

    def __init__(self):
        folder = pathlib.Path(importlib.util.find_spec("llama_cpp").origin).parent / "lib"
        libraries = []
        for name in ("ggml-base", "ggml-cpu", "ggml"):
            found = [*folder.glob(f"lib{name}.so"), *folder.glob(f"lib{name}.dylib")]
            if not found:
                raise SystemExit(f"llama-cpp-python has no lib{name} in {folder}")
            libraries.append(ctypes.CDLL(str(found[0]), mode=ctypes.RTLD_GLOBAL))
        for name, (result, arguments) in FUNCTIONS.items():
            function = next((getattr(library, name) for library in libraries if hasattr(library, name)), None)
            if function is None:
                raise SystemExit(f"this ggml has no {name}; requirements-llamacpp.txt names the version that has")
            function.restype, function.argtypes = result, arguments
            setattr(self, name, function)
        self.ggml_log_set(SILENT, None)
        self.backend = self.ggml_backend_cpu_init()
        self.ggml_backend_cpu_set_n_threads(self.backend, peer.THREADS)

    def buffer_types(self):
        """Where a matrix may lie: in the arrangements that suit this processor, then as it is stored."""
        registry = self.ggml_backend_dev_backend_reg(self.ggml_backend_get_device(self.backend))
        address = self.ggml_backend_reg_get_proc_address(registry, b"ggml_backend_dev_get_extra_bufts")
        if address:
            extra = ctypes.CFUNCTYPE(ctypes.POINTER(POINTER), POINTER)(address)(
                self.ggml_backend_get_device(self.backend)
            )
            while extra and (kind := extra[0]):
                yield kind
                extra = ctypes.cast(ctypes.addressof(extra.contents) + ctypes.sizeof(POINTER), ctypes.POINTER(POINTER))
        yield self.ggml_backend_get_default_buffer_type(self.backend)

    def context(self):
        """Memory for descriptions of tensors."""
        return self.ggml_init(InitParams(CONTEXT, None, True))

    def matrix(self, kind):
        """A matrix of Q4_0 in a kind of memory, or none if products with it are not supported there."""
        context, trial = self.context(), self.context()
        w = self.ggml_new_tensor_2d(context, Q4_0, SIZE, SIZE)
        buffer = self.ggml_backend_alloc_ctx_tensors_from_buft(context, kind)
        x = self.ggml_new_tensor_2d(trial, F32, SIZE, 1)
        supported = self.ggml_backend_supports_op(self.backend, self.ggml_mul_mat(trial, w, x))
        self.ggml_free(trial)
        if supported:
            return w
        self.ggml_backend_buffer_free(buffer)
        self.ggml_free(context)
        return None


GGML = Ggml()


def address(values):
    return values.ctypes.data_as(POINTER)


def product(rows):
    """Rows times the transpose of a matrix of Q4_0."""

    def setup():
        random = np.random.default_rng(0)
        x = random.standard_normal((rows, SIZE), np.float32)
        weights = random.standard_normal((SIZE, SIZE), np.float32)
        w = next(w for kind in GGML.buffer_types() if (w := GGML.matrix(kind)))
        packed = np.empty(GGML.ggml_nbytes(w), np.uint8)
        GGML.ggml_quantize_chunk(Q4_0, address(weights), address(packed), 0, SIZE, SIZE, None)
        GGML.ggml_backend_tensor_set(w, address(packed), 0, packed.nbytes)

        context = GGML.context()
        inputs = GGML.ggml_new_tensor_2d(context, F32, SIZE, rows)
        result = GGML.ggml_mul_mat(context, w, inputs)
        graph = GGML.ggml_new_graph(context)
        GGML.ggml_build_forward_expand(graph, result)
        GGML.ggml_backend_alloc_ctx_tensors_from_buft(
            context, GGML.ggml_backend_get_default_buffer_type(GGML.backend)
        )
        GGML.ggml_backend_tensor_set(inputs, address(x), 0, x.nbytes)

        def work():
            if status := GGML.ggml_backend_graph_compute(GGML.backend, graph):
                raise RuntimeError(f"ggml ended with status {status}")

        # The calls are unchecked, so see that they mean what they should: codes of 4 bits are off by a tenth.
        work()
        y = np.empty((rows, SIZE), np.float32)
        GGML.ggml_backend_tensor_get(result, address(y), 0, y.nbytes)
        exact = x @ weights.T
        error = np.linalg.norm(y - exact) / np.linalg.norm(exact)
        if not error < 0.2:
            raise RuntimeError(f"ggml's product is off by {error:.0%}")
        return work

    return setup


SETUPS = {
    "q4_matvec_4096": product(1),
    "q4_matvec_4096_bf16": product(1),
    "q4_matmul_4096": product(256),
    "q4_matmul_4096_bf16": product(256),
}

if __name__ == "__main__":
    peer.main(SETUPS, "llama-cpp-python", importlib.metadata.version("llama-cpp-python"))
