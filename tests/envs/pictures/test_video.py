import io
import os
from collections.abc import Iterator
from pathlib import Path

import imageio.v2 as imageio
import numpy as np
import pytest
import torch
from PIL import Image

from deepcrl.core.types import Observation
from deepcrl.envs import make_envs
from deepcrl.envs.pictures import video
from deepcrl.envs.pictures.frames import rollout_frames
from deepcrl.envs.pictures.video import record_episodes, record_picture, write_picture, write_video


def moving_square(number: int, height: int = 64, width: int = 96) -> Iterator[np.ndarray]:
    for i in range(number):
        frame = np.full((height, width, 3), 60, dtype=np.uint8)
        frame[20:36, i % 80 : i % 80 + 16] = (250, 120, 20)
        yield frame


def read(path: Path) -> list[np.ndarray]:
    return [np.asarray(frame) for frame in imageio.get_reader(path, "ffmpeg")]  # pyright: ignore[reportGeneralTypeIssues]


def gif_lengths(path: Path) -> list[float]:
    """Returns each picture's duration in seconds."""
    with Image.open(path) as gif:
        lengths = []
        for i in range(getattr(gif, "n_frames", 1)):
            gif.seek(i)
            lengths.append(gif.info["duration"] / 1000)
        assert gif.info["loop"] == 0
        return lengths


def test_both_files_hold_every_frame(tmp_path: Path) -> None:
    mp4, gif = tmp_path / "new" / "a.mp4", tmp_path / "new" / "a.gif"
    write_video(moving_square(30), mp4, gif, fps=20)
    frames = read(mp4)
    assert len(frames) == 30
    assert frames[0].shape == (64, 96, 3)
    red = [frame[28, :, 0].astype(int).argmax() for frame in frames]
    assert red[25] > red[2] + 10  # the square moves to the right
    assert imageio.get_reader(mp4, "ffmpeg").get_meta_data()["fps"] == 20
    assert imageio.get_reader(mp4, "ffmpeg").get_meta_data()["pix_fmt"].startswith("yuv420p")
    assert gif_lengths(gif) == pytest.approx([0.05] * 30)
    assert sorted(os.listdir(mp4.parent)) == ["a.gif", "a.mp4"]


def test_odd_sizes_lose_a_row_or_column(tmp_path: Path) -> None:
    write_video(moving_square(3, 65, 97), tmp_path / "a.mp4", None, fps=10)
    assert read(tmp_path / "a.mp4")[0].shape == (64, 96, 3)
    assert os.listdir(tmp_path) == ["a.mp4"]


def test_one_frame(tmp_path: Path) -> None:
    write_video(moving_square(1), tmp_path / "a.mp4", tmp_path / "a.gif", fps=10)
    assert len(read(tmp_path / "a.mp4")) == 1
    with Image.open(tmp_path / "a.gif") as gif:
        assert gif.size == (96, 64)


def test_a_long_video_gives_a_gif_of_the_same_length(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video, "GIF_MAX_FRAMES", 10)
    write_video(moving_square(75), tmp_path / "a.mp4", tmp_path / "a.gif", fps=20)
    lengths = gif_lengths(tmp_path / "a.gif")
    assert 5 <= len(lengths) <= 10
    assert sum(lengths) == pytest.approx(75 / 20, abs=lengths[0])


