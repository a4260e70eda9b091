"""Times MLX on the CPU; peer.py says what each benchmark is.

Run: `pip install -r xtask/bench/peers/requirements-mlx.txt`, then
`python xtask/bench/peers/mlx_bench.py [--filter NAME] [--interactive]`.
"""

import math
import os

import peer

# The linear algebra library under MLX reads these when it is loaded.
for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(variable, str(peer.THREADS))

import mlx.core as mx  # noqa: E402
import mlx.nn as nn  # noqa: E402
import mlx.optimizers as optim  # noqa: E402

mx.set_default_device(mx.cpu)
mx.random.seed(0)
VECTOR, MATRIX, ROW = (1 << 24,), (4096, 4096), (4096,)


def normal(*shape, dtype=mx.float32):
    """Evaluated standard normal values."""
    values = mx.random.normal(shape).astype(dtype)
    mx.eval(values)
    return values


def matmul(n, dtype=mx.float32):
    """Square product."""

    def setup():
        a, b = normal(n, n, dtype=dtype), normal(n, n, dtype=dtype)
        return lambda: mx.eval(a @ b)

    return setup


def over(function, *shapes):
    """A function of arrays of these shapes."""

    def setup():
        values = [normal(*shape) for shape in shapes]
        return lambda: mx.eval(function(*values))

    return setup


def gelu(x):
    """The tanh approximation, op by op."""
    return 0.5 * x * (1 + mx.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def sdpa(queries):
    """Grouped-query attention over 1024 keys."""

    def setup():
        q, k, v = normal(1, 32, queries, 128), normal(1, 8, 1024, 128), normal(1, 8, 1024, 128)
        mask = "causal" if queries > 1 else None
        attend = mx.fast.scaled_dot_product_attention
        return lambda: mx.eval(attend(q, k, v, scale=128**-0.5, mask=mask))

    return setup


def quantized(rows, dtype=mx.float32):
    """Rows times the transpose of a packed matrix."""

    def setup():
        x, w = normal(rows, 4096, dtype=dtype), normal(*MATRIX, dtype=dtype)
        packed = mx.quantize(w, group_size=64, bits=4)
        mx.eval(packed)
        return lambda: mx.eval(mx.quantized_matmul(x, *packed, transpose=True, group_size=64, bits=4))

    return setup


def fft():
    x = normal(256, 4096) + 1j * normal(256, 4096)
    mx.eval(x)
    return lambda: mx.eval(mx.fft.fft(x))


def small_adds():
    one = mx.ones((1,))

    def work():
        x = mx.zeros((1,))
        for _ in range(1000):
            x = x + one
        return x.item()

    return work


class Block(nn.Module):
    """Attention and SwiGLU, each behind an RMSNorm."""

    def __init__(self, width, heads, hidden):
        super().__init__()
        self.heads = heads
        self.rope = nn.RoPE(width // heads)
        self.norm1, self.norm2 = nn.RMSNorm(width, 1e-5), nn.RMSNorm(width, 1e-5)
        self.q, self.k, self.v, self.o = (nn.Linear(width, width, bias=False) for _ in range(4))
        self.gate, self.up = nn.Linear(width, hidden, bias=False), nn.Linear(width, hidden, bias=False)
        self.down = nn.Linear(hidden, width, bias=False)

    def __call__(self, x):
        batch, length, width = x.shape

        def split(y):
            return y.reshape(batch, length, self.heads, -1).transpose(0, 2, 1, 3)

        h = self.norm1(x)
        q, k, v = self.rope(split(self.q(h))), self.rope(split(self.k(h))), split(self.v(h))
        scale = (width // self.heads) ** -0.5
        h = mx.fast.scaled_dot_product_attention(q, k, v, scale=scale, mask="causal")
        x = x + self.o(h.transpose(0, 2, 1, 3).reshape(batch, length, width))
        h = self.norm2(x)
        return x + self.down(nn.silu(self.gate(h)) * self.up(h))


class Llama(nn.Module):
    """The model of the training step."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(2048, 256)
        self.blocks = [Block(256, 4, 688) for _ in range(4)]
        self.norm = nn.RMSNorm(256, 1e-5)
        self.head = nn.Linear(256, 2048, bias=False)

    def __call__(self, tokens):
        x = self.embed(tokens)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


def train_step():
    model = Llama()
    optimizer = optim.AdamW(3e-4, betas=[0.9, 0.95], eps=1e-8, weight_decay=0.1)
    tokens, targets = mx.random.randint(0, 2048, (8, 256)), mx.random.randint(0, 2048, (8, 256))
    mx.eval(model.parameters(), tokens, targets)

    def loss_of(model):
        return nn.losses.cross_entropy(model(tokens), targets, reduction="mean")

    value_and_grad = nn.value_and_grad(model, loss_of)

    def work():
        loss, gradients = value_and_grad(model)
        optimizer.update(model, gradients)
        mx.eval(model.parameters(), optimizer.state, loss)
        return loss.item()

    return work


SETUPS = {
    "matmul_512": matmul(512),
    "matmul_1024": matmul(1024),
    "matmul_2048": matmul(2048),
    "matmul_1024_bf16": matmul(1024, mx.bfloat16),
    "matmul_2048_bf16": matmul(2048, mx.bfloat16),
    "matmul_1024_f16": matmul(1024, mx.float16),
    "add_16m": over(mx.add, VECTOR, VECTOR),
    "exp_16m": over(mx.exp, VECTOR),
    "gelu_16m": over(gelu, VECTOR),
    "gelu_fused_16m": over(mx.compile(gelu), VECTOR),
    "squared_error_16m": over(mx.compile(lambda x, y: mx.mean(mx.square(x - y))), VECTOR, VECTOR),
    "sum_16m": over(mx.sum, VECTOR),
    "sum_axis0_4096": over(lambda x: mx.sum(x, 0), MATRIX),
    "softmax_4096": over(lambda x: mx.softmax(x, -1), MATRIX),
    "rms_norm_4096": over(lambda x, weight: mx.fast.rms_norm(x, weight, 1e-5), MATRIX, ROW),
    "layer_norm_4096": over(lambda x, weight, bias: mx.fast.layer_norm(x, weight, bias, 1e-5), MATRIX, ROW, ROW),
    "transpose_4096": over(lambda x: mx.contiguous(x.T), MATRIX),
    "sort_1m": over(mx.sort, (1 << 20,)),
    "sdpa_decode": sdpa(1),
    "sdpa_prefill": sdpa(1024),
    "q4_matvec_4096": quantized(1),
    "q4_matvec_4096_bf16": quantized(1, mx.bfloat16),
    "q4_matmul_4096": quantized(256),
    "q4_matmul_4096_bf16": quantized(256, mx.bfloat16),
    "conv2d_56": over(lambda x, w: mx.conv2d(x, w, padding=1), (8, 56, 56, 64), (64, 3, 3, 64)),
    "fft_4096": fft,
    "small_adds_1000": small_adds,
    "train_step": train_step,
}

if __name__ == "__main__":
    peer.main(SETUPS, "MLX", mx.__version__)
