"""The Franka arm moves a cube: `arm_push_*` over the table, `arm_binpick_*` from one bin into the other.

docs/environments_manipulation.md says what differs from scaling-crl and JaxGCRL.
"""

# pyright: reportAttributeAccessIssue=false
# mujoco's names come from compiled modules without stubs
from __future__ import annotations

import mujoco
import torch
from torch import Tensor

from deepcrl.core.checks import above, at_least
from deepcrl.core.components import ENVS
from deepcrl.core.types import EnvSpec
from deepcrl.envs.physics import Physics
from deepcrl.envs.robots.panda import FINGERS, JOINTS, STROKE, panda
from deepcrl.envs.scenes.arena import FRICTION, GROUND, ROBOT, WALL, add_sensors
from deepcrl.envs.scenes.labels import angles
from deepcrl.envs.scenes.places import box_bounds, cos_sin, sample_box
from deepcrl.envs.task import Start
from deepcrl.envs.tasks.arm import WRIST_LABELS, ArmTask, arm_scene

CUBE = 0.03
"""Metres: half the cube's side, and the height of its centre on the table. It weighs 0.216 kg."""
FINGERS_START = 0.04
"""Metres."""
CUBE_LABELS = tuple(f"cube {axis} (m)" for axis in "xyz")
GRIPPER_LABEL = "gripper: closes above 0, else opens"
BIN_CENTRE_Y, BIN_HEIGHT, BIN_WALL = 0.6, 0.066, 0.01
"""Metres; the last is the walls' thickness."""
CUBE_ONLY = 4
"""Contact type of walls that hold the cube and let the robot through."""
_CUBE_RGBA, _START_RGBA, _GOAL_RGBA = (0.93, 0.52, 0.22, 1), (0.36, 0.47, 0.60, 1), (0.55, 0.80, 0.65, 1)


def add_cube(scene: mujoco.MjSpec) -> None:
    """Adds a free cube that touches the table, walls and the robot."""
    cube = scene.worldbody.add_body(name="cube", pos=(0, BIN_CENTRE_Y, CUBE))
    cube.add_freejoint(name="cube")
    cube.add_geom(
        name="cube",
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=(CUBE, CUBE, CUBE),
        density=1000,
        rgba=_CUBE_RGBA,
        contype=WALL,
        conaffinity=GROUND | WALL | CUBE_ONLY,
        friction=FRICTION,
        condim=3,
    )


def add_goal_cube(scene: mujoco.MjSpec) -> None:
    """Adds the mocap body `goal`: what the cube looks like there. Without contacts."""
    scene.worldbody.add_body(name="goal", mocap=True).add_geom(
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=(CUBE, CUBE, CUBE),
        material="goal_area",
        mass=0,
        contype=0,
        conaffinity=0,
    )


def add_bins(scene: mujoco.MjSpec, offset: float, size: float) -> None:
    """Adds two square rings of walls at x -`offset` and `offset`, `size` wide inside, all in metres; no floors."""
    scene.option.impratio = 10
    middle, long, short = size / 2 + BIN_WALL / 2, size / 2 + BIN_WALL, size / 2
    for name, x, rgba in (("start", -offset, _START_RGBA), ("goal", offset, _GOAL_RGBA)):
        walls = (
            *((0, -middle, long, BIN_WALL / 2), (0, middle, long, BIN_WALL / 2)),
            *((-middle, 0, BIN_WALL / 2, short), (middle, 0, BIN_WALL / 2, short)),
        )
        for number, (dx, dy, half_x, half_y) in enumerate(walls):
            scene.worldbody.add_geom(
                name=f"{name}_bin_{number}",
                type=mujoco.mjtGeom.mjGEOM_BOX,
                pos=(x + dx, BIN_CENTRE_Y + dy, BIN_HEIGHT / 2),
                size=(half_x, half_y, BIN_HEIGHT / 2),
                rgba=rgba,
                contype=WALL,
                conaffinity=0,
                friction=FRICTION,
                condim=3,
            )


def add_plate(scene: mujoco.MjSpec, centre: tuple[float, float], noise: float, *, goal: bool) -> None:
    """Paints a square on the table: where the cube lies at the start, or where its goals are."""
    half = noise + CUBE
    scene.worldbody.add_geom(
        type=mujoco.mjtGeom.mjGEOM_BOX,
        pos=(*centre, 0.0005),
        size=(half, half, 0.0005),
        rgba=_GOAL_RGBA if goal else _START_RGBA,
        contype=0,
        conaffinity=0,
    )


def on_table(places: Tensor) -> Tensor:
    """Returns the cube's centre [K, 3] where it lies at places [K, 2]."""
    return torch.nn.functional.pad(places, (0, 1), value=CUBE)


def gripper_targets(action: Tensor) -> Tensor:
    """Returns both fingers' targets [N, 2] in metres for the gripper's entry of the action, [N]."""
    return STROKE * (action <= 0)[:, None].to(action.dtype).expand(-1, 2)


