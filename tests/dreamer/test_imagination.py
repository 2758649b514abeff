"""Where imagination begins, and what it sees at which step."""

import pytest
import torch
from torch.utils._pytree import tree_leaves

from longdream.dreamer.imagination import choose_starts, dream, frozen
from longdream.tests.dreamer.toy_worlds import MODELS, Corridor, random_sequence, small_model
from longdream.worldmodels.base import one_step

B, T = 3, 6


def test_by_default_every_step_is_a_start():
    model = small_model("r2i")
    latent, state, cont = random_sequence(model, B, T)
    starts = choose_starts(latent, state, cont)
    assert not any(leaf.requires_grad for leaf in tree_leaves(starts))
    for b in range(B):
        for t in range(T):
            n = b * T + t
            assert starts.cont[n] == cont[b, t]
            assert torch.equal(starts.latent.deter[n, 0], latent.deter[b, t])
            assert torch.equal(starts.latent.stoch[n, 0], latent.stoch[b, t])
            for flat, whole in zip(tree_leaves(starts.state), tree_leaves(state), strict=True):
                assert torch.equal(flat[n], whole[b, t])


def test_some_starts_are_steps_of_every_row_and_none_twice():
    model = small_model("r2i")
    latent, state, _ = random_sequence(model, B, T)
    number = torch.arange(B * T).reshape(B, T).float()  # in the place of `cont`: which step it was
    latent = latent._replace(deter=number[..., None].expand_as(latent.deter))
    seen = set()
    for _ in range(40):
        starts = choose_starts(latent, state, number, every=3)
        chosen = starts.cont.int().tolist()
        assert [n // T for n in chosen] == [0, 0, 1, 1, 2, 2]
        assert len(set(chosen)) == 6
        assert starts.latent.deter[:, 0, 0].int().tolist() == chosen
        assert torch.equal(starts.state.stoch, state.stoch.flatten(0, 1)[chosen])
        seen |= set(chosen)
    assert seen == set(range(B * T))


def test_a_row_has_one_start_at_least():
    assert len(choose_starts(*random_sequence(small_model("rssm"), B, T), every=T + 1).cont) == B


def test_frozen_parameters_get_no_gradients_and_thaw_again():
    first, second = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
    second.bias.requires_grad_(False)
    x = torch.ones(1, 2, requires_grad=True)
    with frozen(first, second):
        y = second(first(x)).sum()
    y.backward()
    assert x.grad is not None
    assert all(p.grad is None for p in (*first.parameters(), *second.parameters()))
    assert [p.requires_grad for p in (*first.parameters(), *second.parameters())] == [True, True, True, False]


def test_an_error_thaws_as_well():
    module = torch.nn.Linear(2, 2)
    with pytest.raises(KeyError), frozen(module):
        raise KeyError
    assert all(p.requires_grad for p in module.parameters())


def test_an_action_leads_to_the_step_after_it():
    world = Corridor()
    plan = [Corridor.right, Corridor.stay, Corridor.right, Corridor.right]  # 1 -> 2 -> 2 -> 3 -> 4
    step = iter(plan)
    seen = dream(world, world.starts([1]), lambda f: torch.eye(3)[[next(step)]], len(plan), "output")
    assert seen.features[0].argmax(-1).tolist() == [1, 2, 2, 3, 4]
    assert seen.action[0].argmax(-1).tolist() == plan
    assert seen.reward[0].tolist() == [0, 0, 0, 1]
    assert seen.cont[0].tolist() == [1, 1, 1, 0]


def test_the_policy_chooses_by_the_step_it_is_at():
    world, read = Corridor(), []

    def policy(features):
        read.append(features.argmax(-1).item())
        return torch.eye(3)[[Corridor.right]]

    dream(world, world.starts([1]), policy, 3, "output")
    assert read == [1, 2, 3]


@pytest.mark.parametrize("gradients", [True, False])
@pytest.mark.parametrize(
    ("name", "reads"), [(name, "output") for name in MODELS] + [("r2i", "hidden"), ("r2i", "full"), ("rssm", "hidden")]
)
def test_a_dream_is_the_model_imagining_step_by_step(name, reads, gradients):
    model = small_model(name)
    starts = choose_starts(*random_sequence(model, B, T))
    weight = torch.randn(model.policy_width(reads), 3)
    with torch.set_grad_enabled(gradients):
        torch.manual_seed(1)
        seen = dream(model, starts, lambda f: (f @ weight).tanh(), 4, reads)
        torch.manual_seed(1)
        latent, state = starts.latent, starts.state
        for t in range(4):
            features = model.policy_features(latent, one_step(state), reads)[:, 0]
            action = (features @ weight).tanh()
            latent, state = model.imagine_step(state, action, model.step_cache())
            assert torch.allclose(seen.features[:, t], features, atol=1e-5)
            assert torch.allclose(seen.action[:, t], action, atol=1e-5)
            heads = model.predict(latent)
            assert torch.allclose(seen.reward[:, t], heads.reward[:, 0], atol=1e-5)
            assert torch.allclose(seen.cont[:, t], heads.cont[:, 0], atol=1e-5)
        assert torch.allclose(
            seen.features[:, 4], model.policy_features(latent, one_step(state), reads)[:, 0], atol=1e-5
        )
    assert seen.reward.requires_grad == gradients