def test_a_gif_that_is_too_large_gets_slower_until_it_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(0)
    frames = [generator.integers(0, 256, (40, 40, 3), dtype=np.uint8) for _ in range(32)]
    whole = video._gif(frames, 10)
    monkeypatch.setattr(video, "GIF_MAX_BYTES", len(whole) // 3)
    small = video._gif(frames, 10)
    assert len(small) <= len(whole) // 3
    with Image.open(io.BytesIO(small)) as gif:
        assert getattr(gif, "n_frames", 1) == 8
        assert gif.info["duration"] == 400


def test_a_small_robot_keeps_its_colour() -> None:
    floor = np.linspace(100, 250, 200 * 200).astype(np.uint8).reshape(200, 200, 1).repeat(3, axis=2)
    frames = []
    for i in range(8):
        frame = floor.copy()
        frame[50:54, 20 * i : 20 * i + 4] = (230, 120, 40)
        frames.append(frame)
    with Image.open(io.BytesIO(video._gif(frames, 10))) as gif:
        gif.seek(5)
        red, green, blue = gif.convert("RGB").getpixel((102, 52))  # pyright: ignore[reportGeneralTypeIssues]
    assert red > green + 60 > blue + 100


def test_wide_frames_are_shrunk_in_the_gif(tmp_path: Path) -> None:
    write_video(moving_square(2, 100, 960), tmp_path / "a.mp4", tmp_path / "a.gif", fps=10)
    with Image.open(tmp_path / "a.gif") as gif:
        assert gif.size == (480, 50)


def test_an_error_while_drawing_leaves_the_old_video(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"old")

    def broken() -> Iterator[np.ndarray]:
        yield from moving_square(3)
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        write_video(broken(), path, None, fps=10)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.mp4"]


def test_no_frames(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"No frames to write to .*a\.mp4"):
        write_video([], tmp_path / "a.mp4", None, fps=10)
    assert os.listdir(tmp_path) == []


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"^Cannot save .*a\.mp4: "):
        write_video(moving_square(1), tmp_path / "file" / "a.mp4", None, fps=10)


def test_record_episodes_at_speed(tmp_path: Path) -> None:
    env = make_envs({"name": "point_u_maze"}, num_envs=2, episode_length=41, seed=0)
    mp4, gif = tmp_path / "a.mp4", tmp_path / "a.gif"
    record_episodes(env, lambda _: torch.ones(2, 2), mp4, gif, num_tiles=2, size=64, speed=4.0)
    frames = read(mp4)
    assert len(frames) == 11  # 40 steps of 0.05 s, four times as fast, at 20 frames a second, and the start
    assert frames[0].shape == (80, 132, 3)
    assert np.abs(frames[0].astype(int) - frames[-1]).max() > 50
    assert len(gif_lengths(gif)) == 11


def test_a_picture_is_the_frame(tmp_path: Path) -> None:
    frame = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    write_picture(frame[::-1], tmp_path / "new" / "a.png")
    write_picture(frame, tmp_path / "new" / "few.png", 16)
    with Image.open(tmp_path / "new" / "a.png") as image:
        assert np.array_equal(np.asarray(image), frame[::-1])
    with Image.open(tmp_path / "new" / "few.png") as image:
        assert len(image.convert("RGB").getcolors(600) or ()) == 16
    assert sorted(os.listdir(tmp_path / "new")) == ["a.png", "few.png"]


def test_a_picture_shows_the_state_after_so_many_steps(tmp_path: Path) -> None:
    def push(observation: Observation) -> torch.Tensor:
        return torch.ones(len(observation.state), 2)

    for steps in (0, 1, 7):
        env = make_envs({"name": "point_u_maze"}, num_envs=2, episode_length=100, seed=0)
        record_picture(env, push, tmp_path / f"{steps}.png", num_steps=steps, num_tiles=2, size=64)
        env = make_envs({"name": "point_u_maze"}, num_envs=2, episode_length=100, seed=0)
        *_, expected = rollout_frames(env, push, steps, width=64, height=64, num_tiles=2)
        with Image.open(tmp_path / f"{steps}.png") as image:
            assert np.array_equal(np.asarray(image), expected)


ENCODER = """#!/bin/sh
for last; do :; done
printf x > "$last"
{reads}
echo "[out#0/mp4 @ 0x55] Could not write header: No space left on device" >&2
echo "Conversion failed!" >&2
exit 1
"""


@pytest.mark.parametrize("reads", ["head -c 9 > /dev/null", "cat > /dev/null"], ids=["ends early", "ends late"])
def test_a_video_that_is_not_whole_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], reads: str
) -> None:
    (tmp_path / "encoder").write_text(ENCODER.format(reads=reads))
    (tmp_path / "encoder").chmod(0o755)
    monkeypatch.setattr("imageio_ffmpeg.get_ffmpeg_exe", lambda: str(tmp_path / "encoder"))
    frames = [np.zeros((512, 512, 3), dtype=np.uint8)] * 4
    path = tmp_path / "film" / "a.mp4"
    with pytest.raises(OSError, match=f"^Cannot save {path}: No space left on device$"):
        write_video(frames, path, path.with_suffix(".gif"), fps=20)
    assert list(path.parent.iterdir()) == []
    assert capfd.readouterr().err == ""
