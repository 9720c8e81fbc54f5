"""What may change when a run goes on, and what may not."""

from __future__ import annotations

import re
from typing import Any

import pytest

from deepcrl.run.resume_check import FREE_ON_RESUME, check_resume


def test_resume_compares_a_group_by_name(tiny) -> None:
    saved = tiny().to_dict()
    saved["loss"]["logsumexp_coef"] = 0.3
    check_resume(saved, {"loss": {"name": "infonce", "logsumexp_coef": 0.1}})
    message = "resume: loss=dot contradicts the saved run, which has loss=infonce; .*free to change: total_env_steps"
    with pytest.raises(ValueError, match=message):
        check_resume(saved, {"loss": {"name": "dot"}})


@pytest.mark.parametrize(
    ("key", "value", "before"),
    [("seed", 5, "0"), ("encoder.depth", 8, "4"), ("eval_env", {"name": "ant"}, "None"), ("agent.actor_lr", 1.0, "")],
)
def test_resume_refuses_a_contradiction(tiny, key: str, value: Any, before: str) -> None:
    with pytest.raises(ValueError, match=f"the saved run, which has {re.escape(key)}={before}"):
        check_resume(tiny().to_dict(), {key: value})


def test_resume_lets_the_free_settings_change(tiny) -> None:
    check_resume(tiny().to_dict(), dict.fromkeys(FREE_ON_RESUME, "anything") | {"logger.mode": "online"})
    assert {"total_env_steps", "eval_every", "logger", "video"} <= set(FREE_ON_RESUME)
    assert not {"seed", "loss", "encoder", "batch_size", "num_envs"} & set(FREE_ON_RESUME)