class CubeTask(ArmTask):
    """What tasks of the arm with fingers and a cube share.

    State [17]: the cube's position, the joints' angles, position and velocity of link7's origin, and how far the
    fingers are apart. The cube lies on the table when an episode starts.
    """

    spec = EnvSpec(state_dim=17, action_dim=5, goal_indices=(0, 1, 2))
    state_labels = (*CUBE_LABELS, *angles(JOINTS), *WRIST_LABELS, "finger distance (m)")
    action_labels = (*ArmTask.action_labels, GRIPPER_LABEL)

    def cube_scene(self) -> mujoco.MjSpec:
        """Returns the arm and the cube on the table, without anything that shows the goal."""
        scene = arm_scene(panda(fingers=True))
        add_cube(scene)
        add_sensors(scene, ROBOT + "link7", velocity=True)
        return scene

    def state(self, physics: Physics) -> Tensor:
        qpos, joints = physics.field("qpos"), len(JOINTS)
        fingers = qpos[:, joints : joints + 2].sum(dim=1, keepdim=True)
        cube = qpos[:, joints + 2 : joints + 5]
        return torch.cat((cube, qpos[:, :joints], physics.field("sensordata"), fingers), dim=1).float()

    def control(self, physics: Physics, action: Tensor) -> Tensor:
        return torch.cat((super().control(physics, action), gripper_targets(action[:, 4])), dim=1)

    def start(self, cube: Tensor, turn: Tensor, goal: Tensor, generator: torch.Generator) -> Start:
        """Returns the start with cubes at `cube` [K, 3], turned by `turn` [K] radians about z, and goals [K, G]."""
        joints = self.sample_joints(len(cube), generator)
        fingers = joints.new_full((len(cube), len(FINGERS)), FINGERS_START)
        flat = torch.zeros_like(turn)
        cos, sin = cos_sin(turn / 2)
        quaternion = torch.stack((cos, flat, flat, sin), dim=1)
        qpos = torch.cat((joints, fingers, cube, quaternion), dim=1)
        return Start(qpos, qpos.new_zeros(len(cube), len(JOINTS) + len(FINGERS) + 6), goal.float())


class TwoPlaces(CubeTask):
    """A cube that starts at x -`offset` and has its goal at x `offset`, both uniform within `noise`, in metres."""

    def __init__(
        self, *, offset: float, centre_y: float, noise: float, reset_noise: float, success_radius: float
    ) -> None:
        super().__init__(reset_noise=reset_noise, success_radius=success_radius)
        at_least("offset", offset, 0)
        above("centre_y", centre_y, 0)
        at_least("noise", noise, 0)
        self.offset = offset
        self.centre_y = centre_y
        self.noise = noise

    def goal_bounds(self) -> Tensor:
        return on_table(box_bounds((self.offset, self.centre_y), self.noise))

    def sample_start(self, num: int, generator: torch.Generator) -> Start:
        cube = on_table(sample_box((-self.offset, self.centre_y), self.noise, num, generator))
        goal = on_table(sample_box((self.offset, self.centre_y), self.noise, num, generator))
        return self.start(cube, cube.new_zeros(num), goal, generator)


@ENVS.register("arm_push_easy")
@ENVS.register("arm_push_hard", offset=0.25, centre_y=0.65, noise=0.25)
class ArmPush(TwoPlaces):
    """A Franka arm that moves a cube over the table, from a square on its left to a goal in a square on its right.

    The squares' centres are at x -`offset` and `offset` and y `centre_y`; their half sides are `noise`, all in metres.
    """

    def __init__(
        self,
        *,
        offset: float = 0.1,
        centre_y: float = 0.6,
        noise: float = 0.1,
        reset_noise: float = 0.02,
        success_radius: float = 0.1,
    ) -> None:
        super().__init__(
            offset=offset, centre_y=centre_y, noise=noise, reset_noise=reset_noise, success_radius=success_radius
        )

    def build(self) -> mujoco.MjSpec:
        scene = self.cube_scene()
        for x in (-self.offset, self.offset):
            add_plate(scene, (x, self.centre_y), self.noise, goal=x > 0)
        add_goal_cube(scene)
        return scene


@ENVS.register("arm_binpick_easy")
@ENVS.register("arm_binpick_hard", offset=0.3, noise=0.15, bin_size=0.37)
class ArmBinpick(TwoPlaces):
    """A Franka arm that moves a cube from the bin on its left to a goal in the bin on its right.

    The bins' centres are at x -`offset` and `offset`; inside they are `bin_size` wide. Starts and goals are uniform
    within `noise` of the centres, all in metres.
    """

    def __init__(
        self,
        *,
        offset: float = 0.17,
        noise: float = 0.09,
        bin_size: float = 0.27,
        reset_noise: float = 0.02,
        success_radius: float = 0.1,
    ) -> None:
        super().__init__(
            offset=offset, centre_y=BIN_CENTRE_Y, noise=noise, reset_noise=reset_noise, success_radius=success_radius
        )
        check_bins(offset, noise, bin_size)
        self.bin_size = bin_size

    def build(self) -> mujoco.MjSpec:
        scene = self.cube_scene()
        add_bins(scene, self.offset, self.bin_size)
        add_goal_cube(scene)
        return scene


def check_bins(offset: float, noise: float, bin_size: float) -> None:
    """Raises ValueError if the bins overlap, or if a cube within `noise` of their centres would touch a wall."""
    at_least("bin_size", bin_size, round(2 * (noise + CUBE), 6))
    at_least("offset", offset, round(bin_size / 2 + BIN_WALL, 6))
