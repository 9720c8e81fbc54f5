"""Memory for contacts and constraints is enough for what simulations need, and counted as said."""

# pyright: reportAttributeAccessIssue=false
# mujoco's names come from compiled modules without stubs
from __future__ import annotations

import mujoco
import pytest
import torch

from deepcrl.core.components import ENVS, discover
from deepcrl.envs import make_task
from deepcrl.envs.physics.sizing import bounds
from deepcrl.envs.task import GoalTask

discover()
CLASSES = {type(task): name for name in reversed(list(ENVS)) if isinstance(task := make_task({"name": name}), GoalTask)}


def compiled(world: str, more: str = "") -> mujoco.MjModel:
    return mujoco.MjModel.from_xml_string(f"<mujoco><worldbody>{world}</worldbody>{more}</mujoco>")


def body(geom: str, joint: str = '<joint type="slide"/>') -> str:
    return f"<body>{joint}<geom {geom}/></body>"


FLOOR = '<geom type="plane" size="1 1 1"/>'
SPHERE, BOX, CAPSULE = 'type="sphere" size="1"', 'type="box" size="1 1 1"', 'type="capsule" size="1 1"'


@pytest.mark.parametrize(
    ("world", "more", "expected"),
    [
        (body(SPHERE), "", (0, 0, 1)),  # one friction row per degree of freedom
        (FLOOR + body(SPHERE), "", (1, 0, 1 + 4)),  # a pyramid of four sides
        (FLOOR + body(SPHERE + ' condim="1"') + '<geom size="1" condim="1"/>', "", (2, 0, 1 + 4 + 1)),
        (FLOOR + body(SPHERE + ' contype="0" conaffinity="0"'), "", (0, 0, 1)),
        (FLOOR + body(CAPSULE + ' condim="6"'), "", (2, 0, 1 + 20)),
        (FLOOR + body(BOX), "", (8, 0, 1 + 32)),
        (body(BOX) + body(BOX), "", (16, 2, 2 + 64)),  # each of the two counts the other
        (f"<geom {CAPSULE}/>" + body(BOX), "", (2, 0, 1 + 8)),
        (FLOOR * 9 + body(SPHERE), "", (6, 0, 1 + 24)),  # no more than six neighbours
        (body(SPHERE, '<joint type="slide" limited="true" range="0 1"/>'), "", (0, 0, 1 + 1)),
        (body(SPHERE, '<joint name="j"/>'), '<equality><joint joint1="j"/></equality>', (0, 0, 1 + 6)),
        (
            '<geom name="a" size="1" contype="0"/>' + body(SPHERE + ' name="b" contype="0"'),
            '<contact><pair geom1="a" geom2="b" condim="4"/></contact>',
            (1, 0, 1 + 6),
        ),
    ],
)
def test_bounds_of_small_models(world: str, more: str, expected: tuple[int, int, int]) -> None:
    assert tuple(bounds(compiled(world, more))) == expected


@pytest.mark.parametrize("name", CLASSES.values())
def test_random_actions_need_less(name, make, actions) -> None:
    envs = make(name, num_envs=8)
    envs.reset()
    size = bounds(envs.task.model)
    most = torch.zeros(2, dtype=torch.int64)
    for number, action in enumerate(actions(envs, 60)):
        envs.step(action)
        if number % 6:
            continue
        data = [envs.data(index) for index in range(8)]
        most = torch.maximum(most, torch.tensor([[d.ncon, d.nefc] for d in data]).amax(dim=0))
    assert most[0] <= size.contacts
    assert most[1] <= size.constraints
    assert most[0] > 0 or not name.startswith(("ant", "half_cheetah", "humanoid"))
