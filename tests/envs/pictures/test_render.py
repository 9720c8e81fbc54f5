# pyright: reportAttributeAccessIssue=false
import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator

import mujoco
import numpy as np
import pytest
import torch
from torch import Tensor

from deepcrl.core.types import Observation, VectorEnv
from deepcrl.envs import make_envs
from deepcrl.envs.pictures import render
from deepcrl.envs.pictures.render import Renderer, caption_height, rollout_frames, tile, view_live
from deepcrl.envs.vector import TaskVectorEnv

SCENE = """
<mujoco>
  <worldbody>
    <light pos="0 0 5"/>
    <camera name="above" pos="0 0 6"/>
    <camera name="aside" pos="0 -6 1" xyaxes="1 0 0 0 0 1"/>
    <geom type="plane" size="5 5 .1" rgba=".5 .5 .5 1"/>
    <body name="goal" mocap="true" pos="-1 0 .2"><geom size=".3" rgba="0 1 0 1" contype="0" conaffinity="0"/></body>
  </worldbody>
</mujoco>
"""


def point_maze(num_envs: int = 2, episode_length: int = 1000) -> TaskVectorEnv:
    env = make_envs({"name": "point_u_maze"}, num_envs=num_envs, episode_length=episode_length, seed=0)
    assert isinstance(env, TaskVectorEnv)
    return env


def still(observation: Observation) -> Tensor:
    return torch.zeros(len(observation.state), 2)


def green_columns(image: np.ndarray) -> np.ndarray:
    red, green, blue = image.astype(int).transpose(2, 0, 1)
    return np.nonzero((green > red + 40) & (green > blue + 40))[1]


def test_the_goal_marker_is_seen_where_it_is() -> None:
    model = mujoco.MjModel.from_xml_string(SCENE)
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    with Renderer(model, 100, 80) as renderer:
        left = renderer.render(data, "above")
        data.mocap_pos[0, 0] = 1.0
        mujoco.mj_forward(model, data)
        right = renderer.render(data, "above")
        aside = renderer.render(data, "aside")
        free = renderer.render(data)
    assert left.shape == (80, 100, 3)
    assert left.dtype == np.uint8
    assert green_columns(left).max() < 50 < green_columns(right).min()
    assert not np.array_equal(right, aside)
    assert free.std() > 0


def test_pictures_are_the_right_way_up() -> None:
    model = mujoco.MjModel.from_xml_string(SCENE)
    data = mujoco.MjData(model)
    data.mocap_pos[0] = (0, 0, 2.5)
    mujoco.mj_forward(model, data)
    with Renderer(model, 64, 64) as renderer:
        green = green_columns(renderer.render(data, "aside").transpose(1, 0, 2))
    assert green.max() < 32  # above the camera's height, so in the upper half


def test_sizes_beyond_the_models_buffer() -> None:
    model = mujoco.MjModel.from_xml_string(SCENE)  # its off-screen buffer is 640 x 480
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    with Renderer(model, 801, 603, shadows=True) as renderer:
        assert renderer.render(data, "above").shape == (603, 801, 3)


def test_an_unknown_camera_is_named_with_the_known_ones() -> None:
    model = mujoco.MjModel.from_xml_string(SCENE)
    with Renderer(model, 16, 16) as renderer, pytest.raises(ValueError, match=r"camera 'top'. Known: above, aside"):
        renderer.render(mujoco.MjData(model), "top")


def test_closing_twice() -> None:
    renderer = Renderer(mujoco.MjModel.from_xml_string(SCENE), 16, 16)
    renderer.close()
    renderer.close()


@pytest.mark.parametrize("name", ["point_u_maze", "ant", "ant_u_maze"])
def test_environments_show_their_goal(name: str) -> None:
    env = make_envs({"name": name}, num_envs=1, episode_length=10, seed=0)
    assert isinstance(env, TaskVectorEnv)
    env.reset()
    data = env.data(0)
    with Renderer(env.task.model, 160, 160) as renderer:
        shown = renderer.render(data, "overview")
        followed = renderer.render(data, "track")
        data.mocap_pos[0] = (0, 0, -50)
        mujoco.mj_forward(env.task.model, data)
        hidden = renderer.render(data, "overview")
    assert len(green_columns(shown)) > 10
    assert len(green_columns(hidden)) == 0
    assert followed.std() > 5


def test_rollout_yields_the_start_and_every_kth_step() -> None:
    env = point_maze()
    seen = []

    def act(observation: Observation) -> Tensor:
        seen.append(observation)
        return still(observation)

    frames = list(rollout_frames(env, act, 6, width=64, height=48, every=3))
    assert len(seen) == 6
    assert len(frames) == 3
    assert frames[0].shape == (48 + caption_height(48), 64, 3)


def test_rollout_shows_several_episodes() -> None:
    (frame,) = rollout_frames(point_maze(num_envs=3), still, 0, width=64, height=48, num_tiles=3)
    high = 48 + caption_height(48)
    assert frame.shape == (2 * high + render.GAP, 2 * 64 + render.GAP, 3)
    assert not np.array_equal(frame[:high, :64], frame[:high, -64:])  # episodes with other goals


def test_captions_count_steps_within_the_episode(monkeypatch: pytest.MonkeyPatch) -> None:
    captions = []

    def note(image: np.ndarray, step: int, distance: float, at_goal: bool) -> np.ndarray:
        captions.append((step, distance))
        return image

    monkeypatch.setattr(render, "_caption", note)
    env = point_maze(num_envs=1, episode_length=3)
    list(rollout_frames(env, still, 4, width=16, height=16))
    assert [step for step, _ in captions] == [0, 1, 2, 0, 1]
    observation = Observation(env._state, env._goal)
    assert captions[-1][1] == pytest.approx(float(env.task.distance(observation.state, observation.goal)))


