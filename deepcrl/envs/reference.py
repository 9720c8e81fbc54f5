"""State, goal and action of every family, index by index, as Markdown: `python -m deepcrl.envs.reference > FILE`."""

from __future__ import annotations

from deepcrl.core.components import ENVS, discover
from deepcrl.envs import make_task
from deepcrl.envs.task import GoalTask


def markdown() -> str:
    """Returns docs/environments_reference.md, made from the tasks' labels; tasks with the same ones share a table."""
    discover()
    families: dict[tuple[str, tuple[str, ...], tuple[str, ...], tuple[str, ...]], list[str]] = {}
    for name in ENVS:
        task = make_task({"name": name})
        if isinstance(task, GoalTask) and type(task).__module__.startswith("deepcrl."):
            entries = (task.state_labels, task.goal_labels, task.action_labels)
            families.setdefault((_thresholds(task), *entries), []).append(name)
    lines = ["# State, goal and action", "", "Made by `python -m deepcrl.envs.reference`; do not edit.", ""]
    for (thresholds, state, goal, action), names in families.items():
        lines += [f"## {names[0]}", "", f"Of {', '.join(f'`{name}`' for name in names)}.", thresholds, ""]
        for what, labels in (("state", state), ("goal", goal), ("action", action)):
            lines += [f"| {what} | entry |", "|---|---|"]
            lines += [f"| {index} | {label} |" for index, label in enumerate(labels)]
            lines.append("")
    return "\n".join(lines)


def _thresholds(task: GoalTask) -> str:
    levels = (("success", task.success_radius), ("easy", task.success_easy), ("hard", task.success_hard))
    return f"Distance to the goal below: {', '.join(f'{name} {x}' for name, x in levels if x is not None)}."


if __name__ == "__main__":
    print(markdown(), end="")
