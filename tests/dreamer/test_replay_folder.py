"""A replay's folder is a data set: looked at, verified, trained on and evaluated, also while its run goes on."""

import json
import sys

import numpy as np
import pytest

from longdream.datasets.cli import browse_main, inspect_main, verify_main
from longdream.datasets.files import DatasetError
from longdream.datasets.reader import EpisodeDataset
from longdream.datasets.resume import begin
from longdream.datasets.verify import verify
from longdream.eval.cli import main as evaluate_main
from longdream.probes.cli import main as probe_main
from longdream.tests.dreamer.loop_toys import learn
from longdream.tests.dreamer.replay_toys import IMAGES, VECTORS, Reference, open_replay, play, toy_info
from longdream.worldmodels.trainer import run as train

KINDS = pytest.mark.parametrize("obs", [VECTORS, (16, 16, 3)], ids=["vectors", "images"])


def written(root, count, obs=VECTORS, capacity=10_000) -> Reference:
    """Play into a replay, write what there is, and return what was played."""
    reference = Reference()
    with open_replay(root, capacity, obs) as replay:
        for steps in play(count, obs):
            replay.add(steps)
            reference.add(steps)
        replay.flush()
    return reference


@pytest.mark.parametrize("obs", [VECTORS, IMAGES], ids=["vectors", "images"])
def test_what_is_written_is_what_was_played(tmp_path, obs):
    reference = written(tmp_path, 150, obs, capacity=150)
    dataset = EpisodeDataset(tmp_path)
    assert dataset.indices[0] > 0, "the oldest have left"
    assert dataset.indices[-1] == len(reference.ended) - 1
    for e in dataset.indices.tolist():
        episode, played = dataset.episode(e), reference.ended[e]
        np.testing.assert_array_equal(episode.obs, np.stack([step.obs for step in played]))
        np.testing.assert_array_equal(episode.action, np.stack([step.action for step in played]))
        np.testing.assert_array_equal(episode.reward, [step.reward for step in played])
        np.testing.assert_array_equal(episode.terminal, [step.terminal for step in played])
        np.testing.assert_array_equal(episode.is_first, [step.first for step in played])
        context = 6 if len(played) > 6 else len(played) // 2
        assert (episode.context, dataset.extent(e).query) == (context, len(played) - context)
        np.testing.assert_array_equal(episode.phase, np.arange(len(played)) >= context)


