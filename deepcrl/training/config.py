"""RunConfig: the schema of `configs/train.yaml`."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any, cast

from deepcrl.core.checks import suggest
from deepcrl.core.components import BUFFERS, discover
from deepcrl.core.seeding import derive_seed
from deepcrl.core.types import Buffer

GROUPS = ("env", "agent", "encoder", "energy", "loss", "buffer", "relabel", "logger")
OPTIONAL_GROUPS = ("eval_env", "critic_encoder", "sa_encoder", "goal_encoder", "actor_encoder")
OF_AN_AGENT = ("agent", "encoder", "energy", "loss", "critic_encoder", "sa_encoder", "goal_encoder", "actor_encoder")
"""The groups that an agent is built of, which a learner may have otherwise."""


@dataclass
class RunConfig:
    """Every setting of a run. Groups hold `{"name": ..., hyperparameters...}`; the rest are plain values.

    Steps of the environment count over all environments together unless a name says otherwise.
    """

    env: dict[str, Any] = field(default_factory=dict)
    agent: dict[str, Any] = field(default_factory=dict)
    encoder: dict[str, Any] = field(default_factory=dict)
    energy: dict[str, Any] = field(default_factory=dict)
    loss: dict[str, Any] = field(default_factory=dict)
    buffer: dict[str, Any] = field(default_factory=dict)
    relabel: dict[str, Any] = field(default_factory=lambda: {"name": "geometric"})
    logger: dict[str, Any] = field(default_factory=dict)
    eval_env: dict[str, Any] | None = None
    """Where to evaluate; None is `env`."""
    critic_encoder: dict[str, Any] | None = None
    """Both critic networks; None is `encoder`."""
    sa_encoder: dict[str, Any] | None = None
    """The critic's state-action network; None is `critic_encoder`."""
    goal_encoder: dict[str, Any] | None = None
    """The critic's goal network; None is `critic_encoder`."""
    actor_encoder: dict[str, Any] | None = None
    """The actor's network; None is `encoder`."""
    learners: dict[str, Any] = field(default_factory=dict)
    """Agents that learn from the same batches and never act, by name, each as changes to these settings: see `learner`.
    `{deep: {encoder: {depth: 32}}}`: as the agent that acts, but deeper."""

    seed: int = 0
    num_envs: int = 512
    episode_length: int = 1000
    reset: str = "resample"
    """`resample`: a new start and goal per episode; `fixed`: each environment keeps its first, as the paper's code."""
    unroll_length: int = 62
    """Control steps of each environment between two rounds of gradient steps."""
    grad_steps_per_unroll: int = 800
    batch_size: int = 512
    gradient_clip: float = 0.0
    """The largest norm of each network's gradient, which is shortened to it; 0 leaves gradients as they are."""
    lr_warmup_steps: int = 0
    """Gradient steps over which every learning rate grows linearly to its value."""
    prefill_steps: int = 1000
    """Control steps of each environment before the first gradient step."""
    total_env_steps: int = 100_000_000
    total_grad_steps: int = 1_000_000
    """What an offline run (`buffer=dataset`) has instead of `total_env_steps`."""
    num_eval_envs: int = 128
    eval_every: int = 1_000_000
    """Environment steps between evaluations; gradient steps in an offline run."""
    checkpoint_every: int = 1_000_000
    """Environment steps between checkpoints; gradient steps in an offline run."""
    keep_checkpoints: int = 2
    precision: str = "fp32"
    """`fp32`; `bf16`: matmuls of the encoders in bfloat16; `tf32`: all fp32 matmuls on a GPU's tensor cores; `auto`:
    bf16 where the processor or the GPU multiplies it faster than fp32, else fp32."""
    kernels: str = "auto"
    """What runs the residual trunk: `auto`, `eager` (plain torch) or `triton` (GPUs); see `kernels.dispatch.choose`."""
    cuda_graph: bool = False
    """Whether to record a gradient step once and replay it: one launch instead of thousands. GPUs only."""
    physics: str = "mujoco"
    device: str = "auto"
    num_threads: int = 0
    """CPU threads for physics and networks; 0 is all of them."""
    video: bool = True
    """Whether to film the policy at the end, into the run directory's `videos`."""
    log_blocks: bool = False
    """Whether evaluations also log the size of each residual block's stream and gradients; see `train.block_norms`."""
    run_dir: str = ""
    resume: str = ""
    """Run directory to go on with."""

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> RunConfig:
        """Builds a config; ValueError for an unknown key. Values are checked by `deepcrl.training.validate`."""
        known = {f.name for f in fields(cls)}
        for key in values:
            if key not in known:
                raise ValueError(suggest("setting", key, known))
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def offline(self) -> bool:
        """Whether the buffer holds all its data from the start, so that nothing is collected."""
        if "name" not in self.buffer:
            return False
        discover()  # a saved run is read before anything is built
        return cast("type[Buffer]", BUFFERS[self.buffer["name"]]).offline

    @property
    def evaluation_env(self) -> dict[str, Any]:
        return self.eval_env or self.env

    def encoder_of(self, network: str) -> dict[str, Any]:
        """Returns the config of `actor`, `sa_encoder` or `goal_encoder`, the most specific that is set."""
        if network == "actor":
            return self.actor_encoder or self.encoder
        own = self.sa_encoder if network == "sa_encoder" else self.goal_encoder
        return own or self.critic_encoder or self.encoder

    def learner(self, name: str) -> RunConfig:
        """Returns the settings of learner `name`: these with its changes to what an agent is built of.

        Hyperparameters that it does not name stay, unless it names another component. Its seed is derived from the
        run's, so that it starts from other weights than the agent that acts. Raises ValueError for an unknown name, or
        a change that a learner cannot make.
        """
        if name not in self.learners:
            raise ValueError(suggest("learner", name, self.learners))
        changed: dict[str, Any] = {"seed": derive_seed(self.seed, f"learner/{name}"), "learners": {}}
        for group, change in _mapping(self.learners[name], f"learners.{name}", "encoder.depth=4").items():
            if group not in OF_AN_AGENT:
                raise ValueError(suggest(f"setting of learner {name!r}", group, OF_AN_AGENT))
            changed[group] = _changed(getattr(self, group), change, f"learners.{name}.{group}")
        return RunConfig.from_dict(self.to_dict() | changed)


def _mapping(value: Any, key: str, example: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{key}={value} sets nothing; name what differs, such as {key}.{example}")
    return value


def _changed(group: dict[str, Any] | None, change: Any, key: str) -> dict[str, Any]:
    """Returns a group's choice with changes on top, or another choice alone; `key` is where the changes are from."""
    name = _mapping(change, key, "name=NAME").get("name")
    if group is None and name is None:
        raise ValueError(f"{key} needs a name, since the run has no {key.rpartition('.')[2]} to change")
    return change if group is None or name not in (None, group["name"]) else group | change
