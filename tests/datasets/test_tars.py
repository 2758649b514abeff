"""Folders of webdataset tars as data sets: they read as their shards do, and damage is never silent."""

import gc
import io
import json
import pickle
import shutil
import tarfile
import tracemalloc
from functools import lru_cache

import numpy as np
import pytest
import webdataset

from longdream.datasets import cli as commands
from longdream.datasets.convert.cli import main as convert_main
from longdream.datasets.convert.part import export
from longdream.datasets.convert.stored import StoredEpisodes, into_store
from longdream.datasets.convert.tars import TARS
from longdream.datasets.files import FORMAT, DatasetError, seal
from longdream.datasets.folder import LocalFolder
from longdream.datasets.info import DatasetInfo
from longdream.datasets.loader import read_batch
from longdream.datasets.reader import EpisodeDataset
from longdream.datasets.samplers import Streams
from longdream.datasets.splits import Splits
from longdream.datasets.tar_scan import index_tars
from longdream.datasets.verify import verify
from longdream.tests.datasets.convert_toys import Silent
from longdream.tests.datasets.dataset_toys import ARRAYS, CHUNK, SIZE, contents, toy_length, write_toy

TAR = "train-000000.tar"  # of episodes 0, 1, 4, 5
NAMES = ["test-000000.tar", TAR, "train-000001.tar", "validation-000000.tar"]
STEPS = [name for name, spec in ARRAYS.items() if spec.per_step]


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """Ten episodes of varying length, in splits 2/1/1, shards of four."""
    root = tmp_path_factory.mktemp("shards") / "toy"
    write_toy(root, 10, splits=Splits.from_ratio(2, 1, 1))
    return root


@pytest.fixture(scope="module")
def pristine(shards):
    export(StoredEpisodes(shards), shards.parent / "tars", TARS, Silent())
    return shards.parent / "tars"


@pytest.fixture
def tars(pristine, tmp_path):
    return shutil.copytree(pristine, tmp_path / "tars")


def assert_same(found, wanted):
    """Every array of every episode."""
    assert found.indices.tolist() == wanted.indices.tolist()
    assert found.lengths.tolist() == wanted.lengths.tolist()
    for e in wanted.indices.tolist():
        for name, spec in ARRAYS.items():
            read = "read" if spec.per_step else "value"
            one, other = (getattr(dataset, read)(name, e) for dataset in (found, wanted))
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(one, other, f"{name} of episode {e}")


@lru_cache
def spans(tar):
    """Where each array's values are, by tarfile and numpy: {(first byte, byte after the last): "name of episode e"}."""
    found = {}
    with tarfile.open(tar) as file:
        for member in file:
            key, name, _ = member.name.split(".")
            size = np.load(io.BytesIO(file.extractfile(member).read())).nbytes
            end = member.offset_data + member.size
            found[end - size, end] = f"{name} of episode {int(key)}"
    return found


def test_every_array_is_that_of_the_shards(pristine, shards):
    tars, wanted = EpisodeDataset(pristine), EpisodeDataset(shards)
    assert tars.info == wanted.info
    assert tars.split("train").tolist() == [0, 1, 4, 5, 8, 9]
    assert_same(tars, wanted)
    assert_same(pickle.loads(pickle.dumps(tars)), wanted)


@pytest.mark.parametrize("limit", [0, 5000, 1e8])
def test_random_windows_are_those_of_the_shards(pristine, shards, limit):
    """Also where a window goes on where the last one stopped, and the cache is small or none."""
    tars, wanted, rng = EpisodeDataset(pristine), EpisodeDataset(shards), np.random.default_rng(0)
    tars.cache.limit, e, stop = limit, 0, toy_length(0)
    for _ in range(600):
        if rng.random() < 0.5 or stop == toy_length(e):
            e, name = int(rng.integers(10)), STEPS[rng.integers(len(STEPS))]
            start = int(rng.integers(toy_length(e)))
        else:
            start = stop
        stop = int(rng.integers(start, toy_length(e) + 1))
        np.testing.assert_array_equal(tars.read(name, e, start, stop), wanted.read(name, e, start, stop))
    assert tars.cache.held <= limit


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # WebDataset leaves its files open ...
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_webdataset_reads_the_same(pristine):
    tars, seen = EpisodeDataset(pristine), []
    for sample in webdataset.WebDataset([str(pristine / name) for name in NAMES], shardshuffle=False).decode():
        seen.append(int(sample["__key__"]))
        for name, spec in ARRAYS.items():
            ours = tars.read(name, seen[-1]) if spec.per_step else tars.value(name, seen[-1])
            np.testing.assert_array_equal(sample[f"{name}.npy"], ours)
    assert sorted(seen) == list(range(10))
    gc.collect()  # ... and warns when they go


