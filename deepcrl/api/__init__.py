"""deepcrl from Python: `train`, `load`, `make_envs` and `registry` of the package. May import every room."""

from deepcrl.api.components import make_envs, registry
from deepcrl.api.policy import Policy, load
from deepcrl.api.result import Result
from deepcrl.api.train import train

__all__ = ["Policy", "Result", "load", "make_envs", "registry", "train"]
