"""`longdream benchmark`: what is counted, what is written, what is refused. Never how fast it is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from longdream.eval import benchmark
from longdream.eval.benchmark import main, problem
from longdream.eval.benchmark_output import Measured, as_dict, as_text
from longdream.eval.speed import (
    Imagination,
    Phase,
    Sample,
    Shape,
    Training,
    Work,
    estimate,
    measure,
    parameters,
    random_batch,
)
from longdream.worldmodels.device import usable_cores
from longdream.worldmodels.families import build
from longdream.worldmodels.presets import PRESETS

TINY = Work("s4wm-tiny", "training", 2, 3, 0, 2, "cpu", "eager", 1)


def call(*words: str) -> int:
    """Run the command; return its exit status."""
    try:
        main([*words, "--device", "cpu"])
    except SystemExit as stop:
        return int(str(stop.code))
    return 0


def test_it_measures_in_processes_of_their_own_and_writes_everything(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    words = "--size 40 --model s4wm-tiny --batch 2 --time 3 --batches 2 --rows 2 --context 3 --horizon 3 --rounds 1"
    assert call(*words.split(), "--out", str(tmp_path), "--cpu-threads", "1") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "this CPU takes about 1 min" in said
    assert "S4WM is the fastest" in said
    assert "0.34 GB of Python and its libraries" in said
    assert "RSSM-TBTT makes about 10 times" in said
    found = json.loads((tmp_path / "results.json").read_text())
    training, imagination = found["results"]
    for result, batches, amount in ((training, 2, 2), (imagination, 1, 2 * 3)):
        assert result["problem"] is None
        assert len(result["seconds"]) == batches
        assert result["rate"] == pytest.approx(amount * batches / sum(result["seconds"]))
        assert 0.1 < result["peak_memory_gb"] < 10
        assert result["times_first"] == 1
        assert result["parameters"] == parameters("s4wm-tiny")
        assert result["threads"] == 1
        assert result["configuration"]["model"]["codec"]["size"] == 40
    assert (training["unit"], imagination["unit"]) == ("episodes/s", "frames/s")
    assert found["provenance"]["hardware"]["cores"] >= 1
    assert "data" not in found["provenance"]
    assert (tmp_path / "benchmark.png").read_bytes().startswith(b"\x89PNG")


def made_up(seconds: dict[str, float]) -> object:
    """Return what stands in for `benchmark.samples`: batches of the given seconds; 0 is Ctrl-C after the first."""

    def samples(work: Work) -> Iterator[Measured]:
        spent = seconds[work.preset]
        found = Measured(work, [], None)
        for _ in range(work.batches):
            found.samples.append(Sample(spent or 1.0, 2.0))
            yield found
            if not spent:
                raise KeyboardInterrupt

    return samples


WORDS = ("--model", "s4wm", "rssm", "tssm-xl", "--long", "--batches", "3", "--rounds", "2")


def test_rates_and_ratios_to_the_first_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    seconds = {"s4wm-3d": 2.0, "rssm-3d": 4.0, "tssm-xl-3d": 1.0}
    monkeypatch.setattr(benchmark, "samples", made_up(seconds))
    monkeypatch.setattr(benchmark, "estimate", lambda _: 1.0)
    assert call(*WORDS, "--out", str(tmp_path)) == 0
    results = json.loads((tmp_path / "results.json").read_text())["results"]
    assert [(r["phase"], r["preset"]) for r in results] == [
        (p, m) for p in ("training", "imagination") for m in seconds
    ]
    assert [r["times_first"] for r in results] == [1, 0.5, 2, 1, 0.5, 2]
    assert [r["rate"] for r in results] == [8 / s for s in seconds.values()] + [64 * 500 / s for s in seconds.values()]
    assert [(r["batch"], r["time"], r["horizon"]) for r in results[::3]] == [(8, 1000, 0), (64, 500, 500)]
    table = capsys.readouterr().out
    assert "x s4wm-3d" in table
    assert "3 of 3" in table


def test_ctrl_c_keeps_what_was_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(benchmark, "samples", made_up({"s4wm-3d": 2.0, "rssm-3d": 0.0}))
    monkeypatch.setattr(benchmark, "estimate", lambda _: 1.0)
    assert call(*WORDS, "--out", str(tmp_path)) == 130
    said = capsys.readouterr()
    assert "stopped; what was measured by then is written" in said.err
    results = json.loads((tmp_path / "results.json").read_text())["results"]
    counts = {(r["preset"], r["phase"]): len(r["seconds"]) for r in results}
    assert counts["s4wm-3d", "training"] == 3
    assert counts["s4wm-3d", "imagination"] == 2
    assert counts["rssm-3d", "training"] == 1
    assert counts["tssm-xl-3d", "training"] == 0
    assert next(r for r in results if r["preset"] == "tssm-xl-3d")["rate"] is None
    assert "1 of 3" in said.out


def test_hours_on_a_cpu_have_to_be_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(benchmark, "samples", made_up({"s4wm-3d": 1.0}))
    monkeypatch.setattr(benchmark, "estimate", lambda _: 9000.0)
    words = ("--model", "s4wm", "--out", str(tmp_path))
    assert call(*words) == 2
    error = capsys.readouterr().err
    assert "about 5.0 hours" in error
    assert "--long" in error
    assert error.count("\n") == 1
    assert call(*words, "--long") == 0
    assert "takes about 5.0 hours" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--model", "s4vm"], "perhaps you meant"),
        (["--model", "s4wm", "--rows", "0"], "--rows 0"),
        (["--model", "s4wm", "--device", "gpu"], "no device 'gpu'"),
        (["--model", "s4wm", "--size", "50"], "50 pixels"),
    ],
)
def test_a_users_mistake_is_one_line(words: list[str], message: str, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("benchmark: ")
    assert message in error
    assert error.count("\n") == 1


def test_a_model_that_fails_is_told_and_does_not_stop_the_others() -> None:
    [failed] = benchmark.samples(replace(TINY, device="nowhere"))
    assert failed.samples == []
    assert failed.problem is not None
    assert "nowhere" in failed.problem
    text = as_text([Measured(TINY, [Sample(1.0, 1.0)], None), failed])
    assert f"s4wm-tiny did not come to its end: {failed.problem}" in text


def test_a_model_that_fails_shows_in_the_exit_status(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(benchmark, "samples", lambda work: [Measured(work, [], "killed")])
    monkeypatch.setattr(benchmark, "estimate", lambda _: 1.0)
    assert call(*WORDS, "--out", str(tmp_path)) == 1
    assert "not every model came to its end" in capsys.readouterr().err
    assert json.loads((tmp_path / "results.json").read_text())["results"][0]["problem"] == "killed"


def test_all_cores_are_recorded_as_their_number() -> None:
    whole = replace(TINY, cpu_threads=0)
    [on_cpu], [on_gpu] = (as_dict([Measured(w, [], None)])["results"] for w in (whole, replace(whole, device="cuda")))
    assert on_cpu["threads"] == usable_cores()
    assert on_gpu["threads"] is None


def test_a_problem_in_words() -> None:
    assert problem(1, "...\ntorch.OutOfMemoryError: CUDA out of memory. Tried\n") == "the GPU's memory is too small"
    assert "memory" in problem(-9, "")
    assert problem(3, "") == "exit status 3"


@pytest.mark.parametrize(("kind", "phase"), [(Training, "training"), (Imagination, "imagination")])
def test_the_first_batch_is_not_counted(kind: type, phase: Phase, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    monkeypatch.setattr(kind, "__call__", lambda self: calls.append(self))
    assert len(list(measure(replace(TINY, phase=phase, horizon=3)))) == 2
    assert len(calls) == 3


def test_truncated_backpropagation_takes_its_windows_in_turn() -> None:
    """18 + 18 + 4 steps, each an optimiser step, the state carried on, as training does it."""
    training = Training(replace(TINY, preset="rssm-tiny", batch=1, time=40))
    windows: list[tuple[int, bool, bool]] = []
    training.model.register_forward_pre_hook(
        lambda _, given: windows.append((given[0].obs.shape[1], bool(given[0].first[:, 0].all()), given[1] is None))
    )
    steps = []
    training.optimizer.register_step_post_hook(lambda *_: steps.append(1))
    training()
    assert windows == [(18, True, True), (18, False, False), (4, False, False)]
    assert len(steps) == 3


def test_training_changes_the_weights_and_imagination_does_not() -> None:
    for work, changed in ((TINY, True), (replace(TINY, phase="imagination", horizon=3), False)):
        call_ = (Training if changed else Imagination)(work)
        before = [parameter.detach().clone() for parameter in call_.model.parameters()]
        call_()
        same = all(torch.equal(a, b) for a, b in zip(before, call_.model.parameters(), strict=True))
        assert same != changed


def test_imagination_decodes_all_its_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    call_ = Imagination(replace(TINY, phase="imagination", time=2, horizon=35))
    decoded = []
    monkeypatch.setattr(call_.model, "predict", lambda latent: decoded.append(latent.deter.shape[:2]))
    call_()
    assert decoded == [(2, 32), (2, 3)]


def test_an_estimate_grows_with_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("longdream.eval.speed._seconds", lambda *_: 1.0)
    small, large = estimate(TINY), estimate(replace(TINY, batch=8, time=160, batches=5))
    assert small == 3  # two batches and the one that is not counted
    assert large == 4 * 10 * 6
    assert estimate(replace(TINY, phase="imagination", time=16, horizon=160, batches=1)) == pytest.approx(2 * 176 / 32)


@pytest.mark.parametrize("preset", ["s4wm-tiny", "r2i-vector-tiny"])
def test_random_data_are_of_the_kind_that_a_model_is_for(preset: str) -> None:
    batch = random_batch(PRESETS[preset].model, Shape(2, 3))
    assert batch.first.tolist() == [[True, False, False]] * 2
    assert (batch.action.sum(-1) == 1).all()
    assert torch.isfinite(build(PRESETS[preset].model)(batch).total)
    assert parameters(preset) == sum(p.numel() for p in build(PRESETS[preset].model).parameters())


def test_nothing_measured_is_null() -> None:
    found = as_dict([Measured(TINY, [], "killed")])["results"][0]
    assert (found["rate"], found["times_first"], found["peak_memory_gb"], found["problem"]) == (
        None,
        None,
        None,
        "killed",
    )
