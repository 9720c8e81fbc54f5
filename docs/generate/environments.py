"""State, goal and action of every family, index by index: `python -m docs.generate.environments > FILE`."""

from __future__ import annotations

from deepcrl.core.components import ENVS, discover
from deepcrl.envs import make_task
from deepcrl.envs.task import GoalTask

_HEAD = """# State, goal and action

Made by `python -m docs.generate.environments`; do not edit.

A state succeeds at a smaller distance to its goal than the threshold. Goals lie within the two corners.

| task | entries of | success, easy, hard | goals within |
|---|---|---|---|"""


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
        lines.append(f"| `{name}` | [{family}](#{family}) | {_thresholds(task)} | {_goals(task)} |")
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


if __name__ == "__main__":
    print(markdown(), end="")
