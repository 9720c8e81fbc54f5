"""A run on disk: directory, checkpoints, metrics, loggers, films. May import `train` and what `train` may."""
