"""Owns the one place from which all optimizers are imported; each has a file of its own."""

from olivine.optimizers.adadelta import AdaDelta
from olivine.optimizers.adafactor import Adafactor
from olivine.optimizers.adagrad import Adagrad
from olivine.optimizers.adam import Adam, Adamax, AdamW
from olivine.optimizers.base import Optimizer
from olivine.optimizers.clipping import clip_grad_norm
from olivine.optimizers.lion import Lion
from olivine.optimizers.multi import MultiOptimizer
from olivine.optimizers.muon import Muon
from olivine.optimizers.rmsprop import RMSprop
from olivine.optimizers.sgd import SGD

__all__ = [
    "SGD",
    "AdaDelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Lion",
    "MultiOptimizer",
    "Muon",
    "Optimizer",
    "RMSprop",
    "clip_grad_norm",
]
