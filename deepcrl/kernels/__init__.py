"""The residual trunk and the fused loss, in plain PyTorch, in C++ and in Triton. May import `core`."""
