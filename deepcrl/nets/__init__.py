"""Encoders, one per file, and the layers that they are made of. May import `core` and `kernels`."""
