"""CRL that knows of falls: its labels, its network, what the actor and the critic make of them."""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from deepcrl.core.agents.common.cuda_graph import CudaGraphAgent
from deepcrl.core.agents.common.inputs import AgentInputs
from deepcrl.core.agents.crl import CRL
from deepcrl.core.agents.safe_crl import MODES
from deepcrl.core.components import ENCODERS
from deepcrl.core.types import FutureBatch, Observation
from tests.conftest import assert_same
from tests.core.agents.common.test_cuda_graph import Tape
from tests.core.agents.pieces import make_batch, make_inputs

DISCOUNT = 0.9


def make_agent(survival: str, *, loss: str = "infonce", relabel: float | None = DISCOUNT, **settings: Any) -> CRL:
    inputs: AgentInputs = replace(make_inputs(loss=loss), relabel_discount=relabel)
    return CRL(inputs, embedding_dim=8, survival=survival, **settings)


def make_futures(size: int = 32, *, falls: bool = True, seed: int = 1) -> FutureBatch:
    """Rows with 0 to 8 steps left, of which a third belong to trajectories that fell; or none fell."""
    known = dataclasses.asdict(make_batch(size, seed))
    rows = torch.arange(size)
    fell = (rows % 3 == 0) & falls
    steps_left = torch.where(fell, rows % 9, rows % 8 + 1)
    known |= {"terminated": fell & (steps_left == 0), "steps_left": steps_left, "fell": fell}
    return FutureBatch(**known, next_actions=torch.zeros(size, 0, 2), achieved_ahead=torch.zeros(size, 0, 2))


def weights(agent: CRL) -> dict[str, dict[str, Tensor]]:
    return {name: {k: v.clone() for k, v in net.state_dict().items()} for name, net in agent.networks.items()}


@pytest.mark.parametrize("mode", ["log_z", "mass", "both"])
def test_without_falls_the_critic_is_that_of_crl_bit_for_bit(mode: str) -> None:
    plain, ours, metrics = make_agent("none"), make_agent(mode), {}
    for seed in range(3):
        batch = make_futures(falls=False, seed=seed)
        theirs, metrics = plain.update(batch), ours.update(batch)
        assert torch.equal(metrics["critic/loss"], theirs["critic/loss"])
    names = ["sa_encoder", "goal_encoder", *(["actor"] if mode == "mass" else [])]
    assert_same({name: weights(ours)[name] for name in names}, {name: weights(plain)[name] for name in names})
    assert "survival" not in plain.state_dict()["networks"]
    assert metrics["survival/fell"] == 0


def test_two_threads_take_the_same_step() -> None:
    encoder = partial(ENCODERS.build, {"name": "residual_mlp", "depth": 4, "width": 32})

    def trained(*, two_threads: bool) -> Any:
        inputs = replace(make_inputs(encoder=encoder), relabel_discount=DISCOUNT)
        agent = CRL(inputs, embedding_dim=8, survival="both")
        if two_threads:
            agent.two_threads.start()
        return [agent.update(make_futures(seed=seed)) for seed in range(5)], agent.state_dict()

    assert_same(trained(two_threads=True), trained(two_threads=False))


def test_labels_are_the_mean_of_the_papers() -> None:
    batch = make_futures(9)
    u = torch.rand(9, 100_000, generator=torch.Generator().manual_seed(0))
    horizon = torch.floor(torch.log1p(-u) / torch.tensor(DISCOUNT).log()) + 1
    drawn = (horizon <= batch.steps_left[:, None]) | ~batch.fell[:, None]
    label = make_agent("both")._survival._label(batch)
    torch.testing.assert_close(label, drawn.float().mean(1), rtol=0, atol=0.01)
    assert set(label[~batch.fell].tolist()) == {1.0}
    assert label[0] == 0


@pytest.mark.parametrize("mode", ["log_z", "mass", "both"])
def test_rows_count_in_the_critic_as_the_mode_says(mode: str) -> None:
    batch = make_futures()
    fatal = batch.fell & (batch.steps_left == 0)
    label = torch.where(batch.fell, 1 - DISCOUNT**batch.steps_left, 1.0)
    expected = (~fatal).float() if mode == "log_z" else label
    weight = make_agent(mode)._survival.row_weight(batch)
    assert weight is not None
    torch.testing.assert_close(weight, expected)
    assert fatal.any()
    assert not weight[fatal].any()


