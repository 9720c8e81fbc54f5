"""The trunk on the CPU: torch's matmuls, with the elementwise work between them in one small C++ library.

The library is built on first use, in about two seconds, and cached by source, compiler and processor.
"""
