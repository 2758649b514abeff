"""The umbrella command `longdream <verb>`: everything the toolkit does from a shell, under one name."""

from __future__ import annotations

import sys
from importlib import import_module

# verb -> (module, function, what it does). Modules are imported only when their verb is called: `--help` stays instant.
VERBS = {
    "collect": ("longdream.collectors.cli", "main", "collect a data set of scripted episodes"),
    "inspect": ("longdream.datasets.cli", "inspect_main", "say what is in a data set, and draw a contact sheet"),
    "browse": ("longdream.datasets.cli", "browse_main", "write a page to look at episodes with, one HTML file"),
    "verify": ("longdream.datasets.cli", "verify_main", "check every file and digest of a data set"),
    "index": ("longdream.datasets.cli", "index_main", "make the index of a folder of webdataset tars"),
    "convert": ("longdream.datasets.convert.cli", "main", "bring episodes in from other formats, or take them away"),
    "sweep": ("longdream.experiments.cli", "main", "train and evaluate a whole comparison, as a YAML file says"),
    "reproduce": ("longdream.experiments.reproduce", "main", "make a table of the S4WM paper beside our own figures"),
    "imagine": ("longdream.eval.imagine", "main", "film what models imagine, beside what happened"),
    "benchmark": ("longdream.eval.benchmark", "main", "measure speed and memory in training and imagination"),
    "evaluate": ("longdream.eval.cli", "main", "measure a checkpoint: imagination, reward, floors, report"),
    "play": ("longdream.dreamer.play", "main", "let a trained agent act in new episodes, beside chance"),
    "curves": ("longdream.dreamer.compare_cli", "main", "compare runs that learned to act: tables, learning curves"),
    "probe": ("longdream.probes.cli", "main", "ask what a model's features know: walls, objects, colours, doors"),
}


def usage() -> str:
    """Return the text of `longdream --help`."""
    verbs = "\n".join(f"  {verb:<10} {what}" for verb, (_, _, what) in VERBS.items())
    return (
        f"usage: longdream VERB [options]\n\n{verbs}\n\n"
        "Train with `accelerate launch train_wm.py`, learn to act with `accelerate launch train_dreamer.py`.\n"
        "Each verb has its own --help."
    )


def main() -> None:
    """Run the verb named first on the command line."""
    arguments = sys.argv[1:]
    if not arguments or arguments[0] in ("-h", "--help"):
        print(usage())
        return
    verb = arguments[0]
    if verb not in VERBS:
        print(f"longdream: there is no verb {verb!r}; the verbs are {', '.join(VERBS)}", file=sys.stderr)
        sys.exit(2)
    module, function, _ = VERBS[verb]
    sys.argv = [f"longdream {verb}", *arguments[1:]]
    getattr(import_module(module), function)()
