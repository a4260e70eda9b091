"""Times PyTorch, eager on the CPU; peer.py says what each benchmark is.

Run: `pip install -r xtask/bench/peers/requirements-torch.txt`, then
`python xtask/bench/peers/torch_bench.py [--filter NAME] [--interactive]`.
"""

import math

import peer
import torch
import torch.nn.functional as F
from torch import nn

torch.set_num_threads(peer.THREADS)
torch.manual_seed(0)
VECTOR, MATRIX, ROW = (1 << 24,), (4096, 4096), (4096,)


def matmul(n, dtype=torch.float32):
    """Square product."""

    def setup():
        a, b = torch.randn(n, n, dtype=dtype), torch.randn(n, n, dtype=dtype)
        return lambda: a @ b

    return setup


def over(function, *shapes):
    """A function of arrays of these shapes."""

    def setup():
        values = [torch.randn(shape) for shape in shapes]
        return lambda: function(*values)

    return setup


def gelu(x):
    """The tanh approximation, op by op."""
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def sdpa(queries):
    """Grouped-query attention over 1024 keys."""

    def setup():
        q = torch.randn(1, 32, queries, 128)
        k, v = torch.randn(1, 8, 1024, 128), torch.randn(1, 8, 1024, 128)
        return lambda: F.scaled_dot_product_attention(q, k, v, is_causal=queries > 1, enable_gqa=True)

    return setup


def conv2d():
    x = torch.randn(8, 64, 56, 56).to(memory_format=torch.channels_last)
    w = torch.randn(64, 64, 3, 3).to(memory_format=torch.channels_last)
    return lambda: F.conv2d(x, w, padding=1)


def fft():
    x = torch.randn(256, 4096, dtype=torch.complex64)
    return lambda: torch.fft.fft(x)


def small_adds():
    one = torch.ones(1)

    def work():
        x = torch.zeros(1)
        for _ in range(1000):
            x = x + one
        return x.item()

    return work


class Block(nn.Module):
    """Attention and SwiGLU, each behind an RMSNorm."""

    def __init__(self, width, heads, hidden):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.RMSNorm(width, eps=1e-5), nn.RMSNorm(width, eps=1e-5)
        self.q, self.k, self.v, self.o = (nn.Linear(width, width, bias=False) for _ in range(4))
        self.gate, self.up = nn.Linear(width, hidden, bias=False), nn.Linear(width, hidden, bias=False)
        self.down = nn.Linear(hidden, width, bias=False)

    def forward(self, x, cos, sin):
        batch, length, width = x.shape

        def split(y):
            return y.view(batch, length, self.heads, -1).transpose(1, 2)

        def rotate(y):
            a, b = y.chunk(2, -1)
            return torch.cat([a * cos - b * sin, a * sin + b * cos], -1)

        h = self.norm1(x)
        q, k, v = rotate(split(self.q(h))), rotate(split(self.k(h))), split(self.v(h))
        h = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.o(h.transpose(1, 2).reshape(batch, length, width))
        h = self.norm2(x)
        return x + self.down(F.silu(self.gate(h)) * self.up(h))


class Llama(nn.Module):
    """The model of the training step."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(2048, 256)
        self.blocks = nn.ModuleList(Block(256, 4, 688) for _ in range(4))
        self.norm = nn.RMSNorm(256, eps=1e-5)
        self.head = nn.Linear(256, 2048, bias=False)
        angles = torch.outer(torch.arange(256.0), 10000.0 ** (-torch.arange(32.0) / 32))
        self.register_buffer("cos", angles.cos())
        self.register_buffer("sin", angles.sin())

    def forward(self, tokens):
        x = self.embed(tokens)
        for block in self.blocks:
            x = block(x, self.cos, self.sin)
        return self.head(self.norm(x))


def train_step():
    model = Llama()
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=3e-4, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1, fused=True
    )
    tokens, targets = torch.randint(0, 2048, (8, 256)), torch.randint(0, 2048, (8, 256))

    def work():
        loss = F.cross_entropy(model(tokens).view(-1, 2048), targets.view(-1))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        return loss.item()

    return work


def without_gradients(setup):
    """A setup whose call records nothing for differentiation."""

    def wrapped():
        work = setup()

        def quiet():
            with torch.inference_mode():
                return work()

        return quiet

    return wrapped


SETUPS = {
    "matmul_512": matmul(512),
    "matmul_1024": matmul(1024),
    "matmul_2048": matmul(2048),
    "matmul_1024_bf16": matmul(1024, torch.bfloat16),
    "matmul_2048_bf16": matmul(2048, torch.bfloat16),
    "matmul_1024_f16": matmul(1024, torch.float16),
    "add_16m": over(torch.add, VECTOR, VECTOR),
    "exp_16m": over(torch.exp, VECTOR),
    "gelu_16m": over(gelu, VECTOR),
    "gelu_fused_16m": over(lambda x: F.gelu(x, approximate="tanh"), VECTOR),
    "squared_error_16m": over(F.mse_loss, VECTOR, VECTOR),
    "sum_16m": over(torch.sum, VECTOR),
    "sum_axis0_4096": over(lambda x: torch.sum(x, 0), MATRIX),
    "softmax_4096": over(lambda x: torch.softmax(x, -1), MATRIX),
    "rms_norm_4096": over(lambda x, weight: F.rms_norm(x, ROW, weight, 1e-5), MATRIX, ROW),
    "layer_norm_4096": over(lambda x, weight, bias: F.layer_norm(x, ROW, weight, bias, 1e-5), MATRIX, ROW, ROW),
    "transpose_4096": over(lambda x: x.T.contiguous(), MATRIX),
    "sort_1m": over(torch.sort, (1 << 20,)),
    "sdpa_decode": sdpa(1),
    "sdpa_prefill": sdpa(1024),
    "conv2d_56": conv2d,
    "fft_4096": fft,
    "small_adds_1000": small_adds,
}
SETUPS = {name: without_gradients(setup) for name, setup in SETUPS.items()} | {"train_step": train_step}

if __name__ == "__main__":
    peer.main(SETUPS, "PyTorch", torch.__version__)
