"""The reference look, against the ray caster; where there is no OpenGL only the error message can be tested."""

import sys
import threading

import numpy as np
import pytest

from longdream.datasets.frames import mujoco_look
from longdream.datasets.frames.renderers import render, render_views
from longdream.tests.datasets.scene_toys import toy_poses, toy_scene, toy_view


@pytest.fixture
def opengl():
    """Skip where MuJoCo cannot draw."""
    view = toy_view(steps=1)
    try:
        mujoco_look.render(view)
    except ValueError as error:
        pytest.skip(str(error))
    yield
    mujoco_look.close()


@pytest.mark.usefixtures("opengl")
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_ray_caster_draws_nearly_the_same_picture(seed):
    """Median difference of at most 3 grey levels; the camera's tilt is drawn as a shift, so edges differ."""
    view = toy_view(seed, 40)
    difference = np.abs(render(*view, "mujoco").astype(int) - render(*view))
    assert np.median(difference) <= 3
    assert difference.mean() <= 8


@pytest.mark.usefixtures("opengl")
def test_scenes_sizes_threads_and_closing():
    """Whatever was drawn before, and by whom: the same frames."""
    scene = toy_scene()
    poses = toy_poses(scene, 3)
    frames = render(scene, poses, "mujoco")
    assert not np.array_equal(render(scene, poses._replace(visible=np.zeros((3, 7), bool)), "mujoco"), frames)
    assert render(toy_scene(1, size=32), poses, "mujoco").shape == (3, 32, 32, 3)
    found = []
    threads = [threading.Thread(target=lambda: found.append(render(scene, poses, "mujoco"))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    mujoco_look.close()
    found += [render(scene, poses, "mujoco"), render_views([toy_view(5, 2), toy_view(0, 3)], "mujoco")[:0]]
    assert all(np.array_equal(other, frames) for other in found[:3])
    singles = [render(scene, poses.steps(slice(t, t + 1)), "mujoco") for t in range(3)]
    assert np.array_equal(np.concatenate(singles), frames)


def test_without_mujoco_one_line_names_what_to_install(monkeypatch):
    mujoco_look.close()
    monkeypatch.setitem(sys.modules, "mujoco", None)
    with pytest.raises(ValueError, match=r"pip install 'mujoco>=3\.17,<4'.*libegl1.*libgl1") as caught:
        render(*toy_view(steps=1), "mujoco")
    assert "\n" not in str(caught.value)
    mujoco_look.close()
