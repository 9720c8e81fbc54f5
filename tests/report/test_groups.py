from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from deepcrl.report.groups import Group, by_task, differing, plain, shortest
from deepcrl.report.read import read_runs


def groups_of(path: Path) -> list[Group]:
    (task,) = by_task(read_runs([path]).runs)
    return task.groups


def test_seeds_of_one_configuration_are_one_group(write, tmp_path: Path) -> None:
    for depth in (16, 4):
        for seed in (0, 1):
            write(tmp_path / f"d{depth}s{seed}", [0, 10 * depth + seed], depth=depth, seed=seed)
    groups = groups_of(tmp_path)
    assert [group.label for group in groups] == ["depth=4", "depth=16"], "numbers in the order of their size"
    assert [[run.seed for run in group.runs] for group in groups] == [[0, 1], [0, 1]]
    assert groups[1].final_scores.tolist() == [160, 161]
    estimate = groups[1].final("eval/time_at_goal")
    assert estimate is not None
    assert estimate.value == 160.5


@pytest.mark.parametrize("free", [{"seed": 1}, {"num_threads": 3}, {"total_env_steps": 7 * 10**7}, {"run_dir": "b"}])
def test_what_does_not_change_what_is_learned_makes_no_group(write, tmp_path: Path, free) -> None:
    write(tmp_path / "a", [0, 1])
    write(tmp_path / "b", [0, 2], **free)
    (group,) = groups_of(tmp_path)
    assert (group.label, len(group.runs)) == ("all runs", 2)


def test_another_component_is_named_and_its_own_settings_are_not(write, tmp_path: Path) -> None:
    write(tmp_path / "a", [0, 1], loss="infonce", actor_encoder=None)
    write(tmp_path / "b", [0, 1], loss="symmetric_infonce", actor_encoder={"name": "residual_mlp", "depth": 8})
    assert [group.values for group in groups_of(tmp_path)] == [
        {"loss": "infonce", "actor_encoder": None},
        {"loss": "symmetric_infonce", "actor_encoder": "residual_mlp"},
    ]


def test_a_setting_that_older_runs_lack_is_no_difference() -> None:
    assert differing([{"a": 1, "b": 2}, {"a": 1}]) == []
    assert differing([{"a": 1, "b": 2}, {"a": 1}, {"a": 1, "b": 3}]) == ["b"]


def test_the_own_default_of_a_component_is_no_difference_but_what_was_chosen_is() -> None:
    coef = "loss.logsumexp_coef"
    own = [{"loss": "infonce", coef: 0.1}, {"loss": "fb", coef: 0.0}, {"loss": "unknown here"}]
    assert differing(own) == ["loss"]
    assert differing([*own, {"loss": "fb", coef: 0.1}]) == ["loss", coef]
    assert differing([{"loss": "infonce", coef: 0.2}, {"loss": "fb", coef: 0.0}]) == ["loss", coef]
    assert differing([{"loss": "x", coef: 0.2}, {"loss": "y", coef: 0.1}]) == ["loss", coef], "of plugins not loaded"
    assert differing([{"encoder": "mlp", "encoder.depth": 2}, {"encoder": "mlp", "encoder.depth": 8}]) == [
        "encoder.depth"
    ]


def test_tasks_are_kept_apart_by_where_they_are_scored(write, tmp_path: Path) -> None:
    write(tmp_path / "a", [0, 1], env="point_u_maze", depth=4)
    write(tmp_path / "b", [0, 1], env="ant_u_maze", depth=8)
    write(tmp_path / "c", [0, 1], env="point_u_maze", eval_env={"name": "point_u_maze_eval"})
    tasks = by_task(read_runs([tmp_path]).runs)
    assert [(task.name, task.keys) for task in tasks] == [
        ("ant_u_maze", []), ("point_u_maze", []), ("point_u_maze_eval", []),
    ]  # fmt: skip


