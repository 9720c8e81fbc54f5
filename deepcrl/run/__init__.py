"""A run on disk: directory, checkpoints, metrics, loggers, films. May import `training` and what it may."""
