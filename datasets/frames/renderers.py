"""The renderers by name, behind one function.

    raycast         the ray caster: `raycast-numba` where numba is installed, else `raycast-torch`
    raycast-numba   fast on one core; needs the extra `fast`
    raycast-torch   anywhere, and on a GPU
    mujoco          the reference look; needs mujoco and OpenGL
    blank           black frames at no cost: for collecting what will be drawn on reading

The two ray casters draw the same bytes. Where a data set is drawn on reading, `dataset.json` says by which renderer.

Axes: T time, S pixels across.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from .scene import BLANK, Poses, Scene, View

if TYPE_CHECKING:
    import torch  # collecting does without: a second to import, and memory in every worker

RAYCAST, MUJOCO = "raycast", "mujoco"
RENDERERS = (RAYCAST, "raycast-numba", "raycast-torch", MUJOCO)  # that a user may choose


def resolved(renderer: str) -> str:
    """Return the name that says exactly which renderer is meant.

    Raises:
        ValueError: if there is no such renderer, or it is not installed.
    """
    if renderer not in (*RENDERERS, BLANK):
        raise ValueError(f"there is no renderer {renderer!r}; there are {', '.join(RENDERERS)}")
    numba = importlib.util.find_spec("numba") is not None
    if renderer == "raycast-numba" and not numba:
        raise ValueError("the renderer `raycast-numba` needs numba: pip install 'longdream[fast]'")
    if renderer == RAYCAST:
        return "raycast-numba" if numba else "raycast-torch"
    return renderer


def check(renderer: str) -> None:
    """See that a renderer that a user asks for works on this machine.

    Raises:
        ValueError: saying what is missing.
    """
    if renderer not in RENDERERS:
        raise ValueError(f"there is no renderer {renderer!r}; there are {', '.join(RENDERERS)}")
    if resolved(renderer) == MUJOCO:
        from . import mujoco_look

        closet = np.pad(np.zeros((1, 1), np.uint8), 1, constant_values=1)
        plain = np.zeros_like(closet)
        scene = Scene(closet, plain, plain, np.empty((0, 2)), np.empty((0, 3)))
        middle = np.full(1, 1.5)
        mujoco_look.render(View(scene, Poses(middle, middle, np.zeros(1))))
        mujoco_look.close()


def render(scene: Scene, poses: Poses, renderer: str = RAYCAST) -> np.ndarray:
    """Draw what the camera sees at every pose.

    Args:
        scene: the world.
        poses: T of them.
        renderer: one of RENDERERS.

    Returns:
        (T S S 3) uint8.

    Raises:
        ValueError: if there is no such renderer, or it cannot work on this machine.
    """
    return render_views([View(scene, poses)], renderer)


def render_views(views: Sequence[View], renderer: str = RAYCAST, out: np.ndarray | None = None) -> np.ndarray:
    """Draw several views of the same kind of scene, one after the other.

    Args:
        views: T poses in all.
        renderer: one of RENDERERS.
        out: (T S S 3) uint8, contiguous, where to put the frames.

    Returns:
        (T S S 3) uint8.

    Raises:
        ValueError: as `render`; or the scenes are not alike.
    """
    name = resolved(renderer)
    if name == "raycast-numba":
        from . import raycast_numba

        return raycast_numba.render(views, out)
    if name == "raycast-torch":
        import torch

        from . import raycast_torch

        return raycast_torch.render(views, out=None if out is None else torch.from_numpy(out)).numpy()
    if name == BLANK:
        size = views[0].scene.camera.size
        return np.broadcast_to(np.uint8(0), (sum(len(view.poses.x) for view in views), size, size, 3))
    from . import mujoco_look

    frames = np.concatenate([mujoco_look.render(view) for view in views])
    if out is None:
        return frames
    out[...] = frames
    return out


def render_on(views: Sequence[View], device: torch.device | str) -> torch.Tensor:
    """Draw several views of the same kind of scene on a device, by the ray caster.

    Returns:
        (T S S 3) uint8 on `device`.
    """
    from . import raycast_torch

    return raycast_torch.render(views, device)
