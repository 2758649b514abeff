"""The floors against plain numpy."""

from __future__ import annotations

import numpy as np
import torch

from longdream.eval import floors


def test_floors_see_the_context_only_and_repeat_one_frame() -> None:
    context = np.random.default_rng(0).integers(0, 256, (2, floors.STEPS_AT_ONCE + 9, 3, 4, 5), dtype=np.uint8)
    last = floors.copy_last(torch.from_numpy(context), query=3).numpy()
    mean = floors.mean_context(torch.from_numpy(context), query=3).numpy()
    assert last.shape == mean.shape == (2, 3, 3, 4, 5)
    for step in range(3):
        np.testing.assert_allclose(last[:, step], context[:, -1] / 255, rtol=1e-6)
        np.testing.assert_allclose(mean[:, step], context.mean(1) / 255, rtol=1e-6)
