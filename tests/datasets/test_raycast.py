"""The two ray casters: golden frames, each other, and what a picture of known geometry must show."""

import importlib.util
import math
import pickle

import numpy as np
import pytest
import torch

from longdream.datasets.frames import raycast, raycast_torch, renderers
from longdream.datasets.frames.renderers import render, render_on, render_views, resolved
from longdream.datasets.frames.scene import WALLS, Camera, Poses, Scene, View
from longdream.datasets.frames.textures import LEVELS, TEXELS, pictures, textures
from longdream.tests.datasets.scene_toys import golden_view, read_golden, toy_poses, toy_scene, toy_view

NUMBA = importlib.util.find_spec("numba") is not None
CASTERS = ["raycast-torch"] + ["raycast-numba"] * NUMBA
each = pytest.mark.parametrize("renderer", CASTERS)


def share_of_other_pixels(one, other, tolerance):
    """Return the share of pixels with a channel further apart than `tolerance`."""
    return (np.abs(one.astype(int) - other) > tolerance).any(-1).mean()


@each
def test_golden_frames(renderer):
    """`python -m longdream.tests.datasets.scene_toys` draws them anew. Another CPU's sine may turn a pixel or two."""
    assert share_of_other_pixels(render(*golden_view(), renderer), read_golden(), 0) < 1e-3


@pytest.mark.skipif(not NUMBA, reason="numba is not installed (the extra `fast`)")
@pytest.mark.parametrize("size", [8, 40, 64, 128])
def test_numba_and_torch_draw_the_same(size):
    """The promise is 0.5 % of the pixels; in fact it is the same arithmetic, to the bit."""
    views = [toy_view(seed, 60, size) for seed in range(4)]
    numba, torch_ = render_views(views, "raycast-numba"), render_views(views, "raycast-torch")
    assert share_of_other_pixels(numba, torch_, 3) <= 0.005
    assert np.array_equal(numba, torch_)


@each
def test_numbers_of_frames_and_scenes_do_not_matter(renderer, monkeypatch):
    """Together, one by one, or in other batches: the same frames, and into memory that is given."""
    monkeypatch.setitem(raycast_torch.BATCH, "cpu", 7)
    views = [toy_view(seed, 10 + seed) for seed in range(3)]
    together = render_views(views, renderer)
    alone = [render(v.scene, v.poses.steps(slice(t, t + 1)), renderer) for v in views for t in range(len(v.poses.x))]
    assert np.array_equal(together, np.concatenate(alone))
    out = np.zeros_like(together)
    assert render_views(views, renderer, out) is out or np.array_equal(out, together)
    assert np.array_equal(out, together)


def test_on_a_device():
    views = [toy_view(seed, 5) for seed in range(2)]
    frames = render_on(views, torch.device("cpu"))
    assert frames.device.type == "cpu"
    assert np.array_equal(frames.numpy(), render_views(views))


def hall(**changes):
    """Return a hall 9 cells long and 3 wide, every side of another colour, without spheres."""
    walls = np.ones((5, 11), bool)
    walls[1:-1, 1:-1] = False
    texture = np.zeros(walls.shape, np.uint8)
    texture[0], texture[-1] = 1, 2  # north, south
    texture[1:-1, 0], texture[1:-1, -1] = 3, 4  # west, east
    plain = {"floor_texture": np.zeros_like(texture), "spheres": np.empty((0, 2)), "colors": np.empty((0, 3))}
    return Scene(walls, texture, **(plain | changes))


def at(x, y, degrees):
    """Return one pose."""
    return Poses(np.array([x]), np.array([y]), np.radians([degrees]))


@each
def test_frames_of_reference(renderer):
    """x goes east, y north, headings counter-clockwise from east; the left of the picture is the left."""
    means = pictures().mean((1, 2))
    scene = hall()
    straight = {0: 4, 90: 1, 180: 3, 270: 2}  # heading: texture
    for heading, texture in straight.items():
        frame = render(scene, at(5.5, 2.5, heading), renderer)[0]
        ahead = frame[28, 30:34].mean(0)  # above the horizon, on the wall
        likely = [np.linalg.norm(ahead / ahead.sum() - mean / mean.sum()) for mean in means[: len(WALLS)]]
        assert np.argmin(likely[:5]) == texture
    sphere = {"spheres": np.array([[7.5, 3.2]]), "colors": np.array([[1.0, 0.0, 0.0]])}
    bare, seen = (render(s, at(5.5, 2.5, 0), renderer)[0].astype(int) for s in (scene, hall(**sphere)))
    columns = np.flatnonzero((bare != seen).any((0, 2)))
    assert len(columns) > 4
    assert columns.max() < 32  # 3.2 is north of 2.5: on the left of who looks east


