"""World models whose imagination is known exactly, and episodes in memory, for the tests of the evaluation.

Their latents ARE frames: `deter` holds an image on [0, 1], flattened, and the reward behind it.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from longdream.datasets.episode import CONTEXT, NO_TELEPORT, QUERY, Episode, EpisodeSpec
from longdream.worldmodels.base import Beliefs, Latent, Prediction, WorldModel

IMAGE = (6, 5, 3)  # H W C, all different: a swapped axis shows


def make_episode(
    index: int,
    context: int = 7,
    query: int = 4,
    pad: int = 0,
    image=IMAGE,
    teleport=NO_TELEPORT,
    posed: bool = False,
) -> Episode:
    """Random frames; the last reward is 1 in every second episode; the last `pad` steps are padding.

    After a teleport the frames (and the poses) of the context come again.
    """
    rng, length = np.random.default_rng(index), context + query
    reward = np.zeros(length, np.float32)
    reward[-1] = index % 2
    action = np.eye(3, dtype=np.uint8)[rng.integers(0, 3, length)]
    action[0] = 0
    steps = np.arange(length)
    again = steps if teleport == NO_TELEPORT else np.where(steps < context, steps, steps - context + teleport)
    frames = rng.integers(0, 256, (length, *image), dtype=np.uint8)[again]
    position, heading = rng.integers(0, 4, (length, 2))[again], rng.uniform(0, 6.28, length)[again]
    poses = {"agent_pos": position.astype(np.float32), "agent_dir": np.stack([np.cos(heading), np.sin(heading)], -1)}
    return Episode(
        obs=frames,
        action=action,
        reward=reward,
        is_first=steps == 0,
        terminal=steps == length - 1,
        phase=np.where(steps < context, CONTEXT, QUERY).astype(np.uint8),
        pad=steps >= length - pad,
        context=context,
        seed=index,
        teleport_from=teleport,
        extras=poses if posed else {},
    )


class MemorySource:
    """Episodes in memory where the evaluation expects a data set."""

    def __init__(self, count: int, **options) -> None:
        self.episodes = [make_episode(index, **options) for index in range(count)]
        self.indices = list(range(count))

    def episode(self, index: int) -> Episode:
        return self.episodes[index]

    def extent(self, index: int) -> EpisodeSpec:
        context = self.episodes[index].context
        return EpisodeSpec(context, len(self.episodes[index]) - context)


class Frames(NamedTuple):
    """The stubs' state."""

    context: Tensor  # (B C ...) all frames that were observed, float32 in [0, 1]
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
        seen = frames if state is None else torch.cat([state.context, frames], 1)
        return Beliefs(self.latent(frames, batch.reward), torch.zeros(0), torch.zeros(0), Frames(seen, 0))

    def policy_features(self, latent, state, kind):
        raise AssertionError("the protocol has no policy")

    def policy_width(self, kind):
        raise AssertionError("the protocol has no policy")

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


class Peeking(FrameModel):
    """Imagines with whatever true frame it can get hold of: one it saw, or one behind a view that it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = torch.zeros(0)

    def observe(self, batch, state=None, generators=None):
        storage = batch.obs.untyped_storage()
        rows = storage.nbytes() // (len(batch.obs) * batch.obs[0, 0].numel())  # frames in memory, shown or not
        hidden = torch.empty(0, dtype=torch.uint8).set_(storage).reshape(len(batch.obs), rows, *batch.obs.shape[2:])
        before = self.seen if state is not None else hidden[:, :0].float()
        self.seen = torch.cat([before, hidden.float() / 255], 1)
        return super().observe(batch, state)

    def next_frame(self, state):
        return self.seen[:, min(state.context.shape[1] + state.step, self.seen.shape[1] - 1)]


class Truth(FrameModel):
    """Was given the episodes beforehand, knows each by its context, and imagines what really follows."""

    def __init__(self, episodes) -> None:
        super().__init__()
        self.length = episodes[0].context
        self.episodes = {self.key(torch.from_numpy(e.obs).movedim(-1, 1).float() / 255): e for e in episodes}

    def key(self, frames: Tensor) -> bytes:
        return frames[: self.length].contiguous().numpy().tobytes()

    def known(self, state: Frames) -> list[Episode]:
        return [self.episodes[self.key(frames)] for frames in state.context]

    def next_frame(self, state):
        true = [e.obs[state.context.shape[1] + state.step] for e in self.known(state)]
        return torch.from_numpy(np.stack(true)).movedim(-1, 1).float() / 255

    def next_reward(self, state):
        return torch.tensor([float(e.reward[state.context.shape[1] + state.step]) for e in self.known(state)])


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
        beliefs = super().observe(batch, state, generators)
        rows = [torch.rand(part.shape, generator=g) for part, g in zip(beliefs.latent.deter, generators, strict=True)]
        latent = beliefs.latent._replace(deter=beliefs.latent.deter + 0.1 * torch.stack(rows))
        return beliefs._replace(latent=latent)

    def imagine_step(self, state, action, cache, generators=None):
        latent, state = super().imagine_step(state, action, cache)
        rows = [torch.rand(part.shape, generator=g) for part, g in zip(latent.deter, generators, strict=True)]
        return latent._replace(deter=latent.deter + torch.stack(rows)), state
