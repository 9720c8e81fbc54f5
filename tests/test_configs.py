"""Every YAML in configs/ composes, and so does every registered component in every group that offers it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from deepcrl.cli.hydra.compose import CONFIGS_DIR, compose_values
from deepcrl.core.components import AGENTS, ENCODERS, REGISTRIES
from deepcrl.core.types import EnvSpec
from deepcrl.envs import make_task
from deepcrl.training.build import build_run, env_spec
from deepcrl.training.config import GROUPS, OPTIONAL_GROUPS, RunConfig
from deepcrl.training.sizing.table import preflight
from deepcrl.training.validate import validated

YAMLS = sorted(path.relative_to(CONFIGS_DIR).with_suffix("").as_posix() for path in CONFIGS_DIR.rglob("*.yaml"))
GROUPS_OF_OPTIONS = {group: list(registry) for registry in REGISTRIES.values() for group in registry.groups}


def override_of(yaml: str) -> list[str]:
    group, _, name = yaml.partition("/")
    return [f"{group}={name}"] if name else []


def dataset_for(spec: EnvSpec, folder: Path) -> str:
    arrays = {"observations": np.zeros((9, spec.state_dim)), "actions": np.zeros((9, spec.action_dim))}
    np.savez(folder / "data.npz", allow_pickle=False, **arrays, terminals=np.arange(9) == 8)
    return str(folder / "data.npz")


def test_there_are_configs() -> None:
    assert {"train", "experiment/first_light"} <= set(YAMLS)


@pytest.mark.parametrize("yaml", YAMLS)
def test_every_yaml_composes_into_a_run_that_could_start(yaml: str, tmp_path: Path) -> None:
    values = compose_values(override_of(yaml))
    if values["buffer"]["name"] == "dataset":  # which the user gives
        values["buffer"]["path"] = dataset_for(make_task(values["env"]).spec, tmp_path)
    config = validated(values)
    sizes = preflight(config, env_spec(config), torch.device("cpu"))
    assert all(sizes.parameters.values())
    assert sizes.schedule.training_unrolls > 0
    assert sizes.ring_bytes > 0


@pytest.mark.parametrize("yaml", [yaml for yaml in YAMLS if yaml.startswith("experiment/")])
def test_an_experiment_changes_something_and_gives_way_to_the_command_line(yaml: str) -> None:
    values = compose_values(override_of(yaml))
    assert values != compose_values([])
    changed = compose_values([*override_of(yaml), "seed=7", "num_envs=3"])
    assert (changed["seed"], changed["num_envs"]) == (7, 3)


@pytest.mark.parametrize("number", range(max(len(names) for names in GROUPS_OF_OPTIONS.values())))
def test_every_component_is_an_option(number: int) -> None:
    """One composition takes one option of every group: together they take each at least once."""
    chosen = {group: names[number % len(names)] for group, names in GROUPS_OF_OPTIONS.items()}
    values = compose_values([f"{group}={name}" for group, name in chosen.items()])
    for registry in REGISTRIES.values():
        for group in registry.groups:
            assert values[group] == registry.defaults(chosen[group])


@pytest.mark.parametrize(
    ("arguments", "relabel"),
    [
        (["agent=gcbc"], "geometric"),
        (["agent=gcsl"], "uniform_future"),
        (["agent=gcsl", "relabel=final"], "final"),
        (["relabel=final", "agent=gcsl"], "final"),
    ],
)
def test_an_option_brings_its_choices_and_gives_way_to_the_command_line(arguments: list[str], relabel: str) -> None:
    values = compose_values(arguments)
    assert (values["relabel"]["name"], "defaults" in values["agent"]) == (relabel, False)


def test_every_group_of_a_run_has_options() -> None:
    offered = {group for registry in REGISTRIES.values() for group in registry.groups}
    assert offered == {*GROUPS, *OPTIONAL_GROUPS}


TINY = [
    *("num_threads=1", "num_envs=2", "num_eval_envs=1", "unroll_length=2", "prefill_steps=4", "buffer.capacity=50"),
    *("total_env_steps=100", "batch_size=4"),
]


@pytest.mark.parametrize("name", sorted(ENCODERS))
def test_every_encoder_builds_for_each_network(name: str) -> None:
    groups = ("encoder", "critic_encoder", "sa_encoder", "goal_encoder", "actor_encoder")
    values = compose_values([*TINY, "env=point_u_maze", *(f"{group}={name}" for group in groups)])
    assert build_run(validated(values)).agent.networks


@pytest.mark.parametrize("name", sorted(AGENTS))
def test_the_defaults_of_train_yaml_are_those_of_the_code(name: str) -> None:
    values: dict[str, Any] = compose_values([f"agent={name}"])
    plain = RunConfig()
    for key in set(values) - {*GROUPS, *OPTIONAL_GROUPS}:
        assert values[key] == getattr(plain, key)