@each
def test_heights_and_distances(renderer):
    """A wall of 1.5 m, 4 m away, seen from 0.9 m: its edges are where perspective puts them."""
    camera, scene = Camera(), hall(spheres=np.array([[8.0, 2.5]]), colors=np.array([[0.0, 0.0, 1.0]]))
    frame = render(hall(), at(8.0, 2.5, 0), renderer)[0].astype(int)
    horizon = 32 + camera.focal * math.tan(camera.pitch)
    sky = raycast.sky(camera)
    top, bottom = horizon - camera.focal * 0.6 / 4, horizon + camera.focal * 0.9 / 4
    is_sky = (frame[:, 32] == sky[:, 32]).all(-1)
    assert is_sky.sum() == math.ceil(top - 0.5)
    dark = frame[:, 32].sum(-1) < 110  # the floor
    assert int(np.argmax(dark[30:])) + 30 == math.ceil(bottom - 0.5)
    ball = render(scene, at(6.0, 2.5, 0), renderer)[0].astype(int)  # a ball of 0.6 m, 4 m away
    differs = (ball != render(hall(), at(6.0, 2.5, 0), renderer)[0]).any(-1)
    width = np.ptp(np.flatnonzero(differs.any(0))) + 1
    assert abs(width - 2 * camera.focal * 0.6 / math.sqrt(16 - 0.36)) <= 1


@each
def test_nearer_spheres_hide_further_ones_and_walls_hide_both(renderer):
    near, far, behind = [6.0, 2.5], [7.5, 2.5], [10.5, 2.0]
    colors = np.eye(3)
    for order in ([0, 1, 2], [2, 1, 0], [1, 0, 2]):
        spheres = np.array([near, far, behind])[order]
        frame = render(hall(spheres=spheres, colors=colors[order]), at(4.5, 2.5, 0), renderer)[0].astype(int)
        assert np.argmax(frame[40, 32]) == 0
        seen = [i for i in range(3) if order[i] != 2]
        without = render(hall(spheres=spheres[seen], colors=colors[order][seen]), at(4.5, 2.5, 0), renderer)[0]
        assert np.array_equal(frame, without)


@each
def test_hidden_spheres_and_borders(renderer):
    scene = toy_scene(1)
    poses = toy_poses(scene, 40)
    shown = render(scene, poses, renderer)
    none = render(toy_scene(1, spheres=7), poses._replace(visible=np.zeros((40, 7), bool)), renderer)
    bare = render(Scene(*(vars(scene) | {"spheres": np.empty((0, 2)), "colors": np.empty((0, 3))}).values()), poses)
    assert np.array_equal(none, bare)
    assert not np.array_equal(shown, bare)
    border = np.random.default_rng(0).integers(0, 256, (40, 3)).astype(np.uint8)
    framed = render(scene, poses._replace(border=border), renderer)
    assert np.array_equal(framed[:, 2:-2, 2:-2], shown[:, 2:-2, 2:-2])
    for edge in (framed[:, :2], framed[:, -2:], framed[:, :, :2], framed[:, :, -2:]):
        assert (edge == border[:, None, None]).all()


@each
def test_odd_poses_are_drawn(renderer):
    """In the middle of a cell, along the axes, on a line of the grid, and with the nose on the wall."""
    headings = np.radians([0, 90, 180, 270, 45, 135, -45, 0])
    x = np.array([5.5, 5.5, 5.5, 5.5, 5.5, 5.5, 5.5, 9.9999])
    y = np.array([2.5, 2.0, 3.0, 2.5, 2.5, 2.5, 2.5, 2.5])
    frames = render(hall(), Poses(x, y, headings), renderer)
    if NUMBA:
        assert np.array_equal(frames, render(hall(), Poses(x, y, headings), "raycast-numba"))
    assert frames.std((1, 2, 3)).min() > 1


def test_texture_levels_are_averages():
    picture = textures()
    for k, whole in enumerate(pictures()):
        for level in range(LEVELS):
            n = TEXELS >> level
            packed = picture.texels[picture.base[k, level] :][: n * n].reshape(n, n)
            mean = whole.reshape(n, 1 << level, n, 1 << level, 3).mean((1, 3))
            assert np.abs(np.stack([packed & 255, packed >> 8 & 255, packed >> 16], -1) - mean).max() <= 1 + level / 2


def test_renderers_by_name(monkeypatch):
    assert resolved("raycast") == ("raycast-numba" if NUMBA else "raycast-torch")
    with pytest.raises(ValueError, match=r"no renderer 'ray'.*raycast-torch"):
        resolved("ray")
    monkeypatch.setattr(renderers.importlib.util, "find_spec", lambda name: None)
    assert resolved("raycast") == "raycast-torch"
    with pytest.raises(ValueError, match=r"longdream\[fast\]"):
        resolved("raycast-numba")


def test_blank_frames_cost_nothing():
    frames = render(*toy_view(), "blank")
    assert frames.shape == (50, 64, 64, 3)
    assert frames.dtype == np.uint8
    assert not frames.any()
    assert frames.strides == (0, 0, 0, 0)


def test_bad_scenes_are_refused():
    scene = toy_scene()
    parts = dict(vars(scene))
    with pytest.raises(ValueError, match="outer ring"):
        Scene(**(parts | {"walls": scene.walls[1:]}))
    with pytest.raises(ValueError, match="floor_texture"):
        Scene(**(parts | {"floor_texture": scene.floor_texture[1:]}))
    with pytest.raises(ValueError, match="spheres"):
        Scene(**(parts | {"colors": scene.colors[1:]}))
    with pytest.raises(ValueError, match="multiple of 8"):
        Camera(size=60)
    with pytest.raises(ValueError, match="alike"):
        render_views([toy_view(), View(hall(), at(5.5, 2.5, 0))])


def test_views_travel_between_processes():
    view = toy_view()
    again = pickle.loads(pickle.dumps(view))
    assert np.array_equal(render(*again), render(*view))
