"""Doors read from frames, against the environment itself."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from longdream.collectors.envs import multi_doors_keys as mdk
from longdream.collectors.envs.grid import cell_centre
from longdream.datasets.frames.tiles import LOCKED, OPEN, TILE, VIEW, tile_table
from longdream.eval import doors, oracle, trials
from longdream.eval.evaluation import evaluate
from longdream.eval.reasoning import KINDS, Reasoning
from longdream.tests.eval.collected import collected
from longdream.tests.eval.eval_stubs import CopyLast, FrameModel, MemorySource, Truth

COUNT = 5


@pytest.fixture(scope="module")
def source() -> MemorySource:
    """Real episodes with two doors; uneven batches of two come of five."""
    return collected("multi_doors_keys_two", COUNT)


def reasoning(model: FrameModel, source: MemorySource) -> Reasoning:
    found = evaluate(model, source, source.indices, batch_size=2).reasoning
    assert found is not None
    return found


def doors_of(batch: trials.Trials) -> doors.Doors:
    assert batch.doors is not None
    return batch.doors


def batch_of(source: MemorySource) -> trials.Trials:
    return trials.load(source, source.indices, source.indices, trials.layout(source.episodes[0]))


def events(episode) -> dict[str, list[tuple[int, int]]]:
    """The (query step, door) of every kind of event, by stepping through the environment."""
    env = mdk.MultiDoorsKeys(keys=2)
    _, info = env.reset(seed=episode.seed)
    found: dict[str, list[tuple[int, int]]] = {kind: [] for kind in KINDS}
    columns, last = mdk.columns(2).tolist(), {}
    for t, action in enumerate(episode.action[1:].argmax(-1).tolist(), 1):
        before, front = info["door_state"], tuple(int(v) for v in env.front_pos)
        _, _, _, _, info = env.step(action)
        step, after = t - episode.context, info["door_state"]
        if step < 0 or episode.pad[t]:
            continue
        for door, column in enumerate(columns):
            if max(abs(env.pose.x - column), abs(env.pose.y - mdk.DOOR_ROW)) <= VIEW // 2:
                found["seen"].append((step, door))
                last[door] = (step, bool(after[door]))
            if action == mdk.Action.TOGGLE and front == (column, mdk.DOOR_ROW) and not before[door]:
                found["tried"].append((step, door))
                found["opened" if after[door] else "refused"].append((step, door))
    found["kept"] = [(step, door) for door, (step, opened) in last.items() if opened]
    return found


def test_the_places_are_the_environments() -> None:
    assert (doors.HEIGHT, doors.ROW, doors.TOGGLE) == (mdk.HEIGHT, mdk.DOOR_ROW, mdk.Action.TOGGLE)
    assert [doors.FIRST + doors.SPACING * place for place in range(7)] == mdk.columns(7).tolist()


def test_events_are_those_of_the_environment(source: MemorySource) -> None:
    found = reasoning(Truth(source.episodes), source)
    expected = [events(episode) for episode in source.episodes]
    for kind in KINDS:
        assert getattr(found, kind).cases == sum(len(own[kind]) for own in expected) > 0, kind
    truth = doors_of(batch_of(source))
    for row, own in enumerate(expected):
        assert [tuple(at) for at in truth.seen[row].nonzero().tolist()] == sorted(own["seen"])
        assert [tuple(at) for at in truth.tried[row].nonzero().tolist()] == sorted(own["tried"])


def test_a_door_is_tried_only_by_who_stands_before_it(source: MemorySource) -> None:
    """Of an agent that toggles all along, only the steps count at which it looks up at a locked door from below."""
    wild = []
    for episode in source.episodes:
        action = np.zeros_like(episode.action)
        action[1:, mdk.Action.TOGGLE] = 1
        wild.append(dataclasses.replace(episode, action=action))
    tried, expected = doors.truth(wild).tried, []
    for row, episode in enumerate(source.episodes):
        for step, door in np.ndindex(len(episode) - episode.context, 2):
            t, place = episode.context + step, cell_centre(mdk.column_of(door), mdk.DOOR_ROW + 1, mdk.HEIGHT)
            below = np.array_equal(episode.extras["agent_pos"][t], place)
            up = np.array_equal(episode.extras["agent_dir"][t], (0, 1))
            if below and up and not episode.extras["door_state"][t - 1, door] and not episode.pad[t]:
                expected.append([row, step, door])
    assert tried.nonzero().tolist() == expected != []


def test_true_frames_are_read_without_an_error_even_through_noise(source: MemorySource) -> None:
    batch = batch_of(source)
    truth = doors_of(batch)
    frames = batch.batch.obs[:, batch.context :].float() / 255
    noise = torch.randn(frames.shape, generator=torch.Generator().manual_seed(0))
    for image in (frames, frames + 0.2 * noise):
        read = doors.read(image, truth.tile)
        assert torch.equal(read[truth.seen], truth.open[truth.seen].long())


def test_a_frame_shows_what_its_nearest_tile_shows() -> None:
    """Against a loop over frames, doors and tiles."""
    image = torch.rand(2, 3, 3, 40, 40, generator=torch.Generator().manual_seed(1))
    tile = torch.tensor([[[0, 24]] * 3, [[7, 13]] * 3])
    pictures = tile_table()[0] / 255
    for b, t, d in np.ndindex(2, 3, 2):
        row, column = divmod(int(tile[b, t, d]), VIEW)
        window = image[b, t, :, row * TILE : (row + 1) * TILE, column * TILE : (column + 1) * TILE]
        nearest = int(((pictures - window.permute(1, 2, 0).numpy()) ** 2).sum((1, 2, 3)).argmin())
        expected = doors.CLOSED if LOCKED <= nearest < OPEN else doors.OPEN if OPEN <= nearest < OPEN + 4 else 2
        assert int(doors.read(image, tile)[b, t, d]) == expected


def test_the_truth_tells_every_door_right(source: MemorySource) -> None:
    found = reasoning(Truth(source.episodes), source)
    for kind in KINDS:
        told = getattr(found, kind)
        assert told.right == told.cases
        assert told.interval.value == 1
    assert np.nanmin(found.per_step) == 1


def test_a_model_that_never_opens_a_door_scores_the_floor(source: MemorySource) -> None:
    closed = [dataclasses.replace(episode, obs=shut(episode.obs)) for episode in source.episodes]
    found = reasoning(Truth(closed), source)
    for kind in KINDS:
        assert getattr(found, kind).interval.value == pytest.approx(getattr(found, kind).always_closed)
    assert (found.opened.right, found.refused.right) == (0, found.refused.cases)
    assert found.kept.cases == found.kept.open
    assert found.tried.always_open + found.tried.always_closed == 1


def shut(image: np.ndarray) -> np.ndarray:
    """The same frames, each open door drawn as a closed one of its colour."""
    tiles = image.copy().reshape(len(image), VIEW, TILE, VIEW, TILE, 3).swapaxes(2, 3)  # (T 5 5 8 8 3)
    for colour in range(4):
        tiles[(tiles == tile_table()[0, OPEN + colour]).all((3, 4, 5))] = tile_table()[0, LOCKED + colour]
    return tiles.swapaxes(2, 3).reshape(image.shape)


def test_floors_are_read_from_their_frames(source: MemorySource, monkeypatch: pytest.MonkeyPatch) -> None:
    """Against a loop over episodes, steps and doors."""
    monkeypatch.setattr("longdream.eval.floors.STEPS_AT_ONCE", 7)
    found = evaluate(CopyLast(), source, source.indices, batch_size=2).door_floors
    truth, right = doors_of(batch_of(source)), {"copy_last": 0, "mean_context": 0, "nearest_pose": 0}
    for row, episode in enumerate(source.episodes):
        seen, poses = episode.obs[: episode.context], oracle.poses(episode)
        for step, door in truth.seen[row].nonzero().tolist():
            apart = ((poses[: episode.context] - poses[episode.context + step]) ** 2).sum(1)
            near = np.flatnonzero(apart == apart.min())[-1]
            frames = {"copy_last": seen[-1], "mean_context": seen.mean(0), "nearest_pose": seen[near]}
            for name, frame in frames.items():
                image = torch.from_numpy(np.moveaxis(frame / 255, -1, 0)).float()[None, None]
                state = doors.read(image, truth.tile[row, step, door][None, None, None])
                right[name] += int(state) == int(truth.open[row, step, door])
    assert {name: told.seen.right for name, told in found.items()} == right
    assert reasoning(CopyLast(), source).seen == found["copy_last"].seen
    plain = MemorySource(2)
    assert evaluate(CopyLast(), plain, plain.indices).door_floors == {}


def test_a_picture_without_a_door_is_wrong_either_way(source: MemorySource) -> None:
    class Dark(CopyLast):
        def next_frame(self, state):
            return torch.zeros_like(state.context[:, -1])

    found = reasoning(Dark(), source)
    assert [getattr(found, kind).right for kind in KINDS] == [0] * len(KINDS)


def test_padding_does_not_count(source: MemorySource) -> None:
    whole = reasoning(Truth(source.episodes), source)
    cut = MemorySource(0)
    cut.episodes = [dataclasses.replace(e, pad=np.arange(len(e)) >= e.context + 40) for e in source.episodes]
    cut.indices = source.indices
    found = reasoning(Truth(source.episodes), cut)
    assert 0 < found.seen.cases < whole.seen.cases
    assert np.isnan(found.per_step[40:]).all()
    assert np.array_equal(found.per_step[:40], whole.per_step[:40], equal_nan=True)
    assert found.tried.cases == sum(step < 40 for e in source.episodes for step, _ in events(e)["tried"])


def test_without_doors_or_with_other_pictures_there_is_nothing_to_reason_about(source: MemorySource) -> None:
    plain = MemorySource(2)
    assert evaluate(CopyLast(), plain, plain.indices).reasoning is None
    larger = dataclasses.replace(source.episodes[0], obs=source.episodes[0].obs.repeat(2, 1).repeat(2, 2))
    assert trials.layout(larger).doors == 0