def test_survival_of_a_chain_is_its_closed_form_and_the_actor_prefers_the_safe_action() -> None:
    """Each step with a positive first action falls with probability 0.3; the energy does not see the action."""
    agent = make_agent("log_z", survival_lr=1e-2, actor_lr=1e-2, entropy_bonus=False)
    with torch.no_grad():
        for parameter in agent.networks["sa_encoder"].parameters():
            parameter.zero_()
    g, size = torch.Generator().manual_seed(0), 2048
    batch = make_futures(size)
    for _ in range(300):
        action = torch.rand(size, 3, generator=g) * 2 - 1
        alive = torch.rand(size, generator=g) < 1 - 0.3 * (action[:, 0] > 0)
        more = torch.floor(torch.rand(size, generator=g).log() / torch.tensor(0.85).log()).long()
        fell = torch.ones(size, dtype=torch.bool)
        state = torch.zeros(size, 5)
        rows = replace(batch, state=state, action=action, steps_left=alive * (1 + more), fell=fell)
        agent._survival.backward(rows, action)
        agent._survival.step()
    few = make_batch(64)
    for _ in range(50):
        agent._update_actor(replace(few, state=torch.zeros(64, 5)), [agent.embed_goal(few.goal).detach()])
    mean = 0.85 * 0.1 / (1 - 0.9 * 0.85)
    expected = torch.tensor([1.0, 0.7]) * (0.1 + 0.9 * mean)
    action = torch.zeros(2, 3)
    action[:, 0] = torch.tensor([-0.6, 0.6])
    z = agent._survival.log_z(torch.zeros(2, 5), action).exp()
    torch.testing.assert_close(z, expected, rtol=0, atol=0.02)
    seen = Observation(torch.zeros(20, 5), torch.randn(20, 2, generator=g))
    assert (agent.act(seen, explore=False)[:, 0] < 0).all()


@pytest.mark.parametrize("objective", ["max_entropy", "ddpg_bc", "awr"])
@pytest.mark.parametrize("mode", MODES)
def test_the_actor_sees_log_z_and_does_not_train_it(objective: str, mode: str) -> None:
    agent, batch = make_agent(mode, actor_objective=objective), make_futures()
    plain = make_agent("none", actor_objective=objective)
    goals = [critic.embed_goal(batch.goal).detach() for critic in agent._critics]
    before = weights(agent)
    ours, theirs = (each._update_actor(batch, goals) for each in (agent, plain))
    assert all(p.grad is None for name, net in agent.networks.items() if name == "survival" for p in net.parameters())
    moved = {name for name, net in weights(agent).items() if any(not torch.equal(net[k], before[name][k]) for k in net)}
    assert moved == {"actor"} | ({"state_encoder", "value_goal_encoder"} if objective == "awr" else set())
    same_gradient = torch.equal(ours["actor/gradient_norm"], theirs["actor/gradient_norm"])
    assert same_gradient == (mode in ("none", "mass"))
    metrics = make_agent(mode, actor_objective=objective).update(batch)
    network = {"survival/loss", "survival/mean", "survival/label"} if mode in ("log_z", "both") else set()
    fell = set() if mode == "none" else {"survival/fell"}
    assert {name for name in metrics if name.startswith("survival/")} == network | fell
    assert all(value.isfinite() for value in metrics.values())


@pytest.mark.parametrize("mode", ["log_z", "mass"])
def test_the_value_is_the_actors(mode: str) -> None:
    """So `best_of` chooses by it."""
    agent, plain, g = make_agent(mode), make_agent("none"), torch.Generator().manual_seed(3)
    seen = Observation(torch.randn(4, 5, generator=g), torch.randn(4, 2, generator=g))
    action = torch.rand(6, 4, 3, generator=g)
    value, energy = agent.value(seen, action), plain.value(seen, action)
    if mode == "mass":
        assert torch.equal(value, energy)
        return
    for k in range(6):
        logit = agent.networks["survival"](torch.cat([seen.state, action[k]], 1))[:, 0]
        torch.testing.assert_close(value[k], energy[k] + logsigmoid(logit))


def test_steps_in_the_order_actor_critic_survival(monkeypatch: pytest.MonkeyPatch) -> None:
    agent, order = make_agent("both"), []
    step = agent.step_optimizer
    monkeypatch.setattr(agent, "step_optimizer", lambda name: (order.append(name), step(name)))
    agent.update(make_futures())
    assert order == ["actor", "temperature", "critic", "survival"]


def test_a_cuda_graph_replays_it() -> None:
    plain, agent = make_agent("both"), make_agent("both")
    ours = CudaGraphAgent(agent, Tape(agent))
    for seed in range(5):
        batch = make_futures(seed=seed)
        batch = replace(batch, steps_left=batch.steps_left + seed)
        assert_same(ours.update(batch), plain.update(batch))
    assert_same(ours.state_dict(), plain.state_dict())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"survival": "logz"},
            r"^Unknown agent.survival 'logz'. Did you mean 'log_z'\? Known: both, log_z, mass, none$",
        ),
        ({"survival": "mass", "loss": "siglip"}, r"^agent.survival=mass weights the rows of the loss, which only"),
        ({"survival": "log_z", "loss": "fb"}, r"these take: loss=infonce, backward_infonce, symmetric_infonce, dcl$"),
        ({"survival": "log_z", "relabel": None}, r"^agent.survival=log_z needs a discount.*agent.survival_discount"),
        ({"survival": "both", "survival_discount": 1.0}, r"^agent.survival_discount must be .*, got 1.0$"),
        ({"survival": "both", "survival_lr": 0.0}, r"^agent.survival_lr must be greater than 0, got 0.0$"),
    ],
)
def test_refuses(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as info:
        make_agent(**settings)
    assert "\n" not in str(info.value)


def test_a_horizon_of_its_own() -> None:
    batch = make_futures()
    for relabel in (None, 0.5):
        label = make_agent("mass", relabel=relabel, survival_discount=0.8)._survival._label(batch)
        torch.testing.assert_close(label, torch.where(batch.fell, 1 - 0.8**batch.steps_left, 1.0))
