"""What every probe keeps to, on every kind of data set that it fits. A new one is tested here with its line."""

from __future__ import annotations

import collections
import math

import numpy as np
import pytest
import torch

from longdream.eval import probing_floors
from longdream.probes.catalogue import chosen, fitting
from longdream.probes.examination import CONSTANT, LABELS, PROBE, Protocol, examine, mean_of_episodes
from longdream.probes.examples import asked, real, sides_of
from longdream.probes.kinds import NOT_ASKED, Classes
from longdream.probes.maps import pictures
from longdream.probes.observe import features
from longdream.probes.task import Measure
from longdream.probes.training import Training
from longdream.tests.probes.probe_toys import KINDS, PAIRS, Dreaming, Knowing, info_of, small

CPU = torch.device("cpu")
QUICK = Training(steps=150, blocks=12, block=10, lr=1e-2)
EXPECTED = {
    "memory_maze_9x9": {"walls", "objects", "position"},
    "two_rooms": {"layout", "wall_colors", "objects", "object_colors", "position"},
    "distracting_memory": {"cue", "position"},
    "multi_doors_keys_two": {"doors", "position"},
}
DIFFERENT = [(kind, name) for kind, name in PAIRS if name != "position" or kind == "two_rooms"]
TELLING = [pair for pair in DIFFERENT if pair[1] in ("walls", "objects", "doors")]  # answers are not alike by chance
everywhere = pytest.mark.parametrize(("kind", "name"), PAIRS)


def protocol(source, training=QUICK):
    train, test = ([int(e) for e in source.split(split)] for split in ("train", "test"))
    return Protocol(source, train, test, training, CPU)


def on_all(source):
    """Train on all episodes, and mark some of them."""
    episodes = [int(episode) for episode in source.indices]
    return Protocol(source, episodes, episodes[:4], QUICK, CPU)


def the_task(name, source):
    return small(chosen([name], source.info)[0])


def headline(found, row):
    return mean_of_episodes(found.rows[row].marks.query, found.task.measure).value


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_data_has_its_tasks_and_no_two_of_one_name(kind):
    names = [task.name for task in fitting(info_of(kind))]
    assert len(names) == len(set(names))
    assert set(names) == EXPECTED[kind]


@pytest.mark.parametrize(("kind", "name"), DIFFERENT)
def test_a_probe_that_is_fed_the_answers_gives_them(data, kind, name):
    """Marked on what it was trained on: with a dozen episodes there is too little to learn all answers from."""
    source = data(kind)
    found = examine(the_task(name, source), [CONSTANT, LABELS], None, on_all(source))
    assert perfect(found, LABELS)


@pytest.mark.parametrize(("kind", "name"), [("memory_maze_9x9", "walls"), ("memory_maze_9x9", "objects")])
def test_a_model_whose_features_are_the_answers_is_perfect(data, kind, name, tmp_path):
    source = data(kind)
    task, planned = the_task(name, source), on_all(source)
    model = Knowing(task, source, planned.train)
    held = features(model, source, planned.train, {"seed": 0}, tmp_path, batch_size=3, device=CPU)
    assert perfect(examine(task, [PROBE, CONSTANT], held, planned), PROBE)


@pytest.mark.parametrize(("kind", "name"), TELLING)
def test_a_model_that_holds_nothing_in_mind_is_not_better_than_a_constant(data, kind, name, tmp_path):
    source = data(kind)
    task, planned = the_task(name, source), protocol(source)
    episodes = [*planned.train, *planned.test]
    held = features(Dreaming(), source, episodes, {"seed": 0}, tmp_path, batch_size=3, device=CPU)
    found = examine(task, [PROBE, CONSTANT], held, planned)
    if task.measure is Measure.ACCURACY:
        assert headline(found, PROBE) < headline(found, CONSTANT) + 0.06
    else:
        assert headline(found, PROBE) > 0.95 * headline(found, CONSTANT)


def perfect(found, row):
    """Whether a row is as good as a short training gets: all right, or an error of a twentieth of the constant's."""
    if found.task.measure is Measure.ACCURACY:
        return headline(found, row) > 0.995
    return headline(found, row) < 0.05 * headline(found, CONSTANT)


