"""Rooms: walk through rooms whose wall colours and spheres are drawn anew in every episode, and remember them.

The maps are texts in room_maps.py. What is seen is Memory Maze's look, from the walker's eye. There is no reward: what
there is to predict is the picture. In the teleport variants the agent is put back, at step C, to where it stood at step
`teleport_from` of the context; what it sees from there on it has seen before.

Source: Deng et al., Facing Off World Model Backbones (S4WM), 2023; number, colours and places of the spheres and which
walls share a colour are not given there and are choices of ours.

Axes: T time, H height and W width of the picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from gymnasium import spaces

from ...datasets.episode import NO_TELEPORT, ArraySpec, EpisodeSpec
from ...datasets.frames.recipes import rooms as view_of
from ...datasets.frames.renderers import render, resolved
from ...datasets.frames.scene import Camera
from .room_maps import ROOM_MAPS, room_map, spec_of
from .room_world import Track, World, draw, extras_of, facts, follow
from .top_view import top_view
from .walker import Action, Walker, advance


@dataclass(frozen=True)
class RoomsOptions:
    """What can be chosen."""

    size: int = 64
    """Pixels across a picture, a multiple of 8."""
    renderer: str = "raycast"
    """What draws the pictures: raycast, or mujoco."""


@dataclass(frozen=True)
class RoomsTeleportOptions(RoomsOptions):
    """What can be chosen, with a teleport."""

    query: int | None = None
    """Observations after the teleport; by default as many as without one, at most half of the context."""


class RoomsState(NamedTuple):
    """All that the rest of an episode depends on."""

    world: World
    walker: Walker
    actions: tuple[int, ...]  # so far
    route: tuple[int, ...]  # rooms entered so far, in order, with the one it began in
    mark: Walker | None  # where the teleport will lead to, once the agent has been there


def spec(name: str, options: RoomsOptions) -> EpisodeSpec:
    """Return the lengths of an episode in the rooms `name`.

    Raises:
        ValueError: if an option is out of range, or the map is broken.
    """
    Camera(size=options.size)
    resolved(options.renderer)
    whole = spec_of(name)
    if not isinstance(options, RoomsTeleportOptions):
        return whole
    query = min(whole.query, whole.context // 2) if options.query is None else options.query
    if not 1 <= query <= whole.context:
        raise ValueError(f"query {query}: 1 to {whole.context}, the observations of the context")
    return EpisodeSpec(whole.context, query)


def extras(name: str, options: RoomsOptions) -> dict[str, ArraySpec]:
    """Return the side arrays."""
    return extras_of(room_map(name))


def draw_world(name: str, options: RoomsOptions, rng: np.random.Generator) -> World:
    """Draw an episode's world."""
    context, query = spec(name, options)
    return draw(room_map(name), rng, context - query if isinstance(options, RoomsTeleportOptions) else None)


def pictures(options: RoomsOptions, arrays: dict[str, np.ndarray]) -> np.ndarray:
    """Return what is seen at T steps, (T H W 3) uint8, from the side arrays of these steps and of the episode."""
    return render(*view_of(arrays, {"size": options.size}), options.renderer)


class Rooms(gymnasium.Env):
    """The environment, stepwise; see the module's docstring."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012 (gymnasium's own convention)
    world: World
    walker: Walker
    actions: list[int]  # of this episode, so far
    route: list[int]  # rooms entered so far, in order, with the one it began in
    mark: Walker | None  # where the teleport will lead to, once the agent has been there

    def __init__(
        self,
        rooms: str = "four_rooms",
        size: int = 64,
        renderer: str = "raycast",
        render_mode: str | None = None,
    ) -> None:
        """Make the environment.

        Args:
            rooms: a name of ROOM_MAPS.
            size: of the pictures, see `RoomsOptions`.
            renderer: of the pictures, see `RoomsOptions`.
            render_mode: None, or "rgb_array" for pictures of the whole map.
        """
        self._make(rooms, RoomsOptions(size, renderer), render_mode)

    def _make(self, rooms: str, options: RoomsOptions, render_mode: str | None) -> None:
        self.name, self.options, self.render_mode = rooms, options, render_mode
        self.lengths, self.rooms, self.visit = spec(rooms, options), room_map(rooms), ROOM_MAPS[rooms].visit
        self.observation_space = spaces.Box(0, 255, (options.size, options.size, 3), np.uint8)
        self.action_space = spaces.Discrete(len(Action))

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin an episode in a new world."""
        super().reset(seed=seed)
        world = draw_world(self.name, self.options, self.np_random)
        return self.set_state(RoomsState(world, world.start, (), (), None))

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Take one action."""
        if not self.action_space.contains(action):
            raise ValueError(f"there is no action {action!r}; they are 0 to {len(Action) - 1}")
        self.actions.append(int(action))
        if self.mark is not None and len(self.actions) == self.lengths.context:
            self.walker = self.mark
        else:
            self.walker = advance(self.walker, int(action), self.rooms.solid, self.rooms.walls.shape[1])
        observation, info = self._observe()
        return observation, 0.0, False, len(self.actions) >= self.lengths.length - 1, info

    def get_state(self) -> RoomsState:
        """Return the state of the episode. Nothing changes it: it can be kept and put back any number of times."""
        return RoomsState(self.world, self.walker, tuple(self.actions), tuple(self.route), self.mark)

    def set_state(self, state: RoomsState) -> tuple[np.ndarray, dict[str, Any]]:
        """Go on from a state, to the bit; return its observation and info.

        Raises:
            ValueError: if it is of another map.
        """
        if not np.array_equal(state.world.rooms.walls, self.rooms.walls):
            raise ValueError(f"the state is of another map than {self.name}")
        self.world, self.walker, self.mark = state.world, state.walker, state.mark
        self.actions, self.route = list(state.actions), list(state.route)
        return self._observe()

    def render(self) -> np.ndarray | None:
        """Return a picture of the whole map, (H W 3) uint8; None without a render mode."""
        return None if self.render_mode is None else top_view(self.world, self.walker)

    def _observe(self) -> tuple[np.ndarray, dict[str, Any]]:
        """Return what is seen, and the side arrays, of this moment; note where the agent has been."""
        if len(self.actions) == self.world.teleport_from:
            self.mark = self.walker
        steps, whole = follow(self.world, Track.of([self.walker])), facts(self.world)
        room = int(steps["room_id"][0])
        if room >= 0 and room not in self.route[-1:]:
            self.route.append(room)
        image = pictures(self.options, steps | whole)[0]
        return image, {key: values[0] for key, values in steps.items()} | whole | self._teleport_info()

    def _teleport_info(self) -> dict[str, Any]:
        return {} if self.world.teleport_from == NO_TELEPORT else {"teleport_from": self.world.teleport_from}


class RoomsTeleport(Rooms):
    """The rooms with a teleport: whatever the action of step C is, it leads to the state of step `teleport_from`."""

    def __init__(
        self,
        rooms: str = "four_rooms",
        size: int = 64,
        renderer: str = "raycast",
        query: int | None = None,
        render_mode: str | None = None,
    ) -> None:
        """Make the environment; the arguments are those of `Rooms` and of `RoomsTeleportOptions`."""
        self._make(rooms, RoomsTeleportOptions(size, renderer, query), render_mode)
