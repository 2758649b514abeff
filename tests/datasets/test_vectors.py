"""Data sets whose observations are vectors: the same store, loader and commands as those of images."""

import dataclasses
import json

import matplotlib.image
import numpy as np
import pytest
import torch

from longdream.datasets.browse import write_page
from longdream.datasets.budget import batch_bytes
from longdream.datasets.cli import inspect_main, verify_main
from longdream.datasets.convert.cli import main as convert_main
from longdream.datasets.episode import ArraySpec, core_arrays
from longdream.datasets.loader import Loader, read_batch
from longdream.datasets.reader import EpisodeDataset
from longdream.datasets.samplers import Segment, Windows
from longdream.datasets.splits import Splits
from longdream.datasets.store import write_info, write_shard
from longdream.datasets.verify import verify
from longdream.tests.browser import needs_chromium, visit
from longdream.tests.datasets.dataset_toys import ACTIONS, CHUNK, toy_episode, toy_info, toy_length, write_toy

EPISODES = 10


def vector_episode(index, features):
    """Return a toy episode that is seen as vectors: numbers of any size, below and above 0."""
    plain = toy_episode(index)
    obs = np.random.default_rng(index).normal(0, 100, (len(plain), features)).astype(np.float32)
    return dataclasses.replace(plain, obs=obs, extras={})


def write_vectors(root, features, **changes):
    info = toy_info(EPISODES, arrays=core_arrays((features,), ACTIONS), **changes)
    (root / "tmp").mkdir(parents=True)
    write_info(root, info, replace=False)
    for what in info.shard_ranges():
        write_shard(root, info, what, (vector_episode(e, features) for e in range(*what)))
    return info


@pytest.fixture(params=[3, 70], ids=["small", "chunked"])
def features(request):
    return request.param


def test_episodes_come_back(tmp_path, features):
    info = write_vectors(tmp_path, features)
    assert info.is_chunked("vector") == (features == 70)
    assert info.observation == ("vector", ArraySpec("float32", (features,)))
    dataset = EpisodeDataset(tmp_path)
    for e in range(EPISODES):
        np.testing.assert_array_equal(dataset.episode(e).obs, vector_episode(e, features).obs)
        np.testing.assert_array_equal(dataset.episode(e).action, vector_episode(e, features).action)
    assert verify(tmp_path) == []
    file = next((tmp_path / "shards/000004-000008/vector").rglob("0"))
    path = file if file.is_file() else file / "0"
    path.write_bytes(path.read_bytes()[:-9] + b"!" + path.read_bytes()[-8:])
    assert "000004-000008" in verify(tmp_path)[0]


def test_batches_are_windows_of_vectors(tmp_path, features):
    info = write_vectors(tmp_path, features)
    dataset = EpisodeDataset(tmp_path)
    three, seven = vector_episode(3, features), vector_episode(7, features)
    row = (Segment(3, CHUNK + 3, toy_length(3)), Segment(7, 0, 4))
    batch = read_batch(dataset, [row])
    np.testing.assert_array_equal(batch.obs[0], np.concatenate([three.obs[CHUNK + 3 :], seven.obs[:4]]))
    np.testing.assert_array_equal(batch.action[0], np.concatenate([three.action[CHUNK + 3 :], seven.action[:4]]))
    assert (batch.obs.dtype, batch.obs.shape) == (torch.float32, (1, toy_length(3) - CHUNK + 1, features))
    assert batch_bytes(info, [row]) == sum(x.nbytes for x in batch.tensors)
    sampler = Windows(dataset.indices, dataset.lengths, 4, 0, window=17)
    with Loader(dataset, sampler) as loader:
        for step in range(3):
            wanted = read_batch(dataset, sampler.batch(step))
            assert all(torch.equal(one, other) for one, other in zip(next(loader).tensors, wanted.tensors, strict=True))


def test_what_was_known_before_there_were_vectors_is_written_as_ever(tmp_path):
    """Of images: format 1, without a word of what is new. Vectors are refused by versions that do not know them."""
    write_toy(tmp_path / "images", 4)
    write_vectors(tmp_path / "vectors", 3)
    images, vectors = (json.loads((tmp_path / name / "dataset.json").read_text()) for name in ("images", "vectors"))
    assert (images["format"], vectors["format"]) == (1, 2)
    assert "capacity" not in images
    assert toy_info(4).fingerprint == 4190326801
    assert toy_info(4, arrays=toy_info(4).arrays | {"vector": ArraySpec("float32", (300,))}).observation.name == "image"


def test_inspect_draws_curves(tmp_path, call, features):
    write_vectors(tmp_path / "toy", features)
    code, out, _ = call(inspect_main, tmp_path / "toy", "--episodes", 2)
    assert code == 0
    assert f"float32 (T, {features})" in out
    picture = (matplotlib.image.imread(tmp_path / "toy/inspect.png")[..., :3] * 255).round().astype(int)
    for band in ((217, 231, 253), (253, 232, 212)):  # context and query, at a fifth of their colours
        assert (np.abs(picture - band).max(-1) < 6).mean() > 0.02
    assert call(verify_main, tmp_path / "toy")[0] == 0


@pytest.mark.parametrize("kind", ["webdataset", "h5", "minari"])
def test_there_and_back_again(tmp_path, call, kind):
    if kind == "minari":
        pytest.importorskip("minari")
    write_vectors(tmp_path / "toy", 3)
    middle = tmp_path / ("toy.h5" if kind == "h5" else "middle")
    code, _, err = call(convert_main, tmp_path / "toy", middle, "--to", kind)
    assert code == 0, err
    if kind != "webdataset":
        code, _, err = call(convert_main, middle, tmp_path / "back", "--to", "longdream")
        assert code == 0, err
    found = EpisodeDataset(middle if kind == "webdataset" else tmp_path / "back")
    for e in range(EPISODES):
        np.testing.assert_array_equal(found.episode(e).obs, vector_episode(e, 3).obs)


def test_there_are_no_previews_of_vectors(tmp_path, call):
    write_vectors(tmp_path / "toy", 3)
    code, _, err = call(convert_main, tmp_path / "toy", tmp_path / "gifs", "--to", "gif")
    assert code == 2
    assert "no images to make a gif of" in err


USER = """
addEventListener("load", async () => {
  await choose(0, 5);
  const pixels = $("frame").getContext("2d").getImageData(0, 0, WIDTH, HEIGHT).data, colours = new Set();
  for (let k = 0; k < pixels.length; k += 4) if (pixels[k + 3] === 255) colours.add(pixels.slice(k, k + 3).join());
  tell({ colours: colours.size, shows: $("frame").dataset.shows, values: $("values").innerText });
});
"""


@needs_chromium
def test_a_browser_draws_curves(tmp_path):
    write_vectors(tmp_path / "toy", 3, splits=Splits.from_ratio(1, 0, 0))
    write_page(EpisodeDataset(tmp_path / "toy"), [0], tmp_path / "page.html", 1e8)
    found = visit(tmp_path / "page.html", USER, tmp_path)
    assert found["errors"] == found["requests"] == []
    assert found["colours"] >= 4, "three curves and the line that says where"
    assert found["shows"] == "0 5"
    for value in vector_episode(0, 3).obs[5]:
        assert f"{round(float(value), 4):g}"[:6] in found["values"]
