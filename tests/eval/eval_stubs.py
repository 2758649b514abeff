"""World models whose imagination is known exactly, and episodes in memory, for the tests of the evaluation.

Their latents ARE frames: `deter` holds an image on [0, 1], flattened, and the reward behind it.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from longdream.datasets.episode import CONTEXT, NO_TELEPORT, QUERY, Episode
from longdream.worldmodels.base import Beliefs, Latent, Prediction, WorldModel

IMAGE = (6, 5, 3)  # H W C, all different: a swapped axis shows


def make_episode(
    index: int, context: int = 7, query: int = 4, pad: int = 0, image=IMAGE, teleport=NO_TELEPORT
) -> Episode:
    """Random frames; the last reward is 1 in every second episode; the last `pad` steps are padding."""
    rng, length = np.random.default_rng(index), context + query
    reward = np.zeros(length, np.float32)
    reward[-1] = index % 2
    action = np.eye(3, dtype=np.uint8)[rng.integers(0, 3, length)]
    action[0] = 0
    steps = np.arange(length)
    return Episode(
        image=rng.integers(0, 256, (length, *image), dtype=np.uint8),
        action=action,
        reward=reward,
        is_first=steps == 0,
        terminal=steps == length - 1,
        phase=np.where(steps < context, CONTEXT, QUERY).astype(np.uint8),
        pad=steps >= length - pad,
        context=context,
        seed=index,
        teleport_from=teleport,
    )


class MemorySource:
    """Episodes in memory where the evaluation expects a data set."""

    def __init__(self, count: int, **options) -> None:
        self.episodes = [make_episode(index, **options) for index in range(count)]
        self.indices = list(range(count))

    def episode(self, index: int) -> Episode:
        return self.episodes[index]


class Frames(NamedTuple):
    """The stubs' state."""

    context: Tensor  # (B C ...) the frames that were observed, float32 in [0, 1]
    step: int  # steps imagined so far


class FrameModel(WorldModel):
    """Reconstructs exactly and tells the reward that it sees; what it imagines is `next_frame` and `next_reward`."""

    @abstractmethod
    def next_frame(self, state: Frames) -> Tensor:
        """(B C H W), on [0, 1]."""

    def next_reward(self, state: Frames) -> Tensor:
        """(B)."""
        return torch.zeros(len(state.context))

    def initial(self, batch_size):
        raise AssertionError("the protocol begins by observing")

    def forward(self, batch, state=None):
        raise AssertionError("the protocol does not train")

    def observe(self, batch, state=None, generators=None):
        frames = batch.obs.float() / 255
        self.shape = frames.shape[2:]
        return Beliefs(self.latent(frames, batch.reward), torch.zeros(0), torch.zeros(0), Frames(frames, 0))

    def step_cache(self):
        return None

    def imagine_step(self, state, action, cache, generators=None):
        latent = self.latent(self.next_frame(state)[:, None], self.next_reward(state)[:, None])
        return latent, state._replace(step=state.step + 1)

    def predict(self, latent):
        image = latent.deter[..., :-1].unflatten(-1, self.shape)
        return Prediction(image, latent.deter[..., -1], torch.ones(latent.deter.shape[:2]))

    @staticmethod
    def latent(frames: Tensor, reward: Tensor) -> Latent:
        """(B T C H W), (B T) -> the latents that hold them."""
        return Latent(torch.cat([frames.flatten(2), reward[..., None]], -1), torch.zeros(*reward.shape, 1, 1))


class CopyLast(FrameModel):
    """Imagines the last context frame."""

    def next_frame(self, state):
        return state.context[:, -1]


class MeanContext(FrameModel):
    """Imagines the mean context frame."""

    def next_frame(self, state):
        return state.context.double().mean(1).float()


class Truth(FrameModel):
    """Was given the episodes beforehand, knows each by its first frame, and imagines what really follows."""

    def __init__(self, episodes) -> None:
        super().__init__()
        self.episodes = {self.key(torch.from_numpy(e.image[0]).movedim(-1, 0).float() / 255): e for e in episodes}

    @staticmethod
    def key(frame: Tensor) -> bytes:
        return frame.contiguous().numpy().tobytes()

    def recall(self, state: Frames) -> list[Episode]:
        return [self.episodes[self.key(frames[0])] for frames in state.context]

    def next_frame(self, state):
        true = [e.image[state.context.shape[1] + state.step] for e in self.recall(state)]
        return torch.from_numpy(np.stack(true)).movedim(-1, 1).float() / 255

    def next_reward(self, state):
        return torch.tensor([float(e.reward[state.context.shape[1] + state.step]) for e in self.recall(state)])


class Blend(Truth):
    """Between the truth and the last frame: `share` is how much of the error of copying is left at each step."""

    def __init__(self, episodes, share) -> None:
        super().__init__(episodes)
        self.share = share

    def next_frame(self, state):
        part = self.share[state.step] ** 0.5
        return (1 - part) * super().next_frame(state) + part * state.context[:, -1]


class Noisy(CopyLast):
    """Adds noise from the generators it is given, to what it sees and to what it imagines; tosses coins for rewards."""

    def observe(self, batch, state=None, generators=None):
        beliefs = super().observe(batch, state)
        rows = [torch.rand(part.shape, generator=g) for part, g in zip(beliefs.latent.deter, generators, strict=True)]
        latent = beliefs.latent._replace(deter=beliefs.latent.deter + 0.1 * torch.stack(rows))
        return beliefs._replace(latent=latent)

    def imagine_step(self, state, action, cache, generators=None):
        latent, state = super().imagine_step(state, action, cache)
        rows = [torch.rand(part.shape, generator=g) for part, g in zip(latent.deter, generators, strict=True)]
        return latent._replace(deter=latent.deter + torch.stack(rows)), state
