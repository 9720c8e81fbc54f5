"""Two backends on the CPU in C++. May import `core` and `kernels`.

`stack` runs all layers in one call, `trunk` fuses what lies between torch's matmuls. `stack` is written in AVX-512 and
AVX2 and serves the processors that have one; `trunk` is portable. Each is one small library, built on first use in a
few seconds and cached by source, compiler and processor.
"""
