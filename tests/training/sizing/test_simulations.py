"""The memory of simulations, and sizes that no machine has, told before anything is built."""

from __future__ import annotations

import pytest
import torch

from deepcrl.core.components import AGENTS, ENCODERS, ENVS
from deepcrl.training.build import env_spec
from deepcrl.training.sizing.simulations import LIBRARIES, simulation_bytes
from deepcrl.training.sizing.table import preflight


def test_ants_take_what_was_measured(tiny) -> None:
    ants = {"env": ENVS.defaults("ant"), "num_envs": 1}
    mib = [simulation_bytes(tiny(**ants, num_eval_envs=num)) / 2**20 for num in (128, 8192)]
    assert 598 - 431 < mib[0] < 1.2 * (598 - 431)  # measured without them and with them
    assert 1067 - 583 < mib[1] < 1.6 * (1067 - 583)


def test_more_simulations_take_more(tiny) -> None:
    few, many = (simulation_bytes(tiny(num_envs=num)) for num in (4, 8))
    assert LIBRARIES < few < many


TOO_LARGE = [
    ({"batch_size": 10**12}, "Not enough memory: a batch takes .* lower batch_size$"),
    ({"batch_size": 10**18}, "Not enough memory: a batch takes .* lower batch_size$"),
    ({"encoder": ENCODERS.defaults("residual_mlp") | {"width": 10**9}}, "no machine holds such networks; lower "),
    ({"num_threads": 10**6}, "num_threads must be at most [0-9]+, got 1000000"),
    ({"episode_length": 10**12}, "episode_length must be at most 2147483647, got 1000000000000"),
    ({"num_eval_envs": 10**7}, "Not enough memory: .* lower num_envs or num_eval_envs$"),
    ({"agent": AGENTS.defaults("crl") | {"num_critics": 10**8}}, "agent.num_critics must be at most 1000, got 10"),
    (
        {"agent": AGENTS.defaults("crl") | {"evaluation": "best_of", "num_candidates": 10**9}},
        "Not enough memory: .* activations",
    ),
]


@pytest.mark.parametrize(("changes", "message"), TOO_LARGE)
def test_too_large_for_any_machine(tiny, changes, message: str, capfd: pytest.CaptureFixture[str]) -> None:
    def check() -> None:
        config = tiny(**changes)
        preflight(config, env_spec(config), torch.device("cpu")).check()

    with pytest.raises(ValueError, match=message) as raised:
        check()
    assert "\n" not in str(raised.value)
    assert capfd.readouterr() == ("", "")