@everywhere
def test_the_constant_row_is_what_a_slow_count_says(data, kind, name):
    """Each column has the answer that is best for the steps it is about, padding left out."""
    source = data(kind)
    task, planned = the_task(name, source), protocol(source)
    marks = examine(task, [CONSTANT], None, planned).rows[CONSTANT].marks
    target = {e: task.target(sides_of(task, source, e)).numpy() for e in [*planned.train, *planned.test]}
    for found, from_start in ((marks.query, False), (marks.whole, True)):
        steps = {e: counted_steps(source, e, from_start) for e in target}
        answer = slow_answer(task, [target[e][t] for e in planned.train for t in steps[e]])
        score = {(e, t): slow_score(task, answer, target[e][t]) for e in planned.test for t in steps[e]}
        for row, episode in enumerate(planned.test):
            expected = np.mean([score[episode, t] for t in steps[episode]])
            assert found.episodes[row] == pytest.approx(expected, rel=1e-6)
        first = counted_steps(source, planned.test[0], from_start)[0]
        expected = np.mean([score[e, first] for e in planned.test if first in steps[e]])
        assert found.curve[first] == pytest.approx(expected, rel=1e-6)


def counted_steps(source, episode, from_start):
    context, pad = int(source.value("context", episode)), source.read("pad", episode)
    return [t for t in range(0 if from_start else context, len(pad)) if not pad[t]]


def slow_answer(task, targets):
    if task.measure is Measure.SQUARED_ERROR:
        return sum(np.asarray(target, np.float64) for target in targets) / len(targets)
    stacked = np.stack(targets)
    flat = stacked.reshape(len(stacked), -1)
    best = [most_frequent(column) for column in flat.T]
    return np.reshape(best, stacked.shape[1:])


def most_frequent(values):
    counts = collections.Counter(values[values != NOT_ASKED].tolist())
    return min(counts, key=lambda value: (-counts[value], value), default=0)


def slow_score(task, answer, target):
    if task.measure is Measure.SQUARED_ERROR:
        return np.mean([(a[0] - t[0]) ** 2 + (a[1] - t[1]) ** 2 for a, t in zip(answer, target, strict=True)])
    pairs = [(a, t) for a, t in zip(np.ravel(answer), np.ravel(target), strict=True) if t != NOT_ASKED]
    return np.mean([a == t for a, t in pairs])


def test_the_constant_rows_of_mazes_are_those_of_the_published_tables(data):
    source = data("memory_maze_9x9")
    planned = protocol(source)
    layouts, vectors = (
        [np.stack([source.read(name, e)[500:] for e in episodes]) for episodes in (planned.train, planned.test)]
        for name in ("maze_layout", "targets_vec")
    )
    walls, objects = (examine(the_task(n, source), [CONSTANT], None, planned) for n in ("walls", "objects"))
    likely = probing_floors.likely_walls(layouts[0][:, 0])
    accuracy = probing_floors.wall_accuracy(likely, layouts[1][:, 0])
    assert walls.rows[CONSTANT].marks.query.episodes == pytest.approx(accuracy)
    error = probing_floors.object_error(probing_floors.mean_vectors(vectors[0]), vectors[1])
    assert objects.rows[CONSTANT].marks.query.episodes == pytest.approx(error, rel=1e-6)


class Seldom(Classes):
    """Which doors are open, asked only where the agent's first coordinate is beyond a line."""

    name, about = "seldom", "which doors are open, asked now and then"
    per_step = ("door_state", "agent_pos")
    classes, hidden = 2, 16

    def __init__(self, line):
        self.line = line

    def target(self, sides):
        return sides["door_state"].long().masked_fill(sides["agent_pos"][:, :1] <= self.line, NOT_ASKED)


def test_steps_that_ask_nothing_do_not_count_and_leave_the_probe_as_it_is(data):
    source = data("multi_doors_keys_two")
    planned = protocol(source, Training(steps=20, blocks=1, block=2))
    line = float(np.median([source.read("agent_pos", e)[:, 0] for e in planned.test]))
    rows = examine(Seldom(line), [CONSTANT, LABELS], None, planned).rows
    beyond = np.stack([(source.read("agent_pos", e)[:, 0] > line) & ~source.read("pad", e) for e in planned.test])
    assert 0 < beyond.sum() < beyond.size
    for row in rows.values():
        assert row.marks.whole.step_count.tolist() == beyond.sum(0).tolist()
        assert np.isfinite(row.marks.whole.episode_total).all()
    assert rows[LABELS].answering(torch.zeros(1, 4)).whole.isfinite().all()


def test_the_loss_is_the_mean_over_what_is_asked_and_0_where_nothing_is():
    output = torch.randn(3, 2, 2, generator=torch.Generator().manual_seed(0), requires_grad=True)
    target = torch.tensor([[NOT_ASKED, 1], [0, NOT_ASKED], [NOT_ASKED, NOT_ASKED]])
    asked_for = -(output[0, 1].log_softmax(0)[1] + output[1, 0].log_softmax(0)[0]) / 2
    assert Seldom(0).loss(output, target).item() == pytest.approx(asked_for.item())
    silent = Seldom(0).loss(output, torch.full_like(target, NOT_ASKED))
    silent.backward()
    assert silent == 0
    assert (output.grad == 0).all()