def test_no_bit_flip_is_silent(tars, pristine):
    """48 seeded flips over all files: reading raises, naming the file, or gives what was written; verifying tells."""
    rng, wanted, silent = np.random.default_rng(0), EpisodeDataset(pristine), 0
    for trial in range(48):
        path = tars / [*NAMES, "tars.json", "dataset.json"][trial % 6]
        before = path.read_bytes()
        after, place = bytearray(before), int(rng.integers(len(before)))
        after[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(after)
        try:
            assert_same(EpisodeDataset(tars), wanted)
            silent += 1
        except DatasetError as error:
            assert path.name in str(error)  # noqa: PT017 (it may also not raise)
        if path.suffix == ".json":
            with pytest.raises(DatasetError, match=path.name):
                verify(tars)
        else:
            (problem,) = verify(tars)
            hit = [what for (start, stop), what in spans(pristine / path.name).items() if start <= place < stop]
            assert f"{tars / path.name}: {hit[0]} is damaged" in problem if hit else "between its arrays" in problem
        path.write_bytes(before)
    assert 0 < silent < 16  # in headers and padding
    assert verify(tars) == []


def test_a_flip_is_found_by_every_window_that_touches_it_and_by_no_other(tars):
    """One in the image of episode 4, in its third chunk."""
    ((start, _),) = [span for span, what in spans(tars / TAR).items() if what == "image of episode 4"]
    data = bytearray((tars / TAR).read_bytes())
    data[start + 25 * SIZE * SIZE * 3] ^= 1
    (tars / TAR).write_bytes(data)
    dataset = EpisodeDataset(tars)
    for first, stop in [(0, 20), (3, 7), (0, 1)]:
        dataset.read("image", 4, first, stop)
    dataset.read("image", 5)
    for first, stop in [(0, 21), (20, 21), (24, 27), (28, 29), (0, 29)]:
        with pytest.raises(DatasetError, match=f"{TAR}: image of episode 4 is damaged in chunk 2"):
            dataset.read("image", 4, first, stop)


FAULTS = {
    "missing": lambda path: path.unlink(),
    "empty": lambda path: path.write_bytes(b""),
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "oversized": lambda path: path.write_bytes(path.read_bytes() + b"\0"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_tar_that_is_not_whole_raises_at_open(tars, fault):
    FAULTS[fault](tars / TAR)
    with pytest.raises(DatasetError, match=f"{TAR} (is missing|has [0-9]+ bytes, [0-9]+ were written)"):
        EpisodeDataset(tars)
    (problem,) = verify(tars)
    assert TAR in problem


def test_a_tar_that_changes_after_opening_raises(tars):
    dataset = EpisodeDataset(tars)
    (tars / TAR).write_bytes((tars / TAR).read_bytes()[:-20000])
    with pytest.raises(DatasetError, match=f"{TAR}: .* of episode 5 ends too early"):
        dataset.episode(5)
    (tars / TAR).unlink()
    with pytest.raises(DatasetError, match=f"{TAR} is missing"):
        dataset.episode(0)


def test_a_tar_that_the_index_does_not_know_is_none_of_the_data_sets(tars, shards):
    shutil.copy(tars / TAR, tars / "train-000009.tar")
    assert_same(EpisodeDataset(tars), EpisodeDataset(shards))


def test_verify_names_every_bad_tar_whatever_the_workers(tars):
    FAULTS["truncated"](tars / TAR)
    (tars / "test-000000.tar").unlink()
    found = [verify(tars, workers=workers) for workers in (1, 3)]
    assert found[0] == found[1]
    assert ["test-000000.tar" in found[0][0], TAR in found[0][1], len(found[0])] == [True, True, 2]
    steps = []
    verify(tars, lambda done, total: steps.append((done, total)))
    assert steps == [(done, 4) for done in range(1, 5)]


def test_the_commands_take_a_folder_of_tars(tars, shards, call):
    code, out, _ = call(commands.inspect_main, tars, "--episodes", 1)
    assert (code, (tars / "inspect.png").exists()) == (0, True)
    assert "10 of 10" in out
    assert call(commands.browse_main, tars)[0] == 0
    code, out, _ = call(commands.verify_main, tars)
    assert (code, "all as they were written" in out) == (0, True)
    (tars / TAR).unlink()
    code, _, err = call(commands.verify_main, tars)
    assert (code, err.count("\n")) == (1, 2)
    assert f"{TAR} is missing" in err
    assert "make the export again" in err


def test_back_to_shards_byte_for_byte(tars, shards, tmp_path, call):
    assert call(convert_main, tars, tmp_path / "back", "--to", "longdream")[0] == 0
    assert contents(tmp_path / "back") == contents(shards)


def test_nothing_is_added_to_tars(tars, shards):
    with pytest.raises(ValueError, match="nothing can be added"):
        into_store(StoredEpisodes(shards), tars, Silent())
    assert not (tars / "shards").exists()


def test_tars_without_an_index_say_how_to_make_it(tars, pristine, call):
    (tars / "tars.json").unlink()
    with pytest.raises(DatasetError, match=f"no tars.json: `longdream index {tars}` makes it"):
        EpisodeDataset(tars)
    with pytest.raises(DatasetError, match="longdream index"):
        verify(tars)
    code, out, _ = call(commands.index_main, tars)
    assert (code, "10 episodes" in out) == (0, True)
    assert contents(tars) == contents(pristine)
    code, _, err = call(commands.index_main, tars)  # what was damaged since must not become right
    assert (code, err.count("\n")) == (2, 1)
    assert "tars.json is there already" in err


def test_an_index_of_another_data_set_or_version_is_refused(tars):
    plain = json.loads((tars / "tars.json").read_text())
    plain.pop("crc32c")
    for change, message in [({"fingerprint": 1}, "of another data set"), ({"format": FORMAT + 1}, "upgrade it")]:
        (tars / "tars.json").write_text(seal(plain | change))
        with pytest.raises(DatasetError, match=rf"tars\.json .*{message}"):
            EpisodeDataset(tars)
    plain["tars"].pop(TAR)
    (tars / "tars.json").write_text(seal(plain))
    with pytest.raises(DatasetError, match="6 episodes of 10: episode 0 is missing"):
        EpisodeDataset(tars)


def members(folder):
    """Return every member of every tar: {name: bytes}."""
    found = {}
    for path in sorted(folder.glob("*.tar")):
        with tarfile.open(path) as tar:
            found |= {member.name: tar.extractfile(member).read() for member in tar}
    return found


def pack(path, content):
    with tarfile.open(path, "w") as tar:
        for name, data in content.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))


def test_tars_packed_anew_in_any_order_read_the_same(tars, shards):
    """One tar of all splits, members shuffled, with others among them."""
    content, rng = members(tars), np.random.default_rng(0)
    content |= {"000003.caption.txt": b"a room", "000003.depth.npy": b"no npy", "__key__.json": b"{}"}
    names = list(content)
    rng.shuffle(names)
    for path in tars.glob("*.tar"):
        path.unlink()
    (tars / "tars.json").unlink()
    pack(tars / "a.tar", {name: content[name] for name in names})
    index_tars(tars, EpisodeDataset(shards).info)
    assert_same(EpisodeDataset(tars), EpisodeDataset(shards))
    assert verify(tars) == []


def test_frames_between_small_arrays_are_not_read_with_them(tars, monkeypatch):
    """As in a tar whose members are sorted by name."""
    content = members(tars)
    for path in [*tars.glob("*.tar"), tars / "tars.json"]:
        path.unlink()
    pack(tars / "a.tar", {name: content[name] for name in sorted(content)})
    index_tars(tars, DatasetInfo.read(tars))
    dataset, asked = EpisodeDataset(tars), watch(monkeypatch)
    for name in ("action", "reward", "terminal"):  # the first lies before the image
        dataset.read(name, 3)
    assert len(asked) == 2
    assert sum(size for *_, size in asked) < toy_length(3) * SIZE * SIZE * 3 / 2


def watch(monkeypatch):
    """Return a list to which every reading of a local file is added: (file, offset, size)."""
    asked, read_range = [], LocalFolder.read_range

    def note(folder, file, offset, size):
        asked.append((file, offset, size))
        return read_range(folder, file, offset, size)

    monkeypatch.setattr(LocalFolder, "read_range", note)
    return asked


def npy(values):
    buffer = io.BytesIO()
    np.save(buffer, values)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"000001.reward.npy": None}, "episode 1 lacks reward"),
        ({"000001.reward.npy": npy(np.zeros(28))}, r"reward of episode 1 is float64 \(28,\), not float32 \(28,\)"),
        ({"000001.layout.npy": npy(np.zeros((3, 4), "u1"))}, r"layout of episode 1 is uint8 \(3, 4\), not"),
        ({"000001.agent_pos.npy": npy(np.zeros((28, 2), "f4", order="F"))}, "agent_pos .* in Fortran's order"),
        ({"000001.agent_pos.npy": npy(np.zeros((28, 2), ">f4"))}, "agent_pos of episode 1 is >f4"),
        ({"000001.pad.npy": npy(np.zeros(28, bool))[:-1]}, "pad of episode 1 has 27 bytes"),
        ({"000001.pad.npy": b"hello, this is no npy"}, "cannot be indexed"),
        ({"000010.pad.npy": npy(np.zeros(28, bool))}, "episode 10 lacks action, agent_pos"),
        ({"1.pad.npy": npy(np.zeros(28, bool))}, "1.pad.npy comes twice"),
    ],
)
def test_tars_that_are_not_of_the_data_set_get_no_index(tars, change, message):
    content = {name: x for name, x in (members(tars) | change).items() if x is not None}
    for path in [*tars.glob("*.tar"), tars / "tars.json"]:
        path.unlink()
    pack(tars / "a.tar", content)
    with pytest.raises(DatasetError, match=message) as raised:
        index_tars(tars, DatasetInfo.read(tars))
    assert "\n" not in str(raised.value)
    assert not (tars / "tars.json").exists()


