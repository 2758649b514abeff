"""The reference look: the same scene drawn by MuJoCo's own renderer, with a camera that is really tilted.

Slow (a few hundred frames a second), and it needs OpenGL: for comparing, and for who wants Memory Maze's very look.
A GL context belongs to the thread that made it, and there is one a process: a thread of its own draws for all others.

Axes: T time, S pixels across, M spheres.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any

import numpy as np

from .mujoco_scene import assets, xml
from .raycast import border_width
from .scene import Scene, View

DISTANCE = 0.01  # metres from MuJoCo's free camera to what it looks at
ADVICE = (
    "the renderer `mujoco` needs `pip install 'mujoco>=3.17,<4'` and OpenGL (without a screen: the Debian packages "
    "libegl1 and libgl1); `raycast` needs neither"
)


def render(view: View) -> np.ndarray:
    """Draw what the camera sees at every pose.

    Returns:
        (T S S 3) uint8.

    Raises:
        ValueError: if there is no mujoco or no OpenGL.
    """
    global _artist
    if _artist is None or _artist.process != os.getpid():  # a fork leaves threads and contexts to its parent
        _artist = _Artist(_artist)
    return _artist.do(lambda artist: artist.draw(view))


def close() -> None:
    """End the thread and give the GL context back; the next frame makes others."""
    global _artist
    if _artist is not None and _artist.process == os.getpid():
        _artist.do(_Artist.free)
        _artist.jobs.put(None)
    _artist = None


class _Artist:
    """The process's GL context and its thread. The latest scene is kept: an environment draws it frame by frame."""

    def __init__(self, inherited: _Artist | None) -> None:
        self.inherited = inherited  # through a fork: its context is the parent's, who alone may free it
        self.process = os.getpid()
        self.gl: Any = None
        self.drawing: _Drawing | None = None
        self.jobs: SimpleQueue[tuple[Callable[[_Artist], Any], Future[Any]] | None] = SimpleQueue()
        # A daemon, which still runs when `close` is called at exit; an executor's thread would have ended.
        threading.Thread(target=self._work, name="mujoco", daemon=True).start()

    def do(self, job: Callable[[_Artist], Any]) -> Any:
        """Have the thread do something, and return what it gives."""
        future: Future[Any] = Future()
        self.jobs.put((job, future))
        return future.result()

    def _work(self) -> None:
        while (next_job := self.jobs.get()) is not None:
            job, future = next_job
            try:
                future.set_result(job(self))
            except Exception as error:
                future.set_exception(error)

    def draw(self, view: View) -> np.ndarray:
        """Draw a view, (T S S 3) uint8."""
        scene, poses = view
        if self.drawing is None or not _equal(self.drawing.scene, scene):
            self._open(scene)
        assert self.drawing is not None
        frames = np.empty((len(poses.x), scene.camera.size, scene.camera.size, 3), np.uint8)
        for t in range(len(frames)):
            shown = np.ones(len(scene.spheres), bool) if poses.visible is None else poses.visible[t]
            self.drawing.draw(frames[t], poses.x[t], poses.y[t], poses.heading[t], shown)
        if poses.border is not None:
            _paint_border(frames, poses.border)
        return frames

    def free(self) -> None:
        """Give back what lies on the graphics card, and the context."""
        if self.drawing is not None:
            self.drawing.gpu.free()
        if self.gl is not None:
            self.gl.free()
        self.drawing = self.gl = None

    def _open(self, scene: Scene) -> None:
        """Make ready for a scene."""
        size = scene.camera.size
        if self.drawing is not None and self.drawing.scene.camera.size != size:
            self.free()
        mujoco = _mujoco()
        if self.gl is None:
            try:
                self.gl = mujoco.GLContext(size, size)
                self.gl.make_current()
            except Exception as error:  # each of MuJoCo's GL libraries fails in its own way
                self.gl = None
                raise ValueError(f"{ADVICE} ({error})") from None
            atexit.unregister(close)
            atexit.register(close)  # now: what is registered last goes first, and mujoco has registered its own end
        if self.drawing is not None:
            self.drawing.gpu.free()
            self.drawing = None
        try:
            self.drawing = _Drawing(mujoco, scene)
        except mujoco.FatalError as error:
            raise ValueError(f"{ADVICE} ({error})") from None


