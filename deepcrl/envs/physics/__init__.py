"""Physics engines behind one protocol, `Physics`. May import `core` only."""

from deepcrl.envs.physics.protocol import Physics

__all__ = ["Physics"]
