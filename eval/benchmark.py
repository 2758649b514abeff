"""The command `longdream benchmark`: how fast world models train and imagine, and the memory they need for it."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

import tyro

from ..datasets.bar import progress_bar
from ..worldmodels.presets import resolve
from . import benchmark_output
from .benchmark_output import Measured
from .cli import chosen_device
from .speed import Phase, Sample, Way, Work, estimate

PATIENCE = 3600  # seconds on a CPU beyond which the work has to be asked for twice


@dataclass(frozen=True)
class BenchmarkArguments:
    """Measure how fast world models train and imagine, and the memory they need, as the S4WM paper's Figure 3 does.

    Frames are random and weights new: what a step costs does not depend on either. Each model trains, and imagines, in
    a process of its own, so that the peak of memory is its own: of the GPU's memory, or on a CPU all that is resident,
    of which Python and its libraries are about 0.34 GB. A preset with truncated backpropagation (the RSSM) is given its
    windows in turn. The first batch of either phase is not counted. Ratios are to the first model. Written into OUT:
    results.json, benchmark.png.

    By default the paper's sizes: batches of 8 x 1000 to train on, 500 + 500 steps of 64 episodes to imagine. On a CPU
    those take hours, and the command says how many before it begins; scale them down, as the last example does.

    examples:
      longdream benchmark --model s4wm rssm tssm-xl --out runs/speed
      longdream benchmark --model s4wm-tiny rssm-tiny --phase imagination --device cpu
      longdream benchmark --model s4wm rssm tssm-xl --time 50 --batches 2 --context 50 --horizon 50 --rounds 1
    """

    model: tuple[str, ...]  # presets or families, as for train_wm.py
    size: int = 64  # of an image, in pixels, from which a family's preset is chosen: 64 or 40
    phase: tuple[Phase, ...] = get_args(Phase)  # what is measured
    batch: int = 8  # episodes trained on at once
    time: int = 1000  # steps of an episode
    batches: int = 100  # of training that are counted
    rows: int = 64  # episodes imagined at once
    context: int = 500  # steps observed
    horizon: int = 500  # steps imagined
    rounds: int = 8  # batches of imagination that are counted
    way: Way | Literal["fastest"] = "fastest"  # to imagine: fastest is cuda-graph on a GPU and eager on a CPU
    device: str = "auto"  # auto (a GPU where there is one), cpu, cuda, cuda:1
    cpu_threads: int = 0  # of torch; 0: all cores
    long: bool = False  # begin even if a CPU takes hours
    out: Path = Path("benchmark")  # a folder; files there are replaced


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; a user's mistake is one line on stderr and exit code 2, Ctrl-C 130, a model that fails 1."""
    wished = tyro.cli(BenchmarkArguments, prog="longdream benchmark", args=arguments)
    try:
        status = run(wished)
    except (ValueError, OSError) as error:
        print(f"benchmark: {' '.join(str(error).split())}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    if status:
        why = "stopped" if status == 130 else "not every model came to its end"
        print(f"benchmark: {why}; what was measured by then is written", file=sys.stderr)
        raise SystemExit(status)


def run(wished: BenchmarkArguments) -> int:
    """Measure what is wished for and write it; return the exit status: 130 after Ctrl-C, 1 where a model failed.

    Raises:
        ValueError: there is no such model or device, a number does not fit, or a CPU would take hours.
    """
    works = planned(wished)
    wished.out.mkdir(parents=True, exist_ok=True)
    if works[0].device == "cpu":
        announce(works, wished.long)
    found, stopped = {work: Measured(work, [], None) for work in works}, False
    try:
        with progress_bar(total=sum(work.batches for work in works), unit="batch", disable=None) as bar:
            for work in works:
                bar.set_description(f"{work.preset}, {work.phase}")
                done = 0
                for measured in samples(work):
                    bar.update(len(measured.samples) - done)
                    found[work], done = measured, len(measured.samples)
    except KeyboardInterrupt:
        stopped = True
    benchmark_output.write(list(found.values()), wished.out)
    return 130 if stopped else int(any(measured.problem for measured in found.values()))


def planned(wished: BenchmarkArguments) -> list[Work]:
    """Return the work, model by model.

    Raises:
        ValueError: there is no such model or device, or a number is not positive.
    """
    for name in ("batch", "time", "batches", "rows", "context", "horizon", "rounds"):
        if getattr(wished, name) < 1:
            raise ValueError(f"--{name} {getattr(wished, name)} is nothing to measure; give 1 or more")
    if not wished.model or not wished.phase:
        raise ValueError("there is nothing to measure; give --model and --phase something")
    device = str(chosen_device(wished.device))
    way: Way = ("eager" if device == "cpu" else "cuda-graph") if wished.way == "fastest" else wished.way
    works = []
    for preset in dict.fromkeys(resolve(name, wished.size) for name in wished.model):
        training = Work(
            preset, "training", wished.batch, wished.time, 0, wished.batches, device, way, wished.cpu_threads
        )
        imagination = replace(
            training,
            phase="imagination",
            batch=wished.rows,
            time=wished.context,
            horizon=wished.horizon,
            batches=wished.rounds,
        )
        works += [work for work in (training, imagination) if work.phase in wished.phase]
    return works


def announce(works: Sequence[Work], long: bool) -> None:
    """Say how long a CPU will take.

    Raises:
        ValueError: hours, which nobody has asked for.
    """
    seconds = 0.0
    for work in progress_bar(works, "estimating", unit="work", disable=None, leave=False):
        seconds += estimate(work)
    text = f"{seconds / 3600:,.1f} hours" if seconds > PATIENCE else f"{-(-seconds // 60):.0f} min"
    if seconds > PATIENCE and not long:
        raise ValueError(
            f"this CPU would take about {text}; scale the work down (--time 50 --batches 2 --context 50 --horizon 50 "
            "--rounds 1), or give --long"
        )
    print(f"this CPU takes about {text}", flush=True)


def samples(work: Work) -> Iterator[Measured]:
    """Do the work in a process of its own; yield what is measured by each of its batches."""
    found = Measured(work, [], None)
    command = [sys.executable, "-m", "longdream.eval.speed", str(work)]
    with (
        tempfile.TemporaryFile("w+") as complaints,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=complaints, text=True, start_new_session=True
        ) as child,
    ):
        assert child.stdout is not None
        try:
            for line in child.stdout:
                found.samples.append(Sample(**json.loads(line)))
                yield found
        finally:
            if child.poll() is None and len(found.samples) < work.batches:
                child.kill()
        if child.wait():
            complaints.seek(0)
            yield found._replace(problem=problem(child.returncode, complaints.read()))


def problem(status: int, complaints: str) -> str:
    """Say in one line why a child did not end well."""
    if "OutOfMemoryError" in complaints:
        return "the GPU's memory is too small"
    if status == -9:
        return "it was killed: most likely memory was too small"
    lines = [line for line in complaints.splitlines() if line.strip()]
    return lines[-1] if lines else f"exit status {status}"


if __name__ == "__main__":
    main()
