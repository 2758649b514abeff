"""Figures in print, to stand beside ours and be marked as the paper's.

S4WM's environments and checkpoints were never released. Ours are rebuilt after its text and figures: the task is the
same, the pictures are not, so its squared errors say what to expect and not what to hit. The paper's figures are of
1,000 unseen episodes, of the checkpoint with the best validation loss, of one training run.

Its Figures 3 and 6 give no numbers in print but those in its text; they are here as sentences.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from .trials import Layout

S4WM = "Deng et al., Facing Off World Model Backbones, 2023"


class Task(NamedTuple):
    """What a published figure was measured on."""

    environments: tuple[str, ...]  # the names under which we have it
    options: Mapping[str, Any]  # of the environment, as far as they decide the task
    context: int  # observations
    query: int
    image: tuple[int, ...]  # (H, W, C)

    def is_of(self, environment: str, options: Mapping[str, Any], layout: Layout) -> bool:
        """Return whether data are of this very task: environment, options, and both lengths."""
        return (
            environment in self.environments
            and all(options.get(name) == value for name, value in self.options.items())
            and (layout.context, layout.query, layout.obs) == (self.context, self.query, self.image)
        )


class Published(NamedTuple):
    """A row of a table in print. What it does not have is None."""

    model: str
    task: Task
    source: str
    generation: float | None = None  # squared error of a frame in [0, 1], summed over pixels and channels
    reconstruction: float | None = None  # the same unit
    inference: float | None = None  # accuracy of the final reward, in [0, 1]; the model sees every frame
    imagination: float | None = None  # the same; it sees the context only


def _rooms(name: str, context: int, query: int) -> Task:
    return Task((name,), {"size": 64}, context, query, (64, 64, 3))


def _distracting_memory(width: int, context: int, query: int) -> Task:
    names = ("distracting_memory", "distracting_memory_200", "distracting_memory_400")
    return Task(names, {"width": width, "distractors": 0.5}, context, query, (40, 40, 3))  # 0.5 is a reading of ours


def _doors(keys: int, context: int, query: int) -> Task:
    names = ("multi_doors_keys", *(f"multi_doors_keys_{word}" for word in ("two", "three", "five", "seven")))
    return Task(names, {"keys": keys}, context, query, (40, 40, 3))


TWO_ROOMS, FOUR_ROOMS, TEN_ROOMS = (
    _rooms("two_rooms", 301, 200),
    _rooms("four_rooms", 501, 500),
    _rooms("ten_rooms", 1101, 900),
)
WIDTH_100, WIDTH_200, WIDTH_400 = (
    _distracting_memory(100, 199, 51),
    _distracting_memory(200, 399, 101),
    _distracting_memory(400, 799, 201),
)
THREE_KEYS, FIVE_KEYS, SEVEN_KEYS = _doors(3, 76, 174), _doors(5, 170, 380), _doors(7, 296, 654)


# Reconstruction and generation MSE, for each task of a table.
ERRORS: tuple[tuple[str, tuple[Task, ...], dict[str, tuple[tuple[float, float], ...]]], ...] = (
    (
        "Table 1",
        (TWO_ROOMS, FOUR_ROOMS, TEN_ROOMS),
        {
            "RSSM-TBTT": ((1.7, 62.2), (1.5, 219.4), (1.5, 323.1)),
            "TSSM-XL": ((2.5, 62.9), (2.4, 224.4), (2.6, 360.4)),  # m = 128
            "S4WM": ((1.8, 27.3), (1.7, 44.0), (1.8, 224.4)),
        },
    ),
    (
        "Table 3",
        (THREE_KEYS, FIVE_KEYS, SEVEN_KEYS),
        {
            "RSSM-TBTT": ((0.05, 5.16), (0.04, 6.36), (0.03, 6.28)),
            "TSSM-XL": ((0.05, 1.27), (0.03, 6.05), (0.02, 9.24)),
            "S4WM": ((0.01, 0.04), (0.02, 0.27), (0.02, 0.10)),
        },
    ),
    (
        "Table 4",
        (FOUR_ROOMS, TEN_ROOMS),
        {
            "S4WM-Full-Posterior": ((1.7, 38.0), (2.0, 171.1)),
            "S4WM-No-MLP": ((2.3, 68.6), (2.5, 277.0)),
        },
    ),
    (
        "Table 5",
        (FOUR_ROOMS, TEN_ROOMS),
        {
            "TSSM-XL (m = 256)": ((2.4, 124.4), (2.5, 295.1)),
            "TSSM-XL (m = 512)": ((2.4, 38.4), (2.5, 277.6)),
        },
    ),
)

# Accuracy of the final reward by inference and in imagination, in per cent, for each width.
REWARDS: dict[str, tuple[tuple[float, float], ...]] = {
    "RSSM-TBTT": ((47.9, 49.6), (48.7, 48.4), (50.4, 52.2)),
    "TSSM-XL": ((100.0, 51.2), (99.9, 51.3), (50.4, 51.0)),
    "S4WM": ((100.0, 100.0), (100.0, 100.0), (100.0, 100.0)),
}

PUBLISHED: tuple[Published, ...] = (
    *(
        Published(model, task, f"{S4WM}, {table}", generation=generation, reconstruction=reconstruction)
        for table, tasks, rows in ERRORS
        for model, row in rows.items()
        for task, (reconstruction, generation) in zip(tasks, row, strict=True)
    ),
    *(
        Published(model, task, f"{S4WM}, Table 2", inference=inference / 100, imagination=imagination / 100)
        for model, row in REWARDS.items()
        for task, (inference, imagination) in zip((WIDTH_100, WIDTH_200, WIDTH_400), row, strict=True)
    ),
)


class Probing(NamedTuple):
    """A row of the offline probing of Memory Maze: accuracy in [0, 1]; squared error of a vector in cells."""

    model: str
    source: str
    walls_9x9: float
    walls_15x15: float
    objects_9x9: float
    objects_15x15: float


PROBING: tuple[Probing, ...] = (
    Probing("constant", f"{S4WM}, Table 6", 0.808, 0.783, 23.9, 64.8),
    Probing("RSSM-TBTT", f"{S4WM}, Table 6", 0.950, 0.817, 5.4, 32.6),
    Probing("TSSM-XL", f"{S4WM}, Table 6", 0.864, 0.798, 10.2, 35.1),
    Probing("S4WM", f"{S4WM}, Table 6", 0.884, 0.802, 8.9, 34.8),
    Probing("S5WM", "project page of S4WM", 0.983, 0.818, 1.8, 25.3),
    Probing("supervised oracle", "Pasukonis et al., Memory Maze, 2022", 0.997, 0.885, 0.25, 9.0),
)

SPEED = (  # Figure 3 and section 5.2; one NVIDIA RTX A6000
    "Training (batch 8 x 1000 frames of 64 x 64, mean of 100 batches): S4WM is the fastest; S4WM and TSSM-XL train "
    "much faster than RSSM-TBTT, which needs the least memory.",
    "Imagination (batch 64, 500 steps of context, 500 imagined, mean of 8 batches): RSSM-TBTT makes about 10 times as "
    "many frames a second as S4WM and TSSM-XL; all need about the same memory, most of it for the decoder.",
)
RECALL = (  # Figures 6 and 18, sections 5.4 and B.2
    "TSSM-XL recalls best in Two Rooms, and without a frame after the teleport; in Four and Ten Rooms S4WM does.",
    "In Ten Rooms TSSM-XL with a cache of 512 steps recalls better than S4WM.",
)


def comparable(environment: str, options: Mapping[str, Any], layout: Layout) -> list[Published]:
    """Return the published rows of the very task that data are of; none where any option or length differs."""
    return [row for row in PUBLISHED if row.task.is_of(environment, options, layout)]


def other_sizes(environment: str) -> list[Task]:
    """Return the tasks on which there are published figures of an environment, whatever its size."""
    return list({id(row.task): row.task for row in PUBLISHED if environment in row.task.environments}.values())
