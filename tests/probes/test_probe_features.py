"""Features on disk: what was computed, of the very checkpoint and data, whole or not there at all."""

from __future__ import annotations

import os

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from longdream.probes.features import Features, Sizes, Subject, digest, key, origin, save
from longdream.probes.observe import features, groups, observed
from longdream.tests.probes.probe_toys import Dreaming, Stub
from longdream.worldmodels.base import Beliefs, Latent
from longdream.worldmodels.checkpoint import LoadedModel

CPU = torch.device("cpu")
WHOSE = {"seed": 7}


@pytest.fixture(scope="module")
def source(data):
    return data("distracting_memory")


def held(model, source, episodes, beside, batch_size=3):
    return features(model, source, episodes, WHOSE, beside, batch_size=batch_size, device=CPU)


def written(found):
    return {path.name: path.read_bytes() for path in found.folder.iterdir()}


def test_what_is_read_is_what_was_computed_to_the_bit(source, tmp_path):
    found = held(Dreaming(), source, [0, 1, 2, 3], tmp_path)
    latent = observed(Dreaming(), source, [3], 7, CPU)
    deter = latent.deter[0].half().float()  # on disk h is float16, and z is exact
    assert torch.equal(found.read(3, 0, 35), torch.cat([deter, latent.stoch[0].flatten(1)], 1))
    assert torch.equal(found.read(3, 4, 9), found.read(3, 0, 35)[4:9])


def test_features_are_computed_once(source, tmp_path):
    first = written(held(Dreaming(), source, [0, 1, 2], tmp_path))
    again = Dreaming(fails_at=0)
    assert written(held(again, source, [0, 1, 2], tmp_path)) == first


def test_after_an_interruption_only_what_is_missing_is_computed(source, tmp_path):
    episodes = [0, 1, 2, 3, 4, 5, 6]
    with pytest.raises(KeyboardInterrupt):
        held(Dreaming(fails_at=3), source, episodes, tmp_path / "broken")
    model = Dreaming()
    resumed = held(model, source, episodes, tmp_path / "broken")
    assert model.seen == 4
    assert written(resumed) == written(held(Dreaming(), source, episodes, tmp_path / "whole"))


def test_a_batch_of_another_size_gives_the_same_draws(source, tmp_path):
    one, other = (held(Dreaming(), source, [0, 1, 2, 3], tmp_path / str(size), size) for size in (1, 4))
    assert written(one) == written(other)


def test_a_half_written_file_is_not_taken_for_features(source, tmp_path):
    folder = tmp_path / "features" / key(WHOSE)
    folder.mkdir(parents=True)
    left = folder / "000001.npy.00000000.1.0123abcd"  # by a process that died long ago
    left.write_bytes(b"half")
    os.utime(left, (0, 0))
    found = held(Dreaming(), source, [1], tmp_path)
    assert found.read(1, 0, 35).shape == (35, 5 + 4 * 3)
    assert not left.exists()


def test_a_truncated_file_is_named_with_the_mend(source, tmp_path):
    found = held(Dreaming(), source, [1], tmp_path)
    file = found.folder / "000001.npy"
    for size in (0, 60, 300):
        file.write_bytes(file.read_bytes()[:size] if size < 300 else b"\x93NUMPY" * 50)
        with pytest.raises(ValueError, match=r"000001.npy is damaged .* remove it"):
            found.read(1, 0, 35)
    file.unlink()
    assert held(Dreaming(), source, [1], tmp_path).read(1, 0, 35).isfinite().all()


def test_the_key_changes_with_the_weights_the_configuration_the_data_and_the_seed(data, tmp_path):
    one, other = (data(kind).folder for kind in ("distracting_memory", "multi_doors_keys_two"))

    def found(value, where=one, seed=0, unimix=0.01):
        save_file({"w": torch.tensor([value])}, tmp_path / "model.safetensors")
        loaded = LoadedModel(Dreaming(), {"world_model": {"latent": {"unimix": unimix}}}, tmp_path)
        return key(origin(Subject(loaded, digest(tmp_path)), str(where), seed))

    assert found(1.0) == found(1.0)
    assert len({found(1.0), found(2.0), found(1.0, other), found(1.0, seed=1), found(1.0, unimix=0.0)}) == 5


def test_many_classes_fit_and_few_bytes_are_taken():
    assert Sizes(512, 32, 32).row.itemsize == 1056
    assert Sizes(1, 1, 257).row["stoch"].base == np.uint16
    assert Sizes(1, 1, 256).row["stoch"].base == np.uint8


def test_features_that_float16_cannot_hold_are_refused(tmp_path):
    latent = Latent(torch.tensor([[1e6]]), torch.ones(1, 1, 1))
    with pytest.raises(ValueError, match="episode 4 are not finite, or beyond 65504"):
        save(tmp_path, 4, latent)
    assert list(tmp_path.iterdir()) == []


def test_no_gradient_is_kept(source, tmp_path):
    class Trained(Stub):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(1))

        def observe(self, batch, state=None, generators=None):
            assert not torch.is_grad_enabled()
            shape = batch.obs.shape[:2]
            return Beliefs(
                Latent(self.weight.expand(*shape, 1), torch.ones(*shape, 1, 1)), torch.zeros(0), torch.zeros(0), None
            )

    assert held(Trained(), source, [0], tmp_path).read(0, 0, 35).eq(1).all()


def test_episodes_watched_together_have_one_length():
    class Lengths:
        def length(self, episode):
            return [5, 5, 5, 9, 9, 5][episode]

    assert list(groups(Lengths(), range(6), 2)) == [[0, 1], [2], [3, 4], [5]]


def test_the_folder_says_whose_features_it_holds(source, tmp_path):
    found = held(Dreaming(), source, [0], tmp_path)
    assert Features(found.folder).sizes == Sizes(5, 4, 3)
