"""Small frozen dataclasses of tensors, and the protocols by which the rooms of deepcrl know each other.

Letters in shapes: N environments, S state, A action, G goal, B batch, D embedding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class EnvSpec:
    """The sizes of a goal-reaching task. `state[..., goal_indices]` is the goal that a state achieves."""

    state_dim: int
    action_dim: int
    goal_indices: tuple[int, ...]
    success_radius: float | None = None
    """A state is at the goal when its achieved goal is strictly nearer, in Euclidean distance; None: not stated."""

    @property
    def goal_dim(self) -> int:
        return len(self.goal_indices)


@dataclass(frozen=True, slots=True)
class Observation:
    """What an agent acts on: state [N, S] and commanded goal [N, G], float32."""

    state: Tensor
    goal: Tensor
    first: Tensor | None = None
    """[N] bool, where a new episode begins, so that nothing planned before is carried out; None: everywhere."""


@dataclass(frozen=True, slots=True)
class Step:
    """The result of one control step of N environments.

    An environment whose episode ends resets in the same step: `observation` is then the first of the new episode,
    while every other field still speaks of the step that was taken.
    """

    observation: Observation
    """What to act on next, after any reset."""
    next_state: Tensor
    """[N, S] the state that the action led to, before any reset: the final state of an episode that ended."""
    distance: Tensor
    """[N] float32, from the goal that `next_state` achieves to the commanded goal, in the task's unit (metres)."""
    success: Tensor
    """[N] bool, whether `next_state` is at the goal."""
    terminated: Tensor
    """[N] bool, whether the episode ended by itself (a fall)."""
    truncated: Tensor
    """[N] bool, whether it ended at its time limit."""
    traj_id: Tensor
    """[N] int64, the trajectory that this transition belongs to; counts up by one per episode and environment."""
    success_easy: Tensor | None = None
    """[N] bool, whether `next_state` is within the task's looser threshold; None if it has none."""
    success_hard: Tensor | None = None
    """[N] bool, whether it is within the stricter one."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Relabelled transitions: the goal is a state's achieved goal from later in the same trajectory."""

    state: Tensor
    """[B, S]"""
    action: Tensor
    """[B, A]"""
    goal: Tensor
    """[B, G]"""


@dataclass(frozen=True, slots=True)
class TransitionBatch(Batch):
    """A batch that also says where the action led. Its goals may also be commanded or random ones."""

    next_state: Tensor
    """[B, S]; of a step that terminated, `state` once more: nothing follows it"""
    next_achieved: Tensor
    """[B, G] the goal that the step achieved, also where it terminated"""
    terminated: Tensor
    """[B] bool, whether the step ended its episode by itself"""


@dataclass(frozen=True, slots=True)
class FutureBatch(TransitionBatch):
    """A batch that also says how each trajectory goes on, as far as the buffer knows."""

    steps_left: Tensor
    """[B] int64, later steps of the same trajectory; 0 for the step that ended its episode by itself"""
    fell: Tensor
    """[B] bool, whether the trajectory ended by itself after them; False for one that is still running"""
    next_actions: Tensor
    """[B, H - 1, A] the actions of the next steps; 0 for those after the trajectory's end"""
    achieved_ahead: Tensor
    """[B, W, G] the goals achieved by the row's state and by the next; the last one again after the trajectory's end"""


@dataclass(frozen=True, slots=True)
class Futures:
    """How much of the rest of each trajectory an agent's batches hold."""

    falls: bool = False
    """Whether it learns from falls, so that data which do not tell them are of no use to it."""
    chunk: int = 1
    """H, the actions that it takes for one: a row's own and H - 1 more."""
    window: int = 0
    """W, the states whose achieved goals it looks at: a row's own and W - 1 more."""


class EnvError(RuntimeError):
    """An environment cannot be gone on with: it raised, or gave numbers that cannot be trained on. One line."""


class VectorEnv(Protocol):
    """N copies of a goal-reaching environment, stepped together. Actions are in [-1, 1]."""

    spec: EnvSpec
    num_envs: int
    episode_length: int
    num_unstable: int
    """Simulations that became unstable and were reset, so far."""

    def reset(self) -> Observation:
        """Starts a new episode in every environment."""
        ...

    def step(self, action: Tensor) -> Step:
        """Advances every environment by one control step with `action` [N, A]; may raise EnvError, as `reset` may."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Returns everything needed to go on exactly: physics, goals, counters, random generators."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


class Agent(Protocol):
    """Chooses actions, and learns from relabelled batches.

    One that has a critic is a `CriticAgent`; one without simply has no `value`. A class may add `unused_groups`, the
    groups of a run that have no effect on it, and `needs_futures`, a static method from the agent's settings to what
    its FutureBatches hold, None if `update` takes none. An agent may add `no_cuda_graph_reason`, why its updates do not
    fit into a CUDA graph, "" if they do, and `generators`, its random streams by name, which an evaluation with sampled
    actions then leaves as they were.
    """

    needs_transitions: bool
    """Whether `update` takes a TransitionBatch, for which the buffer has to store more."""

    @property
    def networks(self) -> dict[str, nn.Module]:
        """The trained networks, by name."""
        ...

    def act(self, observation: Observation, *, explore: bool) -> Tensor:
        """Returns actions [N, A] in [-1, 1], by the agent's exploration or its evaluation choice."""
        ...

    def update(self, batch: Batch) -> dict[str, Tensor]:
        """Takes one gradient step; returns metrics as 0-dim device tensors."""
        ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


@runtime_checkable
class CriticAgent(Agent, Protocol):
    """An agent that can say how good an action is."""

    def value(self, observation: Observation, action: Tensor) -> Tensor:
        """Returns the critic's values [..., N] of actions [..., N, A] at N observations: higher is better.

        They are those that the actor is trained on, at the run's precision, the smaller ones of several critics;
        gradients reach the inputs only. Inputs are on the agent's device.
        """
        ...


@runtime_checkable
class EmbeddingAgent(CriticAgent, Protocol):
    """An agent whose value is an energy of two embeddings, here those of its first critic."""

    def embed(self, observation: Observation, action: Tensor) -> Tensor:
        """Returns the embeddings [N, D] of N observations and actions [N, A]."""
        ...

    def embed_goal(self, goal: Tensor) -> Tensor:
        """Returns the embeddings [N, D] of goals [N, G]."""
        ...


class Buffer(Protocol):
    """Stores transitions as they come, and samples relabelled batches."""

    offline: bool
    """Whether all its data are there from the start, so that a run collects nothing."""

    @property
    def nbytes(self) -> int:
        """Bytes of memory that the buffer takes when full."""
        ...

    @property
    def disk_nbytes(self) -> int:
        """Bytes that its files still have to grow by until it is full; 0 without files."""
        ...

    def insert(self, observation: Observation, action: Tensor, step: Step) -> None:
        """Stores one step of N environments: what was observed, the action [N, A] taken there, what came of it."""
        ...

    def sample(self, batch_size: int) -> Batch: ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...
