"""Behaviour as two processes: one scale of returns, the same gradients, and an imagination of its own in each."""

import socket

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch.nn.parallel import DistributedDataParallel

from longdream.dreamer.behaviour import Behaviour, BehaviourConfig
from longdream.tests.dreamer.toy_worlds import Corridor, Line

CONFIG = BehaviourConfig(units=8, layers=1, horizon=3, scale_decay=0.0)
STARTS = {True: ([1, 2, 3], [3, 3, 2]), False: ([-30.0, 0.1, 0.2], [1.0, 20.0, 0.3])}  # {discrete: a list a process}


def behaviour_and_starts(rank, discrete):
    world = Corridor() if discrete else Line()
    torch.manual_seed(0)
    behaviour = Behaviour(CONFIG, world.width, 3 if discrete else 1, discrete)
    torch.nn.init.normal_(behaviour.critic.net[-1].weight, std=2)  # returns of all sizes
    return world, behaviour, world.starts(STARTS[discrete][rank])


def work(rank, port, folder):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    for discrete in (True, False):
        world, behaviour, starts = behaviour_and_starts(rank, discrete)
        returns = []
        behaviour.scale.register_forward_hook(lambda _, given, __, returns=returns: returns.append(given[0]))
        wrapped = DistributedDataParallel(behaviour)
        torch.manual_seed(rank)
        loss = wrapped(world, starts, "output")
        (loss.actor + loss.critic).backward()
        found = {
            "returns": returns[0],
            "scale": loss.terms["return_scale"],
            "gradients": [p.grad for p in behaviour.parameters() if p.requires_grad],
            "world": [p.grad for p in world.parameters()],
        }
        torch.save(found, f"{folder}/{discrete}-{rank}.pt")
    dist.destroy_process_group()


def test_two_processes_learn_as_one(tmp_path):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    mp.spawn(work, (port, str(tmp_path)), nprocs=2)
    for discrete in (True, False):
        one, two = (torch.load(tmp_path / f"{discrete}-{rank}.pt") for rank in range(2))
        assert not torch.equal(one["returns"], two["returns"])
        everything = torch.cat([one["returns"], two["returns"]]).flatten()
        expected = everything.quantile(0.95) - everything.quantile(0.05)
        assert expected > 1
        for found in (one, two):
            assert torch.allclose(found["scale"], expected)
            assert found["world"] == [None] * len(found["world"])
        alone = [gradients_alone(rank, discrete, expected) for rank in range(2)]
        for got, same, first, second in zip(one["gradients"], two["gradients"], *alone, strict=True):
            assert torch.equal(got, same)
            assert torch.allclose(got, (first + second) / 2, atol=1e-6)


def gradients_alone(rank, discrete, scale):
    """What a process would find by itself, told the scale of both."""
    world, behaviour, starts = behaviour_and_starts(rank, discrete)
    behaviour.scale.forward = lambda returns: scale
    torch.manual_seed(rank)
    loss = behaviour(world, starts, "output")
    parameters = [p for p in behaviour.parameters() if p.requires_grad]
    return torch.autograd.grad(loss.actor + loss.critic, parameters)