@pytest.mark.parametrize("cut", [1, 700, 60000])
def test_a_half_written_tar_gets_no_index(tars, cut):
    """Also one that ends after a whole member, where tarfile sees the end."""
    (tars / "tars.json").unlink()
    size = (tars / TAR).stat().st_size
    end = max(stop for _, stop in spans(tars / TAR))
    (tars / TAR).write_bytes((tars / TAR).read_bytes()[: min(size, end) - cut])
    with pytest.raises(DatasetError):
        index_tars(tars, DatasetInfo.read(tars))
    assert sorted(path.name for path in tars.iterdir()) == sorted(["dataset.json", *NAMES])


def test_an_episode_that_comes_twice_gets_no_index(tars):
    (tars / "tars.json").unlink()
    shutil.copy(tars / TAR, tars / "train-000009.tar")
    with pytest.raises(DatasetError, match="hold episode 0 more than once"):
        index_tars(tars, DatasetInfo.read(tars))


def streams(dataset, rank=0, world_size=1):
    episodes = dataset.split("train")
    return Streams(episodes, [dataset.length(e) for e in episodes], 8, 0, rank, world_size, window=7)


@pytest.mark.parametrize("world_size", [1, 2, 4])
def test_any_number_of_ranks_makes_the_same_global_batches(pristine, shards, world_size):
    tars, wanted = EpisodeDataset(pristine), EpisodeDataset(shards)
    for step in (0, 1, 2, 11, 12):
        parts = [read_batch(tars, streams(tars, rank, world_size).batch(step)) for rank in range(world_size)]
        tensors = zip(*(part.tensors for part in parts), strict=True)
        for pieces, whole in zip(tensors, read_batch(wanted, streams(wanted).batch(step)).tensors, strict=True):
            np.testing.assert_array_equal(np.concatenate(pieces), whole)


