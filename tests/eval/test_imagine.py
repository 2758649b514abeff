"""Films of what is imagined: their frames are those that are evaluated, and every format holds them all."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from longdream.datasets.convert.previews import require_av
from longdream.eval import imagination, screen
from longdream.eval.evaluation import evaluate
from longdream.eval.film import Film, shoot
from longdream.eval.imagine import HELD, main, still
from longdream.eval.trials import layout, load
from longdream.tests.eval.eval_stubs import CopyLast, FrameModel, MemorySource, Noisy, Truth
from longdream.tests.eval.test_evaluate_cli import write_data, write_run

CPU = torch.device("cpu")
QUERY = 4


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A run and a data set of 20 episodes of 7 + 4 steps."""
    root = tmp_path_factory.mktemp("imagine")
    return write_run(root / "run"), write_data(root / "data")


def imagine(capsys: pytest.CaptureFixture, *words: object) -> tuple[int, str, str]:
    """Run the command; return its exit status and what it said."""
    status = 0
    try:
        main([*map(str, words), "--device", "cpu"])
    except SystemExit as stop:
        status = int(str(stop.code))
    said = capsys.readouterr()
    return status, said.out, said.err


def rounded(image: torch.Tensor) -> np.ndarray:
    """(T C H W) -> (T H W C) uint8."""
    return (image.clamp(0, 1) * 255).round().byte().movedim(1, -1).numpy()


def test_its_frames_are_those_that_are_evaluated() -> None:
    """In a batch with others, which must not matter, and with the very draws."""
    source, seed = MemorySource(3), 5
    trials = load(source, [0, 1, 2], [0, 1, 2], layout(source.episode(0)))
    outcome = imagination.run(Noisy().eval(), trials, seed, range(QUERY))
    seen = imagination.infer(Noisy().eval(), trials, seed)
    for index in range(3):
        film = shoot({"noisy": Noisy().eval()}, source, index, seed, CPU)
        [take] = film.takes
        np.testing.assert_array_equal(film.truth, source.episode(index).obs)
        np.testing.assert_array_equal(take.frames[7:], rounded(outcome.frames[index]))
        np.testing.assert_allclose(take.error[7:], outcome.generation[index].numpy())
        context = seen.deter[index, :7, :-1].reshape(7, 3, 6, 5)
        np.testing.assert_array_equal(take.frames[:7], rounded(context))
        np.testing.assert_allclose(take.error[:7], outcome.reconstruction[index, :7].numpy(), rtol=1e-6)
    other = shoot({"noisy": Noisy().eval()}, source, 0, seed + 1, CPU).takes[0]
    assert not np.array_equal(other.frames[7:], rounded(outcome.frames[0]))


def test_a_model_is_not_shown_the_query_before_it_has_imagined_it() -> None:
    shown = []

    class Watched(CopyLast):
        def observe(self, batch, state=None, generators=None):
            shown.append(batch.obs.shape[1])
            return super().observe(batch, state, generators)

        def imagine_step(self, state, action, cache, generators=None):
            assert shown == [7]
            return super().imagine_step(state, action, cache, generators)

    shoot({"watched": Watched()}, MemorySource(1), 0, 0, CPU)
    assert shown == [7, 11]


def test_the_reward_is_what_the_model_expects() -> None:
    source = MemorySource(2)
    film = shoot({"truth": Truth(source.episodes), "copy": CopyLast()}, source, 1, 0, CPU)
    assert film.reward[-1] == 1
    assert [take.reward[-1] for take in film.takes] == [1, 0]


def test_a_still_is_the_picture_of_the_evaluation() -> None:
    source = MemorySource(2)
    film = shoot({"noisy": Noisy().eval()}, source, 0, 3, CPU)
    drawn, evaluated = still(film, 0), evaluate(Noisy(), source, [0, 1], seed=3).pictures[0]
    assert (drawn.episode, drawn.steps) == (evaluated.episode, evaluated.steps)
    np.testing.assert_array_equal(drawn.context, evaluated.context)
    np.testing.assert_array_equal(drawn.truth, evaluated.truth)
    np.testing.assert_allclose(drawn.imagined, evaluated.imagined, atol=0.51 / 255)


def contains(picture: np.ndarray, frame: np.ndarray) -> bool:
    """Return whether a frame (H W C) is somewhere in a picture, enlarged by a whole factor."""
    factor = screen.ACROSS // frame.shape[1]
    large = frame.repeat(factor, 0).repeat(factor, 1)
    tops, lefts = np.nonzero((picture == large[0, 0]).all(-1))
    height, width = large.shape[:2]
    return any(
        np.array_equal(picture[top : top + height, left : left + width], large)
        for top, left in zip(tops, lefts, strict=True)
    )


