"""Writes frames as MP4 for players, as a small looping GIF for web pages, or one as PNG."""

from __future__ import annotations

import contextlib
import io
import itertools
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

import numpy as np

from deepcrl.core.files import replacing
from deepcrl.core.types import VectorEnv
from deepcrl.envs.pictures.frames import rollout_frames
from deepcrl.envs.pictures.render import OVERVIEW, Act, can_render

GIF_MAX_BYTES = 3_000_000
GIF_MAX_WIDTH = 480
GIF_MAX_FRAMES = 150
GIF_COLORS = 64


def record_episodes(
    env: VectorEnv,
    act: Act,
    path_mp4: str | Path,
    path_gif: str | Path | None = None,
    *,
    num_steps: int | None = None,
    num_tiles: int = 1,
    size: int = 320,
    camera: str = OVERVIEW,
    speed: float = 4.0,
    fps: int = 20,
    shadows: bool = False,
) -> None:
    """Records one episode, or `num_steps` control steps, of the first `num_tiles` environments, each `size` pixels.

    The video runs `speed` times as fast as the world. Raises ValueError as `rollout_frames`, RuntimeError if nothing
    can be rendered here, OSError if a file cannot be written.
    """
    ctrl_dt = env.task.ctrl_dt if can_render(env) else 1.0
    every = max(1, round(speed / (fps * ctrl_dt)))
    frames = rollout_frames(
        env,
        act,
        # One step less than an episode: after its last step the environment shows the next episode's start
        num_steps if num_steps is not None else env.episode_length - 1,
        width=size,
        height=size,
        camera=camera,
        num_tiles=num_tiles,
        every=every,
        shadows=shadows,
    )
    write_video(frames, path_mp4, path_gif, fps=fps)


def record_picture(
    env: VectorEnv,
    act: Act,
    path: str | Path,
    *,
    num_steps: int = 0,
    num_tiles: int = 1,
    size: int = 320,
    camera: str = OVERVIEW,
) -> None:
    """Writes what `record_episodes` shows after `num_steps` control steps, as a PNG; errors as there."""
    shape = {"width": size, "height": size, "camera": camera, "num_tiles": num_tiles}
    *_, last = rollout_frames(env, act, num_steps, every=max(1, num_steps), **shape)
    write_picture(last, path)


def write_picture(frame: np.ndarray, path: str | Path, colors: int | None = None) -> None:
    """Writes a frame [H, W, 3] uint8 as a PNG, of so many `colors` if it is to be small.

    An existing file is replaced only by a complete one. Raises OSError if it cannot be written.
    """
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(frame))
    if colors is not None:
        image = image.quantize(colors, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    with _replacing(path) as unfinished:
        image.save(unfinished, "PNG", optimize=True)


def write_video(frames: Iterable[np.ndarray], path_mp4: str | Path, path_gif: str | Path | None, *, fps: int) -> None:
    """Writes equal frames [H, W, 3] uint8 as H.264 MP4 and, unless `path_gif` is None, as a looping GIF.

    An odd height or width loses its last row or column, for H.264 needs even ones. The GIF is smaller, slower and of
    few colours, so that it stays under 3 MB. Frames are taken one by one. Existing files are replaced only by
    complete ones. Raises ValueError if there are no frames, OSError if a file cannot be written.
    """
    kept: list[np.ndarray] = []
    stride = 1
    frames = iter(frames)
    first = next(frames, None)
    if first is None:
        raise ValueError(f"No frames to write to {path_mp4}")
    height, width = first.shape[0] // 2 * 2, first.shape[1] // 2 * 2
    with _replacing(path_mp4) as unfinished, _encoder(unfinished, width, height, fps) as encoder:
        for i, frame in enumerate(itertools.chain((first,), frames)):
            encoder.write(np.ascontiguousarray(frame[:height, :width]).data)
            if path_gif is not None and i % stride == 0:
                kept.append(_shrink(frame))
                if len(kept) > GIF_MAX_FRAMES:  # then keep every second one
                    kept, stride = kept[::2], 2 * stride
    if path_gif is not None:
        with _replacing(path_gif) as unfinished:
            unfinished.write_bytes(_gif(kept, fps / stride))


@contextlib.contextmanager
def _encoder(path: Path, width: int, height: int, fps: int) -> Iterator[IO[bytes]]:
    """Gives the pipe that takes frames [H, W, 3] uint8, which are at `path` as an MP4 after it.

    Raises OSError, with the encoder's reason, unless all of it is there.
    """
    import imageio_ffmpeg

    frames = ["-f", "rawvideo", "-s", f"{width}x{height}", "-pix_fmt", "rgb24", "-r", str(fps), "-i", "-", "-an"]
    h264 = ["-vcodec", "libx264", "-pix_fmt", "yuv420p", "-crf", "20", "-preset", "veryfast"]
    # faststart: a browser can play the file while it loads
    words = [imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-v", "error", *frames, *h264, "-movflags", "+faststart", str(path)]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdin
    try:
        with contextlib.suppress(BrokenPipeError):  # it has ended, and says why
            yield process.stdin
    except BaseException:
        process.kill()
        process.communicate()
        raise
    said = process.communicate()[1].decode(errors="replace").strip()
    if process.returncode:
        first = said.partition("\n")[0] or f"ffmpeg ended with status {process.returncode}"
        raise OSError(first.rpartition(": ")[2])


@contextlib.contextmanager
def _replacing(path: str | Path) -> Iterator[Path]:
    """As `replacing`, in a folder that is made if it is missing."""
    with replacing(path) as unfinished:
        unfinished.parent.mkdir(parents=True, exist_ok=True)
        yield unfinished


def _shrink(frame: np.ndarray) -> np.ndarray:
    from PIL import Image

    height, width = frame.shape[:2]
    scale = min(1.0, GIF_MAX_WIDTH / width)
    size = (round(width * scale), max(1, round(height * scale)))
    return np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.LANCZOS))


def _gif(frames: list[np.ndarray], fps: float) -> bytes:
    """Returns frames as a GIF of at most GIF_MAX_BYTES: every second frame goes until it fits."""
    from PIL import Image

    # One palette for all frames, from frames across the video: colours do not flicker, unchanged parts compress well
    sample = Image.fromarray(np.vstack(frames[:: max(1, len(frames) // 8)]))
    # Octree, because median cut spends all colours on floor and walls and a small robot turns grey
    palette = sample.quantize(GIF_COLORS, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    while True:
        images = [Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
        file = io.BytesIO()
        # GIF durations are multiples of 10 ms, and players slow down anything below 20 ms
        duration = max(20, round(100 / fps) * 10)
        images[0].save(file, "GIF", save_all=True, append_images=images[1:], duration=duration, loop=0)
        if len(frames) < 2 or file.tell() <= GIF_MAX_BYTES:
            return file.getvalue()
        frames, fps = frames[::2], fps / 2