def test_a_question_that_is_never_asked_has_no_figure(data):
    source = data("multi_doors_keys_two")
    found = examine(Seldom(math.inf), [CONSTANT, LABELS], None, protocol(source, Training(steps=2, blocks=1)))
    assert all(math.isnan(headline(found, row)) for row in found.rows)


def test_padding_is_not_marked(data):
    source = data("multi_doors_keys_two")
    planned = protocol(source)
    marks = examine(the_task("doors", source), [CONSTANT], None, planned).rows[CONSTANT].marks
    pads = np.stack([source.read("pad", episode) for episode in planned.test])
    assert pads.any()
    assert marks.whole.step_count.tolist() == (~pads).sum(0).tolist()
    assert marks.query.episode_count.tolist() == [int(asked(source, e).sum()) for e in planned.test]
    assert [int(real(source, e).sum()) for e in planned.test] == (~pads).sum(1).tolist()


@pytest.mark.parametrize("kind", ["memory_maze_9x9", "two_rooms"])
def test_answers_drawn_on_the_map_are_where_things_are(data, kind):
    source = data(kind)
    for task in fitting(source.info):
        sides = sides_of(task, source, 0)
        target = task.target(sides)
        if task.name == "position":
            places = source.read("agent_pos", 0)[:, None]
        elif task.name == "objects" and kind == "two_rooms":
            places = np.broadcast_to(ordered(source), target.shape)
        elif task.name == "objects":
            places = source.read("targets_pos", 0)
        else:
            assert task.points(target, sides) is None
            continue
        np.testing.assert_allclose(task.points(target, sides).numpy(), places, atol=1e-4)


def ordered(source):
    """Return the spheres of episode 0, each room's from the left to the right."""
    rooms, places = source.value("object_room", 0), source.value("object_pos", 0)
    return np.array(sorted(places.tolist(), key=lambda p: (rooms[places.tolist().index(p)], *p)), np.float32)


def test_spheres_are_named_by_their_place_not_by_their_order_in_the_file(data):
    """Two in a room are alike, so in which order a file lists them is nothing that a model could know."""
    source = data("two_rooms")
    for name in ("objects", "object_colors"):
        task = the_task(name, source)
        sides = sides_of(task, source, 0)
        turned = {k: v.flip(1) if k in task.per_episode else v for k, v in sides.items()}
        assert torch.equal(task.target(sides), task.target(turned))
        assert len(task.target(sides).unique()) > 1


def test_walls_have_a_colour_and_floors_none(data):
    source = data("two_rooms")
    task = the_task("wall_colors", source)
    target = task.target(sides_of(task, source, 0))[0].numpy()
    free = np.pad(source.value("maze_layout", 0)[::-1], 1) == 1  # row 0 on top, with the outer walls
    assert ((target == NOT_ASKED) == free).all()
    assert (target[~free] == source.value("wall_colors", 0)[~free]).all()


def test_the_walls_probe_is_told_the_pose_on_the_scale_of_the_maze(data):
    source = data("memory_maze_9x9")
    task = the_task("walls", source)
    added = task.added(sides_of(task, source, 0)).numpy()
    np.testing.assert_allclose(added[:, :2], source.read("agent_pos", 0) / 9 * 2 - 1, atol=1e-6)
    np.testing.assert_allclose(added[:, 2:], source.read("agent_dir", 0), atol=1e-6)
    assert (abs(added) <= 1).all()
    assert all(the_task(name, source).added({}) is None for name in ("objects", "position"))


def test_the_maps_show_the_truth_and_what_the_probes_say(data):
    """Probes that are fed the answers, in the place of a model's: their maps are nearly the true ones."""
    source = data("memory_maze_9x9")
    planned = on_all(source)
    found = [examine(the_task(name, source), [PROBE], None, planned) for name in ("walls", "objects")]
    rows = pictures(found, source, planned.test)
    assert [[picture.step for picture in row] for row in rows] == [[250, 500, 750, 1000]] * 3
    for row in rows:
        for shown in row:
            assert (shown.truth.cells == source.read("maze_layout", shown.episode)[shown.step]).all()
            places = source.read("targets_pos", shown.episode)[shown.step]
            np.testing.assert_allclose(shown.truth.points, [places], atol=1e-4)
            np.testing.assert_allclose(shown.position, source.read("agent_pos", shown.episode)[shown.step])
            assert (shown.probe.cells == shown.truth.cells).all()
            assert abs(shown.probe.points[0] - places).max() < 4
    assert pictures([], source, planned.test) == []
