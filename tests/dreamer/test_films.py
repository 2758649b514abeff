"""Pictures of a run: an episode beside its imagination, and the curve of returns."""

from contextlib import nullcontext

import numpy as np
import pytest
import torch
from PIL import Image

from longdream.dreamer import films
from longdream.dreamer.agent import Mind
from longdream.dreamer.curve import draw_curve
from longdream.dreamer.environments.vector import Steps
from longdream.worldmodels.backbones.s5 import S5Config
from longdream.worldmodels.codecs.cnn import CNNConfig
from longdream.worldmodels.codecs.vectors import VectorConfig
from longdream.worldmodels.families import build
from longdream.worldmodels.latents import LatentConfig
from longdream.worldmodels.parallel import ParallelConfig

CODECS = {"vector": VectorConfig(size=3, units=8), "image": CNNConfig(stages=2, multiplier=2, size=8)}


def mind(kind):
    backbone = S5Config(blocks=1, width=8, state=16, mlp=0, layers=1)
    latent = LatentConfig(variables=2, classes=4)
    torch.manual_seed(0)
    model = build(ParallelConfig(actions=2, codec=CODECS[kind], latent=latent, units=8, backbone=backbone))
    return Mind(model, None, "output", torch.device("cpu"), nullcontext)


def episode(kind, length):
    rng = np.random.default_rng(0)
    found = []
    for t in range(length):
        vector = rng.normal(size=(1, 3)).astype(np.float32)
        image = rng.integers(0, 255, (1, 8, 8, 3)).astype(np.uint8)
        action = np.eye(2, dtype=np.float32)[[t % 2]] * (t > 0)
        flags = (np.array([t == length - 1]), np.array([False]), np.array([t == 0]))
        obs = vector if kind == "vector" else image
        found.append(Steps(obs, np.array([t], np.float32), *flags, np.zeros(1, np.int64), action))
    return found


@pytest.mark.parametrize("length", [2, 9, 200])
def test_the_query_is_half_or_the_last_steps(length):
    found = films.as_episode(episode("vector", length))
    assert found.obs.shape == (length, 3)
    assert len(found) - found.context == min(length // 2, films.IMAGINED)
    assert found.phase.tolist() == [0] * found.context + [1] * (length - found.context)
    assert found.reward.tolist() == list(range(length))
    assert found.terminal.tolist() == [False] * (length - 1) + [True]


@pytest.mark.parametrize("kind", CODECS)
def test_an_episode_becomes_a_picture_and_draws_nothing_from_training(kind, tmp_path):
    watching, before = mind(kind), torch.get_rng_state()
    path = films.save_film(watching, episode(kind, 12), tmp_path / "films" / "0000000020")
    assert torch.equal(torch.get_rng_state(), before)
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    with Image.open(path) as picture:
        assert getattr(picture, "n_frames", 1) > 1 if kind == "image" else picture.width > 500


def height(path):
    with Image.open(path) as picture:
        return picture.height


def test_the_curve_is_drawn_from_the_log(tmp_path):
    lines = [{"step": 10 * k, "kind": "train", "return": float(k)} for k in range(5)]
    draw_curve([*lines, {"step": 60, "kind": "train", "loss": 1.0}], "a run", tmp_path / "curve.png")
    plain = height(tmp_path / "curve.png")
    lines += [{"step": 40, "kind": "evaluation", "return": 3.0, "success": 0.5}]
    draw_curve(lines, "a run", tmp_path / "curve.png")
    assert height(tmp_path / "curve.png") > 1.5 * plain
    draw_curve([], "nothing yet", tmp_path / "empty.png")
    assert [file.name for file in tmp_path.iterdir()] == ["curve.png"]