def test_caption_shows_success_by_colour_and_leaves_the_picture() -> None:
    image = np.full((96, 128, 3), 200, dtype=np.uint8)
    far, near = render._caption(image, 3, 2.0, False), render._caption(image, 3, 0.4, True)
    for captioned in (far, near):
        np.testing.assert_array_equal(captioned[:96], image)
    assert tuple(far[-1, -1]) == render.PLATE
    assert tuple(near[-1, -1]) == render.AT_GOAL
    assert (far[96:] > 200).any()  # the text


@pytest.mark.parametrize(("number", "shape"), [(1, (5, 7)), (2, (5, 18)), (3, (14, 18)), (5, (14, 29))])
def test_tile(number: int, shape: tuple[int, int]) -> None:
    images = [np.full((5, 7, 3), 100 + i, dtype=np.uint8) for i in range(number)]
    grid = tile(images)
    assert grid.shape == (*shape, 3)
    assert {100 + i for i in range(number)} <= set(grid.ravel().tolist())


def test_rollout_refuses_more_tiles_than_environments() -> None:
    with pytest.raises(ValueError, match="num_tiles must be between 1 and num_envs=2, got 3"):
        next(rollout_frames(point_maze(), still, 1, num_tiles=3))


class Foreign:
    spec, num_envs, episode_length = None, 1, 10


def test_an_environment_without_a_scene_is_refused(foreign: VectorEnv) -> None:
    with pytest.raises(ValueError, match="Foreign cannot be drawn"):
        next(rollout_frames(foreign, still, 1))
    with pytest.raises(ValueError, match="Foreign has no MuJoCo scene"):
        view_live(foreign, still)


@pytest.fixture
def foreign() -> VectorEnv:
    return Foreign()  # pyright: ignore[reportReturnType]  on purpose


def test_no_display_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render, "has_display", lambda: False)
    with pytest.raises(ValueError, match=r"^There is no display .* record a video instead$"):
        view_live(point_maze(), still)


@pytest.mark.parametrize("name", ["DISPLAY", "WAYLAND_DISPLAY"])
def test_display_detection(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    for each in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(each, raising=False)
    assert not render.has_display()
    monkeypatch.setenv(name, ":0")
    assert render.has_display()
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.delenv(name)
    assert render.has_display()


class FakeViewer:
    """Stands for MuJoCo's window: stays open for three looks."""

    def __init__(self, data: mujoco.MjData) -> None:
        self.data, self.times = data, []

    def is_running(self) -> bool:
        return len(self.times) < 3

    def lock(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    def sync(self) -> None:
        self.times.append(self.data.time)


def test_the_viewer_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    env = point_maze()
    opened = []

    @contextlib.contextmanager
    def launch_passive(model: mujoco.MjModel, data: mujoco.MjData) -> Iterator[FakeViewer]:
        assert model is not env.task.model
        opened.append(FakeViewer(data))
        yield opened[0]

    monkeypatch.setattr(render, "has_display", lambda: True)
    monkeypatch.setattr(render, "_sleep", lambda seconds: None)
    monkeypatch.setitem(sys.modules, "mujoco.viewer", type("viewer", (), {"launch_passive": launch_passive}))
    view_live(env, still)
    assert opened[0].times == pytest.approx([0.05, 0.1, 0.15])


DRAW = """
import mujoco, sys
from deepcrl.envs.pictures.render import Renderer
model = mujoco.MjModel.from_xml_string('<mujoco><worldbody><geom size="1"/></worldbody></mujoco>')
try:
    with Renderer(model, 16, 16):
        print("drawn")
except RuntimeError as error:
    print(error)
"""


def draw(program: str = DRAW, **environment: str) -> str:
    inherited = {k: v for k, v in os.environ.items() if k not in ("MUJOCO_GL", "PYOPENGL_PLATFORM")}
    result = subprocess.run(
        [sys.executable, "-c", program], env={**inherited, **environment}, capture_output=True, text=True
    )
    assert result.returncode == 0
    assert result.stderr == ""
    return result.stdout.strip()


def test_drawing_leaves_nothing_on_stderr_at_exit() -> None:
    assert draw() == "drawn"


def test_after_a_picture_comes_triton() -> None:
    pytest.importorskip("triton")
    assert draw(DRAW + "import triton; print(triton.__name__)") == "drawn\ntriton"


def test_without_any_gl_one_line_says_what_to_install() -> None:
    message = draw(MUJOCO_GL="egl", MUJOCO_EGL_DEVICE_ID="99")
    assert message.startswith("Cannot render: no OpenGL without a display. Install EGL (Debian: libegl1")
    assert "osmesa:" not in message  # it was not asked for
    assert "\n" not in message


def test_a_failed_egl_gives_way_to_osmesa(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []

    def load(backend: str) -> str:
        tried.append(backend)
        if backend == "egl":
            raise ImportError("no EGL here\nand more")
        return "the class"

    monkeypatch.delenv("MUJOCO_GL", raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(render, "_load_gl", load)
    monkeypatch.setattr(render, "_forget_opengl", lambda: None)
    assert render.choose_gl.__wrapped__() == "the class"
    assert tried == ["egl", "osmesa"]
