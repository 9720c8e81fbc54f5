"""Deep contrastive RL in PyTorch: goal-reaching agents, 4 to 1024 layers deep, no reward. May import nothing."""

__version__ = "0.1.0"
