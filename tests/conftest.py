"""Fills the registries once, and keeps tests off all cores."""

import torch

from deepcrl.core.components import discover

torch.set_num_threads(2)
discover()
