"""How probes are trained: the network, the order of what they see, and that nothing else is touched."""

from __future__ import annotations

from itertools import islice

import torch
from torch import nn

from longdream.probes.catalogue import TASKS, chosen
from longdream.probes.examples import Examples, blocks, endless
from longdream.probes.training import Training, batches, network, train
from longdream.tests.probes.probe_toys import small

CPU = torch.device("cpu")


def test_the_network_is_the_published_one():
    linear = [m for m in network(10, 1024, (9, 9, 2)).modules() if isinstance(m, nn.Linear)]
    assert [(m.in_features, m.out_features) for m in linear] == [(10, 1024), *[(1024, 1024)] * 3, (1024, 162)]
    kinds = [type(m).__name__ for m in network(10, 1024, (9, 9, 2)).modules() if not list(m.children())]
    assert kinds == ["Linear", "LayerNorm", "ELU"] * 4 + ["Linear", "Unflatten"]
    assert {task.name: task.hidden for task in TASKS[:2]} == {"walls": 1024, "objects": 400}
    assert Training().lr == 3e-4


def test_every_step_is_in_one_block_and_every_block_once_an_epoch(data):
    source = data("distracting_memory")
    cut = blocks(source, [3, 5], 12)
    steps = [(episode, t) for episode, start, stop in cut for t in range(start, stop)]
    assert steps == [(episode, t) for episode in (3, 5) for t in range(35)]
    order = list(islice(endless(cut, 0), 3 * len(cut)))
    epochs = [order[first : first + len(cut)] for first in range(0, len(order), len(cut))]
    assert all(sorted(epoch) == cut for epoch in epochs)
    assert epochs[0] != epochs[1]


def test_batches_are_what_the_blocks_hold(data):
    source = data("multi_doors_keys_two")
    examples = Examples(chosen(["doors"], source.info)[0], source, None)
    training = Training(steps=3, blocks=4, block=20, seed=5)
    order = endless(blocks(source, [0, 1], 20), 5)
    for batch in batches(examples, [0, 1], training):
        parts = [source.read("door_state", *next(order)) for _ in range(4)]
        assert torch.equal(batch.target, torch.cat([torch.from_numpy(part).long() for part in parts]))
        assert torch.equal(batch.inputs.unflatten(1, (2, 2)).argmax(-1), batch.target)


def test_the_seed_decides_the_probe_and_torchs_own_generator_is_left_alone(data):
    source = data("distracting_memory")
    examples = Examples(small(chosen(["position"], source.info)[0], 8), source, None)

    def weights(seed):
        probe = train(examples, [0, 1], Training(steps=3, seed=seed), CPU)
        return torch.cat([p.detach().flatten() for p in probe.parameters()])

    before = torch.get_rng_state()
    first = weights(0)
    torch.manual_seed(99)
    assert torch.equal(weights(0), first)
    assert not torch.equal(weights(1), first)
    torch.set_rng_state(before)
    weights(0)
    assert torch.equal(torch.get_rng_state(), before)
