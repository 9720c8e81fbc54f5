"""Settings of the whole process that a run's configuration asks for: kernels, precision of matmuls, threads, GPU."""

from __future__ import annotations

import torch

from deepcrl.kernels import dispatch
from deepcrl.training.config import RunConfig

ALL_THREADS = torch.get_num_threads()


def configure_process(config: RunConfig, device: torch.device) -> None:
    """Sets what PyTorch and the kernels keep per process, before agents are built and run on `device`.

    `config.kernels` runs the residual trunks, `config.precision` says whether fp32 matmuls may be tf32, and
    `config.num_threads` is the number of PyTorch's threads (0: as many as at the start). `build_run` and
    `trained_agent` call this; whoever builds an agent directly calls it first. Raises ValueError for unknown kernels.
    """
    dispatch.choose(config.kernels)
    torch.set_float32_matmul_precision("high" if config.precision == "tf32" else "highest")
    torch.set_num_threads(config.num_threads or ALL_THREADS)
    if device.type == "cuda" and device.index is not None:
        torch.cuda.set_device(device)  # Triton and CUDA graphs launch on the current one
