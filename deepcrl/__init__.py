"""Deep contrastive reinforcement learning in PyTorch: goal-reaching agents, 4 to 1024 layers deep, no reward."""

__version__ = "0.1.0"