def test_the_screen_shows_truth_last_frame_imagination_and_error() -> None:
    source = MemorySource(1)
    models: dict[str, FrameModel] = {"noisy": Noisy().eval(), "a name that is much too long for its panel": CopyLast()}
    film = shoot(models, source, 0, 0, CPU).since(4)
    pictures = screen.draw(film)
    assert len(pictures) == len(film.truth) == 7
    assert not pictures.shape[1] % 2
    assert not pictures.shape[2] % 2
    for step, picture in enumerate(pictures):
        take = film.takes[0].frames[step]
        error = np.abs(take.astype(int) - film.truth[step]).astype(np.uint8)
        for frame in (film.truth[step], film.truth[min(step, 2)], take, film.takes[1].frames[step], error):
            assert contains(picture, frame), step
    assert not contains(pictures[5], film.truth[4])


def test_since_leaves_the_query_whole() -> None:
    film = shoot({"copy": CopyLast()}, MemorySource(1), 0, 0, CPU)
    cut = film.since(5)
    assert isinstance(cut, Film)
    assert (cut.context, len(cut.truth)) == (2, 6)
    np.testing.assert_array_equal(cut.truth, film.truth[5:])
    np.testing.assert_array_equal(cut.takes[0].error, film.takes[0].error[5:])


def test_it_writes_films_of_several_episodes_and_checkpoints(
    paths: tuple[Path, Path], capsys: pytest.CaptureFixture, tmp_path: Path
) -> None:
    run, data = paths
    other = write_run(tmp_path / "other")
    status, out, _ = imagine(
        capsys, "--checkpoint", run, other, "--data", data, "--episode", 8, 3, 8, "--out", tmp_path / "films"
    )
    assert status == 0
    files = [tmp_path / "films/episode-000008.gif", tmp_path / "films/episode-000003.gif"]
    assert out.split() == [str(path) for path in files]
    assert sorted((tmp_path / "films").iterdir()) == sorted(files)
    with Image.open(files[0]) as file:
        times = []
        for number in range(file.n_frames):
            file.seek(number)
            times.append(file.info["duration"])
        assert sum(times) == 50 * (11 + HELD)
        width = file.width
    imagine(capsys, "--checkpoint", run, "--data", data, "--episode", 8, "--seen", 2)
    with Image.open(run / "imagination/episode-000008.gif") as file:
        assert file.width < width
        assert file.n_frames <= 2 + QUERY + 1


def test_the_format_is_that_of_the_files_name(
    paths: tuple[Path, Path], capsys: pytest.CaptureFixture, tmp_path: Path
) -> None:
    run, data = paths
    shared = ("--checkpoint", run, "--data", data, "--episode", 8)
    assert imagine(capsys, *shared, "--out", tmp_path / "a.mp4")[0] == 0
    with require_av().open(str(tmp_path / "a.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == 11 + HELD
    assert imagine(capsys, *shared, "--out", tmp_path / "new/a.png")[0] == 0
    with Image.open(tmp_path / "new/a.png") as file:
        assert file.width > file.height


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--episode", "20"], "20"),
        (["--episode", "3", "4", "--out", "a.gif"], "a.gif is one file for 2 episodes"),
        (["--episode", "3", "--out", "a.gif", "--format", "png"], "a.gif is not named after --format png"),
        (["--episode", "3", "--checkpoint", "nowhere"], "nowhere"),
        (["--episode", "3", "--device", "cuda:99"], "--device cpu"),
        (["--episode", "3", "--seen", "-1"], "--seen -1"),
    ],
)
def test_a_users_mistake_is_one_line(
    paths: tuple[Path, Path],
    words: list[str],
    message: str,
    capsys: pytest.CaptureFixture,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    run, data = paths
    with pytest.raises(SystemExit) as stop:
        main(["--device", "cpu", "--checkpoint", str(run), "--data", str(data), *words])
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("imagine: ")
    assert message in error
    assert error.count("\n") == 1


def test_mp4_without_pyav_names_the_extra_before_any_work(
    paths: tuple[Path, Path], capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, data = paths
    monkeypatch.setitem(sys.modules, "av", None)
    monkeypatch.setattr("longdream.eval.imagine.load_model", pytest.fail)
    words = ("--checkpoint", run, "--data", data, "--episode", 8, "--format", "mp4")
    status, _, error = imagine(capsys, *words)
    assert status == 2
    assert "pip install 'longdream[video]'" in error
    assert error.count("\n") == 1


def test_a_film_that_fails_half_way_leaves_the_one_before(
    paths: tuple[Path, Path], capsys: pytest.CaptureFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, data = paths
    (tmp_path / "a.gif").write_text("before")

    def half(path: Path, frames: np.ndarray) -> int:
        path.write_text("half")
        raise OSError("the disk is full")

    monkeypatch.setattr("longdream.eval.imagine.write_gif", half)
    words = ("--checkpoint", run, "--data", data, "--episode", 8, "--out", tmp_path / "a.gif")
    assert imagine(capsys, *words)[0] == 2
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a.gif", "before")]
