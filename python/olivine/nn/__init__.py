"""Owns the public face of neural networks: layers, losses, initializers and training helpers."""

from olivine.nn import init, layers, losses, utils
from olivine.nn.layers import *
from olivine.nn.utils import average_gradients, value_and_grad

__all__ = [
    "average_gradients",
    "init",
    "layers",
    "losses",
    "utils",
    "value_and_grad",
]
__all__ += layers.__all__
