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
SIZE = 1 << 24


def matmul(n):
    """Square product."""

    def setup():
        a, b = torch.randn(n, n), torch.randn(n, n)
        return lambda: a @ b

    return setup


def pointwise(function, inputs=1):
    """A function of `inputs` large vectors."""

    def setup():
        values = [torch.randn(SIZE) for _ in range(inputs)]
        return lambda: function(*values)

    return setup


def gelu(x):
    """The tanh approximation, op by op."""
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def softmax():
    x = torch.randn(4096, 4096)
    return lambda: torch.softmax(x, -1)


def rms_norm():
    x, weight = torch.randn(4096, 4096), torch.randn(4096)
    return lambda: F.rms_norm(x, (4096,), weight, 1e-5)


def sdpa(queries):
    """Grouped-query attention over 1024 keys."""

    def setup():
        q = torch.randn(1, 32, queries, 128)
        k, v = torch.randn(1, 8, 1024, 128), torch.randn(1, 8, 1024, 128)
        return lambda: F.scaled_dot_product_attention(q, k, v, is_causal=queries > 1, enable_gqa=True)

    return setup


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
    "add_16m": pointwise(torch.add, 2),
    "exp_16m": pointwise(torch.exp),
    "gelu_16m": pointwise(gelu),
    "gelu_fused_16m": pointwise(lambda x: F.gelu(x, approximate="tanh")),
    "squared_error_16m": pointwise(F.mse_loss, 2),
    "sum_16m": pointwise(torch.sum),
    "softmax_4096": softmax,
    "rms_norm_4096": rms_norm,
    "sdpa_decode": sdpa(1),
    "sdpa_prefill": sdpa(1024),
    "small_adds_1000": small_adds,
}
SETUPS = {name: without_gradients(setup) for name, setup in SETUPS.items()} | {"train_step": train_step}

if __name__ == "__main__":
    peer.main(SETUPS, f"Time PyTorch {torch.__version__} on {peer.THREADS} threads.")