_artist: _Artist | None = None


def _mujoco() -> Any:
    """Return the package; it looks for OpenGL when it is imported."""
    os.environ.setdefault("MUJOCO_GL", "egl")
    os.environ.setdefault("LP_NUM_THREADS", "0")  # drawn in software, frames this small are slower on several threads
    try:
        import mujoco
    except (ImportError, AttributeError, OSError) as error:
        raise ValueError(f"{ADVICE} ({error})") from None
    if not hasattr(mujoco, "GLContext"):
        raise ValueError(f"{ADVICE} (this mujoco, {mujoco.__version__}, found no OpenGL, or is no 3.x)")
    return mujoco


class _Drawing:
    """One scene in MuJoCo's hands."""

    def __init__(self, mujoco: Any, scene: Scene) -> None:
        self.mj, self.scene, size = mujoco, scene, scene.camera.size
        self.model = mujoco.MjModel.from_xml_string(xml(scene), assets())
        self.data = mujoco.MjData(self.model)
        mujoco.mj_forward(self.model, self.data)
        self.gpu = mujoco.MjrContext(self.model, mujoco.mjtFontScale.mjFONTSCALE_100)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self.gpu)
        self.eye = mujoco.MjvCamera()
        self.eye.type, self.eye.distance = mujoco.mjtCamera.mjCAMERA_FREE, DISTANCE
        self.eye.elevation = np.degrees(scene.camera.pitch)
        self.drawn = mujoco.MjvScene(self.model, self.model.ngeom + 10)
        option, grip, everything = mujoco.MjvOption(), mujoco.MjvPerturb(), mujoco.mjtCatBit.mjCAT_ALL
        mujoco.mjv_updateScene(self.model, self.data, option, grip, self.eye, everything, self.drawn)
        for effect in (mujoco.mjtRndFlag.mjRND_SHADOW, mujoco.mjtRndFlag.mjRND_REFLECTION):
            self.drawn.flags[effect] = 0
        geoms = {geom.objid: geom for geom in self.drawn.geoms[: self.drawn.ngeom]}
        self.spheres = [geoms[m] for m in range(self.model.ngeom - len(scene.spheres), self.model.ngeom)]
        self.frame = mujoco.MjrRect(0, 0, size, size)
        self.pixels = np.empty((size, size, 3), np.uint8)

    def draw(self, out: np.ndarray, x: float, y: float, heading: float, shown: np.ndarray) -> None:
        """Draw one frame into `out` (S S 3); `shown` (M) says which spheres are there."""
        camera = self.scene.camera
        flat = np.cos(camera.pitch)
        ahead = np.array([np.cos(heading) * flat, np.sin(heading) * flat, np.sin(camera.pitch)])
        place = np.array([x * self.scene.cell, y * self.scene.cell, camera.height])
        self.eye.lookat[:] = place + DISTANCE * ahead
        self.eye.azimuth = np.degrees(heading)
        self.mj.mjv_updateCamera(self.model, self.data, self.eye, self.drawn)
        lamp = self.drawn.lights[0]  # it sits on the camera
        lamp.pos[:], lamp.dir[:] = place, ahead
        for sphere, there in zip(self.spheres, shown, strict=True):
            sphere.rgba[3] = float(there)
        self.mj.mjr_render(self.frame, self.drawn, self.gpu)
        self.mj.mjr_readPixels(self.pixels, None, self.frame, self.gpu)
        out[:] = self.pixels[::-1]


def _equal(one: Scene, other: Scene) -> bool:
    """Compare scenes by value."""
    return all(np.array_equal(value, vars(other)[name]) for name, value in vars(one).items())


def _paint_border(frames: np.ndarray, colors: np.ndarray) -> None:
    """Paint the outermost pixels of frames (T S S 3) in `colors` (T 3)."""
    width = border_width(frames.shape[1])
    for edge in (np.s_[:, :width], np.s_[:, -width:], np.s_[:, :, :width], np.s_[:, :, -width:]):
        frames[edge] = colors[:, None, None]