def test_a_rank_reads_the_bytes_of_its_own_rows_alone(pristine, monkeypatch):
    """What it asks of the tars: chunks of frames that its windows touch, and its episodes' small arrays once."""
    tars, asked = EpisodeDataset(pristine), watch(monkeypatch)
    sampler, touched = streams(tars, 1, 4), set()
    for step in range(6):
        rows = sampler.batch(step)
        touched |= {segment.episode for row in rows for segment in row}
        read_batch(tars, rows)
    small = []
    for file, start, size in asked:
        hit = [what for (a, b), what in spans(pristine / file).items() if a < start + size and start < b]
        assert {int(what.split()[-1]) for what in hit} <= touched
        small += [] if hit[0].startswith("image") else [(file, start)]
        assert size <= 2 * CHUNK * SIZE * SIZE * 3  # 7 steps are of two chunks at most
    assert len(small) == len(set(small)) == len(touched) < 6


def test_a_window_takes_a_window_and_an_episode_is_one_read(tmp_path, monkeypatch):
    length = 3000
    write_toy(tmp_path / "toy", 2, length, splits=Splits.from_ratio(1, 0, 0))
    export(StoredEpisodes(tmp_path / "toy"), tmp_path / "tars", TARS, Silent())
    dataset = EpisodeDataset(tmp_path / "tars")
    tracemalloc.start()
    dataset.read("image", 1, 1001, 1049)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * 48 * SIZE * SIZE * 3 < length * SIZE * SIZE * 3 / 10
    dataset, asked = EpisodeDataset(tmp_path / "tars"), watch(monkeypatch)
    dataset.read("image", 0)
    assert (len(asked), dataset.cache.held) == (1, 0)
    for name in STEPS[1:]:
        dataset.read(name, 0)
    assert len(asked) == 2
