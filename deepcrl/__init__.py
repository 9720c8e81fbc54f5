"""Deep contrastive RL in PyTorch: goal-reaching agents, 4 to 1024 layers deep, no reward. May import `api`, when asked.

`train`, `load`, `make_envs` and `registry` are imported when they are first used: `import deepcrl` needs no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deepcrl.version import __version__

if TYPE_CHECKING:
    from deepcrl.api import Policy, Result, load, make_envs, registry, train

__all__ = ["Policy", "Result", "__version__", "load", "make_envs", "registry", "train"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'deepcrl' has no attribute {name!r}")
    from deepcrl import api

    return getattr(api, name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
