"""GPU kernels in Triton. May import `core` and `kernels`.

Nothing outside this package imports it at module level, so deepcrl works without Triton.

`trunk` is the backend of `deepcrl.kernels.trunk` on two rungs: `norm` and `stack`. `infonce` holds
the fused energy and loss. docs/kernels.md tells how each is verified, and what remains to be measured.
"""
