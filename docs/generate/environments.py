"""State, goal and action of every family, index by index: `python -m docs.generate.environments > FILE`."""

from __future__ import annotations

from deepcrl.core.components import ENVS, discover
from deepcrl.envs import EnvInputs, make_task
from deepcrl.envs.task import GoalTask
from deepcrl.envs.vector import TaskVectorEnv

_HEAD = """# State, goal and action

Made by `python -m docs.generate.environments`; do not edit.

A state succeeds at a smaller distance to its goal than the threshold. Goals lie within the two corners. Some episodes
begin at their goal, as in the sources: that share of 1000 drawn starts succeeds before the first step.

| task | entries of | success, easy, hard | goals within | starts at the goal |
|---|---|---|---|---|"""
STARTS = 1000


def markdown() -> str:
    """Returns docs/environments_reference.md, made from the tasks; those with the same entries share a table."""
    discover()
    built = {name: make_task({"name": name}) for name in ENVS}
    tasks = {
        name: task
        for name, task in built.items()
        if isinstance(task, GoalTask) and type(task).__module__.startswith("deepcrl.")
    }
    families: dict[tuple[tuple[str, ...], ...], str] = {}
    for name, task in tasks.items():
        families.setdefault(_entries(task), name)
    lines = [_HEAD]
    for name, task in tasks.items():
        family = families[_entries(task)]
        lines.append(f"| `{name}` | [{family}](#{family}) | {_thresholds(task)} | {_goals(task)} | {_at_goal(task)} |")
    lines.append("")
    for entries, name in families.items():
        lines += [f"## {name}", ""]
        for what, labels in zip(("state", "goal", "action"), entries, strict=True):
            lines += [f"| {what} | entry |", "|---|---|"]
            lines += [f"| {index} | {label} |" for index, label in enumerate(labels)]
            lines.append("")
    return "\n".join(lines)


def _entries(task: GoalTask) -> tuple[tuple[str, ...], ...]:
    return task.state_labels, task.goal_labels, task.action_labels


def _thresholds(task: GoalTask) -> str:
    levels = (task.success_radius, task.success_easy, task.success_hard)
    return ", ".join("-" if level is None else f"{level:g}" for level in levels)


def _goals(task: GoalTask) -> str:
    bounds = task.goal_bounds()
    if bounds is None:
        return "-"
    return " and ".join(f"({', '.join(f'{value:g}' for value in corner)})" for corner in bounds.tolist())


def _at_goal(task: GoalTask) -> str:
    """The share of starts that are within the success radius of their goal."""
    envs = TaskVectorEnv(task, EnvInputs(num_envs=STARTS, episode_length=1, seed=0))
    first = envs.reset()
    share = (task.distance(first.state, first.goal) < task.success_radius).double().mean().item()
    return f"{share:.1%}" if share else "none"


if __name__ == "__main__":
    print(markdown(), end="")
