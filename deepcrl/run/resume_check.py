"""Which settings a run may be given anew when it goes on."""

from __future__ import annotations

from typing import Any

# Settings that may differ when a run goes on: they change how long, how watched and how fast, not what is learned.
FREE_ON_RESUME = (
    "total_env_steps",
    "total_grad_steps",
    "eval_every",
    "checkpoint_every",
    "keep_checkpoints",
    "logger",
    "num_threads",
    "video",
    "log_blocks",
)


def check_resume(saved: dict[str, Any], asked: dict[str, Any]) -> None:
    """Raises ValueError if `asked`, the settings given beside `resume=`, contradict the `saved` config.

    Keys of `asked` are dotted (`encoder.depth`). A group (`loss=...`) is compared by the name of its choice.
    """
    for key, value in asked.items():
        if key.partition(".")[0] in FREE_ON_RESUME:
            continue
        before, now = _choice(lookup(saved, key)), _choice(value)
        if before != now:
            raise ValueError(
                f"resume: {key}={now} contradicts the saved run, which has {key}={before}; "
                f"start a new run to change it (free to change: {', '.join(FREE_ON_RESUME)})"
            )


def lookup(values: dict[str, Any], key: str) -> Any:
    """Returns the value at a dotted key, None if there is none."""
    value: Any = values
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _choice(value: Any) -> Any:
    return value.get("name", value) if isinstance(value, dict) else value
