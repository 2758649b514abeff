"""`collect`: the same bytes however it was run, killed, repeated or grown; and mistakes are one line."""

import errno
import os
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest

from longdream.collectors import workers
from longdream.collectors.catalogue import ENVIRONMENTS
from longdream.collectors.cli import main
from longdream.collectors.rollout import collect_episode, episode_seed
from longdream.datasets.info import DatasetInfo
from longdream.datasets.reader import EpisodeDataset
from longdream.datasets.verify import verify
from longdream.tests.datasets.dataset_toys import contents

BASE = ["--env", "distracting_memory", "--width", "14", "--per-shard", "4", "--workers", "1"]


def words(out, n, *more) -> list[str]:
    return [*BASE, "--n", str(n), "--out", str(out), *map(str, more)]


def collected(out, n, *more):
    """Collect in this process and return the shards' bytes."""
    main(words(out, n, *more))
    return contents(out / "shards")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The bytes of an uninterrupted run of 10 episodes with one worker."""
    return collected(tmp_path_factory.mktemp("whole") / "dm", 10)


@pytest.fixture
def fails(capsys):
    """Run `collect`; return its exit code and its one line of complaint."""

    def run(arguments):
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            main(arguments)
        complaints = [line for line in capsys.readouterr().err.splitlines() if line.startswith("collect: ")]
        complaints = [line for line in complaints if "%|" not in line]  # a bar begins with the same word
        assert len(complaints) == 1
        return stop.value.code, complaints[0]

    return run


def start(arguments) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "longdream.collectors.cli", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for_shards(out, count, process):
    """Wait until `count` shards are committed, or the process has ended."""
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        if (out / "shards").exists() and len(list((out / "shards").iterdir())) >= count:
            return
        time.sleep(0.005)


def test_an_episode_is_a_function_of_its_index(tmp_path):
    collected(tmp_path / "dm", 10, "--seed", 3)
    dataset = EpisodeDataset(tmp_path / "dm")
    environment = ENVIRONMENTS["distracting_memory"]
    options = type(environment.options)(**dataset.info.options)
    for e in (0, 5, 9):
        wanted = collect_episode(environment, options, episode_seed(3, e))
        np.testing.assert_array_equal(dataset.read("image", e), wanted.obs)
        np.testing.assert_array_equal(dataset.read("action", e), wanted.action)
    assert dataset.info.spec == environment.spec(options)
    assert (dataset.lengths == dataset.info.spec.length).all()


def test_four_workers_give_the_bytes_of_one(tmp_path, whole):
    process = start(words(tmp_path, 10, "--workers", 4))
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert "10 episodes" in out
    assert "frames/s" in out
    assert contents(tmp_path / "shards") == whole


def test_killed_again_and_again_then_finished_equals_uninterrupted(tmp_path):
    """kill -9 at different moments, workers included or orphaned; each time what is committed is whole."""
    n = 160
    wanted = collected(tmp_path / "whole", n)
    out, rng, killed = tmp_path / "dm", np.random.default_rng(0), 0
    for trial in range(4):
        there = len(list((out / "shards").iterdir())) if trial else 0
        process = start(words(out, n, "--workers", 1 + trial % 2))
        wait_for_shards(out, there + 2, process)
        time.sleep(rng.random() * 0.03)
        process.kill() if trial < 2 else os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=60)
        killed += process.returncode == -signal.SIGKILL
        assert not [problem for problem in verify(out) if "was not collected yet" not in problem]
    assert killed >= 2
    time.sleep(0.2)  # for orphaned workers to notice
    main(words(out, n))
    assert contents(out / "shards") == wanted
    assert not list((out / "tmp").iterdir())


def test_two_collectors_on_one_folder(tmp_path):
    wanted = collected(tmp_path / "whole", 60)
    processes = [start(words(tmp_path / "dm", 60)) for _ in range(2)]
    for process in processes:
        _, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
    assert contents(tmp_path / "dm/shards") == wanted
    assert verify(tmp_path / "dm") == []
    assert not list((tmp_path / "dm/tmp").iterdir())


@pytest.mark.parametrize("count", [1, 2])
def test_ctrl_c_keeps_what_is_done_and_says_how_to_go_on(tmp_path, count):
    out = tmp_path / "dm"
    process = start(words(out, 100_000, "--workers", count))
    wait_for_shards(out, 2, process)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert "the same command goes on from there" in err.splitlines()[-1]
    there = EpisodeDataset(out)
    assert len(there) >= 8
    assert f"holds {len(there):,} of 100,000 episodes" in err
    assert not list((out / "tmp").iterdir())
    main(words(out, there.indices[-1] + 3))  # enough is enough: the target may come down to what is there
    assert verify(out) == []


def test_growing_keeps_the_episodes_and_replaces_the_tail(tmp_path, whole, capsys):
    out = tmp_path / "dm"
    collected(out, 6)
    assert sorted(path.name for path in (out / "shards").iterdir()) == ["000000-000004", "000004-000006"]
    before = EpisodeDataset(out).episode(5)
    assert collected(out, 10) == whole
    np.testing.assert_array_equal(EpisodeDataset(out).episode(5).obs, before.obs)
    assert EpisodeDataset(out).info.episodes == 10
    capsys.readouterr()
    assert collected(out, 10) == whole
    assert "nothing to do" in capsys.readouterr().out


def test_a_smaller_collector_beside_a_larger_one_leaves_the_larger_target(tmp_path, monkeypatch):
    """The smaller one begins while the larger one is still at its first shard."""
    make_shards = workers.make_shards

    def meanwhile(*arguments):
        monkeypatch.setattr("longdream.collectors.collect.make_shards", make_shards)
        main(words(tmp_path, 6))
        make_shards(*arguments)

    monkeypatch.setattr("longdream.collectors.collect.make_shards", meanwhile)
    main(words(tmp_path, 10))
    assert EpisodeDataset(tmp_path).info.episodes == 10
    assert verify(tmp_path) == []


def test_damaged_shards_are_set_aside_and_made_again(tmp_path, whole, capsys):
    out = tmp_path / "dm"
    collected(out, 10)
    image = next((out / "shards/000004-000008/image").rglob("c/0/0/0/0"))
    data = bytearray(image.read_bytes())
    data[len(data) // 2] ^= 1
    image.write_bytes(data)
    (out / "shards/000000-000004/manifest.json").unlink()
    capsys.readouterr()
    assert collected(out, 10) == whole
    err = capsys.readouterr().err
    assert "000004-000008: image/c/0/0/0/0 is damaged" in err
    assert "000000-000004: manifest.json is missing" in err
    assert len(list((out / "damaged").iterdir())) == 2


def test_a_lost_description_is_written_again(tmp_path, whole, fails):
    out = tmp_path / "dm"
    collected(out, 10)
    (out / "dataset.json").write_text("{}")
    code, complaint = fails(words(out, 10))
    assert code == 2
    assert "remove it and run the same" in complaint
    (out / "dataset.json").unlink()
    times = {path: path.stat().st_mtime_ns for path in (out / "shards").rglob("*")}
    assert collected(out, 10) == whole
    assert {path: path.stat().st_mtime_ns for path in (out / "shards").rglob("*")} == times


def test_disk_full_is_one_line_and_a_rerun_completes(tmp_path, whole, fails, monkeypatch):
    def full(path):
        if "000004-000008" in str(path):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    with monkeypatch.context() as patch:
        patch.setattr("longdream.datasets.store.flush_all", full)
        code, complaint = fails(words(tmp_path, 10))
    assert code == 1
    assert "No space left on device" in complaint
    assert "holds 4 of 10 episodes" in complaint
    assert not list((tmp_path / "tmp").iterdir())
    assert collected(tmp_path, 10) == whole


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--width", "16"], "width is 14, not 16"),
        (["--seed", "1"], "seed is 0, not 1"),
        (["--split", "6/2/2"], "split is 8/1/1, not 3/1/1"),
        (["--per-shard", "8"], "episodes_per_shard is 4, not 8"),
        (["--n", "5"], "holds 10 episodes already: 5 would add none"),
    ],
)
def test_other_settings_on_the_same_folder_are_refused(tmp_path, whole, fails, more, message):
    out = tmp_path / "dm"
    collected(out, 10)
    before = contents(out)
    code, complaint = fails(words(out, 10, *more))
    assert code == 2
    assert message in complaint
    assert contents(out) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--env", "distracting_memroy"], "perhaps you meant 'distracting_memory'"),
        (["--env", "xyzzy"], "there are "),
        (["--n", "4"], "--env is missing"),
        ([*BASE, "--out", "x", "--n", "0"], "--n 0"),
        ([*BASE, "--out", "x", "--n", "4", "--width", "5"], "5"),
        ([*BASE, "--out", "x", "--n", "4", "--workers", "0"], "--workers 0"),
        ([*BASE, "--out", "x", "--n", "4", "--seed", "-1"], "--seed -1"),
        ([*BASE, "--out", "x", "--n", "4", "--per-shard", "0"], "--per-shard 0"),
        ([*BASE, "--out", "x", "--n", "4", "--split", "8-1-1"], "as in 8/1/1"),
        ([*BASE, "--out", "x", "--n", "4", "--split", "0/1/1"], "train must be 1 or more"),
    ],
)
def test_mistakes_are_one_line_and_nothing_is_written(tmp_path, monkeypatch, fails, arguments, message):
    monkeypatch.chdir(tmp_path)
    code, complaint = fails(arguments)
    assert code == 2
    assert message in complaint
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written(tmp_path, fails):
    (tmp_path / "file").write_text("here")
    code, complaint = fails(words(tmp_path / "file/dm", 4))
    assert code == 2
    assert "cannot write to" in complaint


def test_an_environments_bug_shows_its_episode_and_traceback(tmp_path, monkeypatch):
    def broken(environment, options, seed):
        if seed == episode_seed(0, 6):
            raise ValueError("no such tile")
        return collect_episode(environment, options, seed)

    with monkeypatch.context() as patch:
        patch.setattr("longdream.collectors.rollout.collect_episode", broken)
        with pytest.raises(RuntimeError, match=r"episode 6 of distracting_memory \(seed .* failed: no such tile"):
            main(words(tmp_path, 10))
    assert EpisodeDataset(tmp_path).indices.tolist() == [0, 1, 2, 3]
    assert not list((tmp_path / "tmp").iterdir())


def test_list_and_help_teach(capsys):
    main(["--list"])
    table = capsys.readouterr().out
    for name, environment in ENVIRONMENTS.items():
        (line,) = [line for line in table.splitlines() if line.split()[0] == name]
        context, query = environment.spec(environment.options)
        assert line.split()[1:3] == [str(context), str(query)]
        assert environment.description in line
    for arguments, wanted in [(["--help"], list(ENVIRONMENTS)), ([*BASE[:2], "--help"], ["--width", "--per-shard"])]:
        with pytest.raises(SystemExit) as stop:
            main(arguments)
        assert stop.value.code == 0
        text = capsys.readouterr().out
        assert "collect --env" in text
        assert all(word in text for word in wanted)


def test_it_starts_without_torch_and_zarr():
    """`--list` and workers alike: torch takes seconds and half a gigabyte."""
    code = (
        "import sys, longdream.collectors.cli, longdream.collectors.workers; "
        "assert not {'torch', 'zarr', 'matplotlib'} & set(sys.modules); "
        "import longdream.datasets.store, longdream.collectors.rollout; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_a_dying_worker_is_reported(tmp_path):
    out = tmp_path / "dm"
    process = start(words(out, 100_000, "--workers", 2))
    wait_for_shards(out, 1, process)
    children = psutil.Process(process.pid).children()
    next(child for child in children if any("spawn_main" in word for word in child.cmdline())).kill()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "a worker died (exit code -9" in err
    assert "Traceback" not in err
    assert not list((out / "tmp").iterdir())
    assert DatasetInfo.read(out).episodes == 100_000