def test_where_much_differs_a_group_is_named_by_what_is_unusual(write, tmp_path: Path) -> None:
    usual = {"depth": 4, "batch_size": 512, "num_envs": 512, "reset": "resample"}
    for i, change in enumerate(({}, {"depth": 8}, {"batch_size": 64}, {"num_envs": 8, "reset": "fixed"})):
        write(tmp_path / str(i), [0, 1], **(usual | change))
    labels = {group.label for group in groups_of(tmp_path)}
    everything = "depth=4, num_envs=512, reset=resample, batch_size=512"
    assert labels == {everything, "depth=8", "batch_size=64", "num_envs=8, reset=fixed"}


def test_groups_that_differ_have_different_names(write, tmp_path: Path) -> None:
    for i, depth in enumerate((4, 8, 16)):
        for j, size in enumerate((64, 128)):
            more = {"num_envs": 8 + i, "unroll_length": 60 + j, "prefill_steps": 1000 + i}
            write(tmp_path / f"{i}{j}", [0, 1], depth=depth, batch_size=size, **more)
    assert len({group.label for group in groups_of(tmp_path)}) == 6


def test_a_group_that_lacks_a_setting_is_told_from_the_usual_ones(write, tmp_path: Path) -> None:
    for i, goals in enumerate((None, 0.5, 0.8, 0.8)):
        more = {"num_envs": 8, "unroll_length": 60 + i % 2, "batch_size": 64 + i % 2, "prefill_steps": 900 + i % 2}
        path = write(tmp_path / str(i), [0, 1], seed=i, **more)
        config = yaml.safe_load((path / "config.yaml").read_text())
        config["agent"]["random_goals"] = goals
        if goals is None:
            del config["agent"]["random_goals"]  # as in a run that is older than the setting
        (path / "config.yaml").write_text(yaml.safe_dump(config))
    labels = [group.label for group in groups_of(tmp_path)]
    assert len(set(labels)) == len(labels) == 4
    assert any("random_goals=unset" in label for label in labels)


@pytest.mark.parametrize(("value", "said"), [(None, "null"), (True, "true"), (3, "3"), (3e-4, "0.0003"), ("l2", "l2")])
def test_values_are_spelled_as_in_yaml(value, said: str) -> None:
    assert plain(value) == said


def test_names_are_as_short_as_is_clear() -> None:
    keys = ["encoder.depth", "encoder.width", "actor_encoder.depth", "batch_size"]
    assert list(shortest(keys).values()) == ["encoder.depth", "width", "actor_encoder.depth", "batch_size"]


def test_reaching_is_the_median_over_runs_and_needs_half_of_them(write, tmp_path: Path) -> None:
    for seed, scores in enumerate(([0, 100, 300], [0, 0, 300], [0, 0, 0])):
        write(tmp_path / f"s{seed}", scores, seed=seed, steps=1000)
    (group,) = groups_of(tmp_path)
    assert group.reaching(200, "env_steps") == 2000
    assert group.reaching(200, "wall_seconds") == 60
    assert group.reaching(50, "grad_steps") == 80
    assert group.reaching(301, "env_steps") is None
    assert Group({}, group.runs[:1]).reaching(50, "env_steps") == 1000
    assert Group({}, [group.runs[0], group.runs[2], group.runs[2]]).reaching(50, "env_steps") is None


def test_an_offline_run_ends_where_its_gradient_steps_do(write, tmp_path: Path) -> None:
    write(tmp_path / "run", [0.0, 10.0, 60.0], more={"env_steps": 0})
    (task,) = by_task(read_runs([tmp_path]).runs)
    assert task.groups[0].final_scores.tolist() == [35]


def test_a_metric_that_one_run_lacks_has_no_band(write, tmp_path: Path) -> None:
    write(tmp_path / "a", [0, 1], more={"actor/entropy": 2.0})
    write(tmp_path / "b", [0, 1], seed=1)
    (group,) = groups_of(tmp_path)
    assert group.band("actor/entropy", "env_steps") is None
    assert group.final("actor/entropy") is None
    band = group.band("critic/loss", "wall_seconds")
    assert band is not None
    assert band.x[-1] == 57
