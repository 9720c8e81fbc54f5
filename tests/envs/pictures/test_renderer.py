"""Scenes drawn off screen: markers, cameras, sizes, and which OpenGL is taken."""

# pyright: reportAttributeAccessIssue=false
import importlib.util
import os
import subprocess
import sys

import mujoco
import numpy as np
import pytest

from deepcrl.envs import make_envs
from deepcrl.envs.pictures import renderer
from deepcrl.envs.pictures.renderer import Renderer
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


DRAW = """
import mujoco, sys
from deepcrl.envs.pictures.renderer import Renderer
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


def test_after_drawing_triton_can_be_imported_and_nothing_is_left_on_stderr_at_exit() -> None:
    triton = "import triton" if importlib.util.find_spec("triton") else ""
    assert draw(f"{DRAW}\n{triton}\nprint('still there')") == "drawn\nstill there"


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
    monkeypatch.setattr(renderer, "_load_gl", load)
    monkeypatch.setattr(renderer, "_forget_opengl", lambda: None)
    assert renderer.choose_gl.__wrapped__() == "the class"
    assert tried == ["egl", "osmesa"]
