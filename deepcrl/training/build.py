"""From a RunConfig to a Run: the one place where names become objects."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from deepcrl.core import seeding
from deepcrl.core.agents.common.cuda_graph import with_cuda_graph
from deepcrl.core.agents.common.inputs import AgentInputs, MakeEncoder
from deepcrl.core.agents.common.two_threads import divide_cores
from deepcrl.core.buffers.inputs import BufferInputs
from deepcrl.core.components import AGENTS, BUFFERS, ENCODERS, ENERGIES, LOSSES, RELABELS
from deepcrl.core.contract.build import checked_build, needs_futures, needs_transitions
from deepcrl.core.types import Agent, Buffer, EnvSpec, VectorEnv
from deepcrl.envs import make_envs, make_task
from deepcrl.envs.physics import engines
from deepcrl.kernels import dispatch
from deepcrl.training.block_norms import check_has_blocks
from deepcrl.training.config import RunConfig
from deepcrl.training.path_score import path_score
from deepcrl.training.process import configure_process
from deepcrl.training.progress import Progress
from deepcrl.training.run import Run
from deepcrl.training.schedule import Schedule
from deepcrl.training.validate import select_device

SHALLOW_DEPTH = 4
"""Of the small networks beside a critic (Safe-CRL's of survival), where the encoder has a depth."""


def env_spec(config: RunConfig) -> EnvSpec:
    """Returns the sizes of the training task; ValueError if the evaluation task has others. Simulates nothing."""
    task = make_task(config.env)
    spec, other = task.spec, make_task(config.evaluation_env).spec
    if spec != other:
        raise ValueError(
            f"eval_env={config.evaluation_env['name']} does not fit env={config.env['name']}: "
            f"state, action, goal indices are {_sizes(other)} there and {_sizes(spec)} here"
        )
    return replace(spec, success_radius=task.success_radius if task.euclidean else None)


def _sizes(spec: EnvSpec) -> str:
    return f"{spec.state_dim}, {spec.action_dim}, {list(spec.goal_indices)}"


def build_envs(
    config: RunConfig, env: dict[str, Any], num_envs: int, stream: str, unstable_dir: Path | None = None
) -> VectorEnv:
    """Builds `num_envs` environments that draw from the random stream of that name."""
    return make_envs(
        env,
        num_envs=num_envs,
        episode_length=config.episode_length,
        seed=seeding.derive_seed(config.seed, stream),
        num_threads=config.num_threads,
        reset=config.reset,
        physics=config.physics,
        unstable_dir=unstable_dir,
        device=str(select_device(config.device)),
    )


def check_device(config: RunConfig, device: torch.device) -> None:
    """Raises ValueError for a setting that `device`, or what is installed, cannot serve. Builds nothing."""
    dispatch.check(config.kernels, device)
    engines.check(config.physics)
    if config.precision == "tf32" and device.type != "cuda":
        raise ValueError(f"precision=tf32 needs a GPU, and the device is {device}; use fp32, bf16 or auto")
    if config.cuda_graph and device.type != "cuda":
        raise ValueError(f"cuda_graph=true needs a GPU, and the device is {device}")


def build_agent(config: RunConfig, spec: EnvSpec, device: torch.device) -> Agent:
    """Builds the agent with its networks and optimisers, for a process that `configure_process` has set up."""

    def encoder(network: str) -> MakeEncoder:
        return partial(checked_build, ENCODERS, config.encoder_of(network))

    inputs = AgentInputs(
        spec=spec,
        sa_encoder=encoder("sa_encoder"),
        goal_encoder=encoder("goal_encoder"),
        actor_encoder=encoder("actor"),
        energy=checked_build(ENERGIES, config.energy),
        loss=checked_build(LOSSES, config.loss),
        device=device,
        precision=dispatch.precision(config.precision, device),
        seed=config.seed,
        gradient_clip=config.gradient_clip,
        lr_warmup_steps=config.lr_warmup_steps,
        fused_infonce=partial(dispatch.fused_infonce, config.batch_size, device),
        shallow_encoder=partial(checked_build, ENCODERS, _shallow(config.encoder_of("sa_encoder"))),
        half_sa_encoder=partial(checked_build, ENCODERS, _half(config.encoder_of("sa_encoder"))),
        half_goal_encoder=partial(checked_build, ENCODERS, _half(config.encoder_of("goal_encoder"))),
        relabel_discount=RELABELS.settings(config.relabel).get("discount"),
    )
    return checked_build(AGENTS, config.agent, inputs)


def _shallow(encoder: dict[str, Any]) -> dict[str, Any]:
    """Returns the settings of an encoder at depth 4 at most, or one block where that is more."""
    settings = ENCODERS.settings(encoder)
    if "depth" not in settings:
        return encoder
    return encoder | {"depth": min(settings["depth"], max(SHALLOW_DEPTH, settings.get("block_layers", 1)))}


def _half(encoder: dict[str, Any]) -> dict[str, Any]:
    """Returns the settings of an encoder at half its depth, in whole blocks, of which there is at least one.

    An encoder that does not say how many layers a block has may have two: of an even depth, the half is even too.
    """
    settings = ENCODERS.settings(encoder)
    if "depth" not in settings:
        return encoder
    depth = settings["depth"]
    block = settings.get("block_layers", 1 if depth % 2 else 2)
    return encoder | {"depth": max(depth // 2 // block * block, min(block, depth)) if block > 0 else depth}


def build_buffer(config: RunConfig, spec: EnvSpec, device: torch.device) -> Buffer:
    """Builds the replay buffer, which stores what the agent and the learners need.

    On the `meta` device it takes no memory, but knows its size.
    """
    agents = [c.agent for c in (config, *map(config.learner, config.learners))]
    unrolls_between_saves = -(-config.checkpoint_every // Schedule.of(config).steps_per_unroll)
    inputs = BufferInputs(
        spec=spec,
        num_envs=config.num_envs,
        device=device,
        generator=seeding.generator(config.seed, "buffer", "cpu" if device.type == "meta" else device),
        relabel=checked_build(RELABELS, config.relabel),
        transitions=any(needs_transitions(AGENTS, agent["name"]) for agent in agents),
        run_dir=Path(config.run_dir),
        max_unsaved_steps=config.keep_checkpoints * unrolls_between_saves * config.unroll_length,
        futures=needs_futures(AGENTS, agents),
        episode_length=config.episode_length,
    )
    return checked_build(BUFFERS, config.buffer | _path_of_seed(config), inputs)


def _path_of_seed(config: RunConfig) -> dict[str, str]:
    """Returns the buffer's `path`, if it has one, with the run's seed in place of `{seed}`."""
    path = config.buffer.get("path")
    return {"path": path.replace("{seed}", str(config.seed))} if isinstance(path, str) else {}


def build_run(config: RunConfig, unstable_dir: Path | None = None) -> Run:
    """Sets up this process and builds a run at its beginning; `Run.load_state_dict` takes it further.

    Simulations that become unstable are written to `unstable_dir`, if there is one.
    """
    device = select_device(config.device)
    check_device(config, device)
    configure_process(config, device)
    spec, schedule = env_spec(config), Schedule.of(config)
    envs = None if schedule.offline else build_envs(config, config.env, config.num_envs, "envs", unstable_dir)
    eval_envs = build_envs(config, config.evaluation_env, config.num_eval_envs, "eval_envs", unstable_dir)

    def learning(config: RunConfig) -> Agent:
        agent = build_agent(config, spec, device)
        if config.log_blocks:
            check_has_blocks(agent.networks)
        return with_cuda_graph(agent) if config.cuda_graph else agent

    agent, learners = learning(config), {name: learning(config.learner(name)) for name in config.learners}
    divide_cores([agent, *learners.values()], device)
    return Run(
        config=config,
        schedule=schedule,
        envs=envs,
        eval_envs=eval_envs,
        agent=agent,
        buffer=build_buffer(config, spec, device),
        device=device,
        progress=Progress(),
        observation=envs.reset() if envs else None,
        learners=learners,
        path_score=path_score(eval_envs, device),
    )
