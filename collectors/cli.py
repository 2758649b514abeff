"""`collect`: a data set of scripted episodes from one environment.

The command line is read twice: first for `--env`, then with the options of that environment.
"""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, make_dataclass
from typing import Annotated, Any, Literal, NoReturn

import tyro

from ..datasets.files import DatasetError
from ..datasets.folder import open_folder
from ..datasets.info import INFO, DatasetInfo
from ..datasets.progress import Bars
from ..datasets.shard import committed
from ..datasets.splits import Splits
from ..datasets.verify import cores
from .catalogue import ENVIRONMENTS
from .collect import collect, describe_dataset

ABOUT = """Collect a data set of scripted episodes.

Stop with Ctrl-C and go on with the same command; add episodes with a larger --n. The same settings give the same
bytes, with any number of workers. Then: `longdream inspect DIR`, `longdream verify DIR`, and train on it.

examples:
  collect --list                                                       what there is to collect
  collect --env distracting_memory --help                              with that environment's own options
  collect --env distracting_memory --width 20 --n 200 --out data/dm20
"""


def _shown(value: str, default: str) -> Any:
    """How `--help` shows an argument whose default is worked out later."""
    return tyro.conf.arg(metavar=value, help_behavior_hint=f"(default: {default})")


@dataclass(frozen=True)
class Arguments:
    """What every environment's `collect` takes."""

    env: str
    """Name of the environment; `collect --list` shows them all."""
    n: int
    """Episodes that the data set shall hold."""
    out: str
    """Folder of the data set, or its URL in an object store: s3://bucket/folder."""
    seed: int = 0
    """Of the data set. Episode e is a function of environment, options, seed and e alone."""
    workers: Annotated[int | None, _shown("INT", "the cores of this machine")] = None
    """Processes; they share out the shards."""
    frames: Literal["stored", "on-read"] = "stored"
    """Store the frames, or what they are drawn from: a hundred times smaller, and the same bytes when read."""
    split: Annotated[str | None, _shown("A/B/C", "the environment's own")] = None
    """Ratio train/validation/test, as 8/1/1."""
    per_shard: Annotated[int | None, _shown("INT", "what 200 MB hold, 8 to 128")] = None
    """Episodes of one shard."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `collect` with `arguments` (None: those of the command line)."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        first = _first_look(words)
        if first.list:
            print(list_environments())
            return
        known = None if first.env is None else _known(first.env)
        parsed = _parse(words, known)
        info = _describe(parsed)
    except ValueError as error:
        _fail(str(error), 2)
    _run(parsed, info)


def list_environments() -> str:
    """Return the table that `collect --list` prints."""
    rows = [("environment", "context", "query", "train/val/test", "")]
    for name, environment in ENVIRONMENTS.items():
        context, query = environment.spec(environment.options)
        rows.append((name, str(context), str(query), str(_default_splits(name)), environment.description))
    width = max(len(row[0]) for row in rows)
    return "\n".join(f"{a:<{width}}  {b:>7}  {c:>5}  {d:>14}  {e}".rstrip() for a, b, c, d, e in rows)


def _first_look(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--env", nargs="?")
    parser.add_argument("--list", action="store_true")
    return parser.parse_known_args(words)[0]


def _known(name: str) -> str:
    """Return `name` if it is an environment's."""
    if name in ENVIRONMENTS:
        return name
    near = difflib.get_close_matches(name, ENVIRONMENTS, n=1)
    meant = f"perhaps you meant {near[0]!r}; " if near else ""
    raise ValueError(f"there is no environment {name!r}; {meant}there are {', '.join(ENVIRONMENTS)}")


def _parse(words: list[str], name: str | None) -> Any:
    """Return the arguments, with `options` of the environment's own type where there is one."""
    program = "longdream collect" if sys.argv[0].endswith("longdream collect") else "collect"
    kind: type[Arguments] = Arguments
    about = ABOUT
    if name is not None:
        options = ENVIRONMENTS[name].options
        flat: Any = Annotated[type(options), tyro.conf.arg(name="")]  # --width, not --options.width
        kind = make_dataclass(
            "Arguments", [("options", flat, field(default=options))], bases=(Arguments,), frozen=True
        )  # fmt: skip
        about = f"{ENVIRONMENTS[name].description}\n\n{ABOUT}"
    elif not {"-h", "--help"} & set(words):
        raise ValueError(f"--env is missing: which environment? There are {', '.join(ENVIRONMENTS)}")
    else:
        about += "\nenvironments:\n" + "\n".join(f"  {line}" for line in list_environments().splitlines()[1:])
    return tyro.cli(kind, prog=program, description=about, args=words)


def _describe(parsed: Any) -> DatasetInfo:
    """Return the data set that is asked for."""
    if parsed.workers is not None and parsed.workers < 1:
        raise ValueError(f"--workers {parsed.workers}: 1 or more")
    splits = _default_splits(parsed.env) if parsed.split is None else Splits.from_text(parsed.split)
    return describe_dataset(parsed.env, parsed.options, parsed.n, parsed.seed, splits, parsed.per_shard, parsed.frames)


def _default_splits(name: str) -> Splits:
    return Splits.from_ratio(*ENVIRONMENTS[name].split)


def _run(parsed: Any, info: DatasetInfo) -> None:
    """Collect, and turn what can happen on the way into one line and an exit code."""
    try:
        with Bars("collect") as bars:
            collect(parsed.out, info, parsed.options, parsed.workers or cores(), bars)
    except KeyboardInterrupt:
        _fail(f"stopped. {_present(parsed.out)}; the same command goes on from there", 130)
    except ValueError as error:
        _fail(str(error), 2)
    except OSError as error:
        if not _began(parsed.out):
            _fail(f"cannot write to {parsed.out}: {error.strerror or error}", 2)
        _fail(f"{error}. {_present(parsed.out)}: mend that, and the same command goes on from there", 1)
    print(f"{bars.summary()}{_present(parsed.out)}. Look at it: longdream inspect {parsed.out}")


def _began(root: str) -> bool:
    """Say whether there is a data set that can be gone on with."""
    try:
        return open_folder(root).has(INFO)
    except OSError:
        return False


def _present(root: str) -> str:
    """Say how many episodes are there."""
    try:
        info = DatasetInfo.read(root)
        count = sum(place.range.stop - place.range.first for place in committed(root, info))
    except DatasetError:
        return f"{root} holds no episodes"
    except OSError as error:
        return f"{root} cannot be read ({error.strerror or error})"
    return f"{root} holds {count:,} of {info.episodes:,} episodes"


def _fail(text: str, code: int) -> NoReturn:
    print(f"collect: {text}", file=sys.stderr)
    raise SystemExit(code)


if __name__ == "__main__":
    main()