def run(main, *words):
    """Run a command; return its exit code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["longdream", *map(str, words)])
        try:
            main()
        except SystemExit as stop:
            return stop.code
    return 0


@KINDS
def test_it_is_looked_at_and_verified(tmp_path, capsys, obs):
    reference = written(tmp_path, 90, obs, capacity=100)
    held = EpisodeDataset(tmp_path).indices
    assert run(inspect_main, tmp_path) == 0
    said = capsys.readouterr().out
    assert f"{len(held)}, number {held[0]} to {held[-1]}: the replay of an online run" in said
    assert "keeps the last 100 steps" in said
    assert (tmp_path / "inspect.png").stat().st_size > 5000
    assert run(verify_main, tmp_path) == 0
    assert f"{len(held)} episodes" in capsys.readouterr().out
    assert run(browse_main, tmp_path, "--episodes", held[1]) == 0
    page = (tmp_path / "browse.html").read_text()
    content = json.loads(page.split(f'id="episode-{held[1]}">')[1].split("</script>")[0])
    if obs == VECTORS:
        np.testing.assert_allclose(content["vector"], np.stack([s.obs for s in reference.ended[held[1]]]), atol=1e-4)
    else:
        assert len(content["sheets"]) == 1


def test_a_run_of_an_environment_with_side_arrays_is_probed(tmp_path):
    """What the agent held in mind of the cue, in the episodes that it has played itself."""
    kind = {"env": "distracting_memory", "model": "rssm-tiny"}
    small = ["--width=14", "--world-model.width=16", "--world-model.codec.multiplier=2", "--env-steps=480"]
    assert learn(tmp_path, *small, "--train-ratio=1", "--evaluate-every=1000", **kind) == 0
    words = ["--checkpoint", tmp_path, "--data", tmp_path / "replay", "--steps", "4", "--device", "cpu"]
    with pytest.raises(SystemExit) as ended:
        probe_main([*map(str, words), "--out", str(tmp_path / "out")])
    assert ended.value.code == 0
    assert "cue" in (tmp_path / "out/results.json").read_text()


def test_a_hole_and_damage_are_found(tmp_path):
    written(tmp_path, 120, capacity=600)
    shards = sorted((tmp_path / "shards").iterdir())
    assert len(shards) > 3
    file = shards[2] / "vector/c/0/0"
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    assert "000016-000024: vector/c/0/0 is damaged" in verify(tmp_path)[0]
    shards[1].rename(tmp_path / "away")
    assert any("episodes 8 to 15 are missing" in line for line in verify(tmp_path))
    shards[2].rename(tmp_path / "away too")
    with pytest.raises(ValueError, match="lacks some of the episodes 0 to"):
        open_replay(tmp_path)


def test_it_is_read_while_its_run_goes_on(tmp_path):
    """The last shard is replaced by larger ones, and the oldest leave, under a reader that was opened before."""
    reference = Reference()
    with open_replay(tmp_path, capacity=100) as replay:
        for t, steps in enumerate(play(130)):
            replay.add(steps)
            reference.add(steps)
            if t == 60:
                replay.flush()
                reader = EpisodeDataset(tmp_path)
                last, first = int(reader.indices[-1]), int(reader.indices[0])
            if t in (64, 70):
                replay.flush()
                assert replay.store.stop > last + 1
                episode = reader.episode(last)
                np.testing.assert_array_equal(episode.obs, np.stack([step.obs for step in reference.ended[last]]))
        assert replay.store.oldest > last
    with pytest.raises(DatasetError, match=f"episode {first} has left the replay.*again"):
        reader.episode(first)


def test_nothing_else_is_written_into_it(tmp_path):
    written(tmp_path, 30)
    with pytest.raises(ValueError, match="it is the replay of an online run, not a data set"):
        begin(tmp_path, toy_info())
    begin(tmp_path / "data", toy_info())
    with pytest.raises(ValueError, match="not the replay of an online run"):
        open_replay(tmp_path / "data")


@KINDS
def test_a_model_is_trained_on_it_and_evaluated(tmp_path, obs):
    """Episodes have several lengths and contexts of their own."""
    written(tmp_path / "replay", 200, obs)
    model = ["--model", "r2i-vector-tiny"] if obs == VECTORS else ["--model", "rssm-tiny"]
    small = ["--batch-size", "2", "--window", "6", "--random-windows", "--steps", "2", "--device", "cpu"]
    words = ["--data", str(tmp_path / "replay"), "--out", str(tmp_path / "run"), *model, *small]
    assert train([*words, "--validation-episodes", "2"]) == 0
    given = ["--checkpoint", str(tmp_path / "run"), "--data", str(tmp_path / "replay"), "--device", "cpu"]
    with pytest.raises(SystemExit) as ended:
        evaluate_main([*given, "--episodes", "3", "--batch-size", "2", "--out", str(tmp_path / "out")])
    assert ended.value.code == 0
    [found] = json.loads((tmp_path / "out/results.json").read_text())["runs"]
    dataset = EpisodeDataset(tmp_path / "replay")
    latest = dataset.split("test")[-3:]
    assert found["episodes"] == latest.tolist()
    assert found["lengths_vary"]
    queries = [dataset.extent(int(e)).query for e in latest]
    errors = found["errors"]["copy_last"]
    assert len(errors["per_step"]) == max(queries)
    wanted = []
    for e in latest.tolist():
        episode = dataset.episode(e)
        scaled = episode.obs / (1 if obs == VECTORS else 255)
        wanted.append(((scaled[episode.context :] - scaled[episode.context - 1]) ** 2).reshape(-1, np.prod(obs)).sum(1))
    np.testing.assert_allclose(errors["mse"], np.concatenate(wanted).mean(), rtol=1e-5)
    step = max(queries) - 1  # which is of the longest ones alone
    longer = [error[step] for error in wanted if len(error) > step]
    np.testing.assert_allclose(errors["per_step"][step], np.mean(longer), rtol=1e-5)
    assert (tmp_path / "out/report.html").exists()
    assert (tmp_path / f"out/{'vectors-' + str(latest[0]) if obs == VECTORS else 'frames'}.png").exists()
