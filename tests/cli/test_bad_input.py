"""Every mistake gives one line that names it, exit status 2, and leaves nothing behind."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from deepcrl.cli.hydra.overrides import warn_of_repeated
from deepcrl.core.components import BUFFERS, ENCODERS, ENERGIES, LOSSES

KNOWN_LOSSES, KNOWN_ENERGIES = ", ".join(LOSSES), ", ".join(ENERGIES)
BAD = [
    # Names
    ("loss=inofnce", f"Unknown loss 'inofnce'. Did you mean 'infonce'? Known: {KNOWN_LOSSES}"),
    ("env=point_u_mze", "Unknown env 'point_u_mze'. Did you mean 'point_u_maze'? Known: ant, "),
    ("eval_env=point_u_mze", "Unknown eval_env 'point_u_mze'. Did you mean 'point_u_maze"),
    ("energy=cosin", f"Unknown energy 'cosin'. Did you mean 'cosine'? Known: {KNOWN_ENERGIES}"),
    ("encoder=residual", "Unknown encoder 'residual'. Did you mean 'residual_mlp'? Known: "),
    ("actor_encoder=residual", "Unknown actor_encoder 'residual'. Did you mean 'residual_mlp'? Known: "),
    ("agent=crll", "Unknown agent 'crll'. Did you mean 'crl'? Known: chronosrl, crl"),
    ("buffer=rign", f"Unknown buffer 'rign'. Did you mean 'ring'? Known: {', '.join(BUFFERS)}"),
    ("logger=wandbb", "Unknown logger 'wandbb'. Did you mean 'wandb'? Known: none, wandb"),
    ("experiment=first_ligth", "Unknown experiment 'first_ligth'. Did you mean 'first_light'? Known: "),
    ("experiment=methods/srll", "Unknown experiment 'methods/srll'. Did you mean 'methods/srl'? Known: "),
    ("experiment=paper/humanoi", "Unknown experiment 'paper/humanoi'. Did you mean 'paper/humanoid'? Known: "),
    ("hydra/launcher=jobli", "Unknown hydra/launcher 'jobli'. Did you mean 'joblib'? Known: basic, joblib"),
    ("nmu_envs=3", "Unknown setting 'nmu_envs'. Did you mean 'num_envs'? Known: actor_encoder, agent, "),
    ("depth=6", "Unknown setting 'depth'. Known: "),
    ("+foo=1", "Unknown setting 'foo'. Known: "),
    ("encoder.dpeth=8", "Unknown setting of encoder=residual_mlp: 'dpeth'. Did you mean 'depth'? Known: activation, "),
    ("env.foo=1", "Unknown setting of env=point_u_maze: 'foo'. Known: cell_size, drive, layout, "),
    ("loss.foo.bar=1", "Unknown setting of loss=infonce: 'foo'. Known: logsumexp_coef"),
    ("+encoder.foo=1", "Unknown hyperparameter of encoder 'residual_mlp' 'foo'. Known: "),
    ("encoder.activation=swihs", "Unknown activation of a residual trunk 'swihs'. Did you mean 'swish'? Known: "),
    ("encoder.norm_position=after", "Unknown setting of encoder=residual_mlp: 'norm_position'. Known: activation, "),
    ("encoder.init=glorot", "Unknown setting of encoder=residual_mlp: 'init'. "),
    ("encoder=mlp encoder.init=golrot", "Unknown encoder.init 'golrot'. Did you mean 'glorot'? Known: glorot, paper"),
    ("agent.evaluation=best", "Unknown action choice 'best'. Did you mean 'best_of'? Known: "),
    ("env.drive=torque", "Unknown env.drive 'torque'. Known: force, velocity"),
    ("env.layout=maze", "Unknown layout 'maze'. Did you mean 'u_maze'? Known: "),
    ("logger=wandb logger.mode=oflfine", "Unknown logger.mode of wandb 'oflfine'. Did you mean 'offline'? Known: "),
    # Nothing to choose or to set
    ("actor_encoder.depth=8", "actor_encoder.depth has nothing to set: choose actor_encoder=NAME first, "),
    ("eval_env.cell_size=8", "eval_env.cell_size has nothing to set: choose eval_env=NAME first, "),
    ("loss=null", "loss=null: a run needs a choice of loss, see `deepcrl list`"),
    ("~env", "~env: a run needs a choice of env, "),
    ("loss=3", "loss=3: loss is chosen by name, "),
    ("agent=true", "agent=true: agent is chosen by name, "),
    ("actor_encoder=1e3", "actor_encoder=1e3: actor_encoder is chosen by name, "),
    ("eval_env=3", "eval_env=3: eval_env is chosen by name, "),
    ("loss=infonce,mine", "loss=infonce,mine names several values: add -m to run each of them"),
    ("experiment=ant_laptop env=point_u_maze", "experiment/ant_laptop: Unknown setting of env=point_u_maze: "),
    # Spelling
    ("seed", "Cannot read the override 'seed'; an override is KEY=VALUE, "),
    ("seed=[1", "Cannot read the override 'seed=[1'; "),
    ("=3", "Cannot read the override '=3'; "),
    ("env=ánt", "Unknown env 'ánt'. Did you mean 'ant'? Known: "),
    ("encoder.activation=swísh", "Cannot read the override 'encoder.activation=swísh'; quote its value for Hydra: "),
    ("hydra=3", "hydra=3: hydra is chosen part by part: hydra/launcher=NAME, hydra.sweep.dir=FOLDER"),
    ("hydra/launcher=3", "hydra/launcher=3: hydra/launcher is chosen by name"),
    ("experiment=3", "experiment=3: experiment is chosen by name"),
    ("loss=[infonce,dcl]", "loss=[infonce,dcl]: loss is chosen by name, see `deepcrl list`"),
    ("logger.mode=sideways", "Unknown setting of logger=none: 'mode', which has none (mode belongs to logger=wandb)"),
    (f"seed={'9' * 5000}", "seed=99999999999999999999... is a number of 5,000 digits, far too large"),
    ("--confg job", "Unknown flag '--confg'. Did you mean '--cfg'? Known: "),
    ("--cfg jbo", "Unknown choice of --cfg 'jbo'. Did you mean 'job'? Known: all, hydra, job"),
    ("-c", "-c needs a value"),
    ("seed=${sed}", "seed: Interpolation key 'sed' not found"),
    (
        "--info nope",
        "Unknown choice of --info 'nope'. Known: all, config, defaults, defaults-tree, plugins, searchpath",
    ),
    ("-i=al", "Unknown choice of -i 'al'. Did you mean 'all'? Known: "),
    ("--experimental-rerun nowhere", "--experimental-rerun: there is no file nowhere"),
    ("seed=range(3)", "seed=range(3) names several values: add -m to run each of them"),
    # Types
    ("seed=abc", "seed: Value 'abc' of type 'str' could not be converted to Integer"),
    ("seed=1.5", "seed: Value '1.5' of type 'float' could not be converted to Integer"),
    ("num_envs=null", "num_envs: field 'num_envs' is not Optional"),
    ("encoder.depth=deep", "encoder.depth: Value 'deep' of type 'str' could not be converted to Integer"),
    ("env.cell_size=far", "env.cell_size: Value 'far' of type 'str' could not be converted to Float"),
    ("env=ant env.goal_distance=far", "env.goal_distance: Value 'far' of type 'str' could not be converted to Float"),
    ("video=maybe", "video: Value 'maybe' is not a valid bool"),
    # Values
    ("encoder.depth=6", "encoder.depth is 6; it must be a positive multiple of block_layers=4, such as 4 or 8"),
    ("encoder.depth=0", "encoder.depth is 0; it must be a positive multiple of block_layers=4, such as 4"),
    ("batch_size=0", "batch_size must be at least 1, got 0"),
    ("batch_size=1", "batch_size must be at least 2, got 1: one pair has no negatives"),
    ("buffer.repeat=1000", "buffer.repeat=1000 steps of a trajectory do not fit into batch_size=16"),
    ("buffer.sampling=papre", "Unknown buffer.sampling 'papre'. Did you mean 'paper'? Known: paper, uniform"),
    ("buffer.sampling=paper", "buffer.sampling=paper draws windows of episode_length=20 steps: prefill_steps=20 is "),
    ("buffer.sampling=paper agent=qrl prefill_steps=30", "buffer.sampling=paper is for agents that learn from states "),
    (
        "buffer.sampling=paper buffer.capacity=30 episode_length=30 prefill_steps=30 unroll_length=7",
        "buffer.sampling=paper draws windows of episode_length=30 steps: buffer.capacity must be greater, got 30",
    ),
    ("agent.survival=logz", "Unknown agent.survival 'logz'. Did you mean 'log_z'? Known: both, log_z, mass, none"),
    ("agent.chunk=0", "agent.chunk must be at least 1, got 0"),
    ("agent.chunk=2 loss=fb", "agent.chunk=2 with chunk_ends=mask weights the rows of the loss, which only these take"),
    ("agent.policy=gausian", "Unknown agent.policy 'gausian'. Did you mean 'gaussian'? Known: gaussian, tanh_gaussian"),
    ("agent.policy_std=-1", "agent.policy_std must be at least 0, got -1.0"),
    ("agent.update_order=critic", "Unknown agent.update_order 'critic'. Did you mean 'critic_first'? Known: "),
    ("agent=srl agent.horizon=0", "agent.horizon must be at least 1, got 0"),
    ("agent=srl agent.discount=1", "agent.discount must lie between 0 and 1, both excluded, got 1.0"),
    ("agent=chronosrl agent.time_coef=-1", "agent.time_coef must be at least 0, got -1.0"),
    ("agent=srl loss=dcl", "loss=dcl has no effect: agent=srl uses no loss; leave it out"),
    ("agent.actor_lr=-1e-3", "agent.actor_lr must be greater than 0, got -0.001"),
    ("agent.critic_lr=0", "agent.critic_lr must be greater than 0, got 0.0"),
    ("agent.temperature_lr=-1", "agent.temperature_lr must be greater than 0, got -1.0"),
    ("agent.critic_lr=nan", "agent.critic_lr must be a finite number, got nan"),
    ("loss.logsumexp_coef=nan", "loss.logsumexp_coef must be a finite number, got nan"),
    ("agent.actor_lr=inf", "agent.actor_lr must be a finite number, got inf"),
    ("num_envs=0", "num_envs must be at least 1, got 0"),
    ("num_envs=-4", "num_envs must be at least 1, got -4"),
    ("num_eval_envs=0", "num_eval_envs must be at least 1, got 0"),
    ("seed=-1", "seed must be at least 0, got -1"),
    ("relabel.discount=1", "relabel.discount must lie between 0 and 1, both excluded, got 1.0"),
    ("env.success_radius=-1", "success_radius must be greater than 0, got -1.0"),
    ('env.layout="####/#RG#/###"', "layout row 2 '###' has 3 cells, but row 0 has 4"),
    ('env.layout="####/#G.#/####"', "layout has no start cell, R"),
    ('env.layout="####/#R.#/####"', "layout has no goal cell, G"),
    ('env.layout="######/#R#G.#/######"', "layout's goal cell (row, column) (1, 3) cannot be reached from its start"),
    ('env.layout="####/#RG./####"', "layout is open: every cell of its border must be a wall, #"),
    (
        "env.layout=perfect_20",
        "layout=perfect_20: the size of a perfect maze is odd, from 5 to 101; the nearest is ",
    ),
    (
        "env.layout=perfect_3",
        "layout=perfect_3: the size of a perfect maze is odd, from 5 to 101; the nearest is per",
    ),
    ("env.layout=perfect_21 env.layout_seed=-1", "layout_seed must be at least 0, got -1"),
    (
        "env.layout_seed=3",
        "layout_seed=3 has no effect: layout=u_maze is not drawn; leave it out, or use a perfect",
    ),
    ("env=ant_u_maze env.goal_steps=[1,7]", "goal_steps must be within 1 and 6, the length of the corridor, got 7"),
    (
        "env=ant,ant_u_maze_gen_1f",
        "env=ant,ant_u_maze_gen_1f: env.goal_steps=[1] is a single run's; sweep over ",
    ),
    ("env=ant_big_maze env.goal_steps=[1]", "goal_steps needs a layout that is one corridor, "),
    ('env=ant_ball_maze env.layout="#####/#RGG#/#####"', "layout has no ball cell, B"),
    ("precision=fp16", "Unknown precision 'fp16'. Did you mean 'bf16'? Known: auto, bf16, fp32, tf32"),
    ("device=gpu", "Unknown device 'gpu'. Did you mean 'cpu'? Known: auto, cpu, cuda"),
    ("physics=mujco", "Unknown physics 'mujco'. Did you mean 'mujoco'? Known: "),
    ("reset=resmple", "Unknown reset policy 'resmple'. Did you mean 'resample'? Known: fixed, resample"),
    ("energy=iqe agent.embedding_dim=12", "energy.component_dim=8 does not divide agent.embedding_dim=12"),
    ("energy=mrn agent.embedding_dim=1", "energy=mrn splits embeddings in two: agent.embedding_dim=1 is too small"),
    (f"seed={2**63}", "seed must be at most 9223372036854775807, got 9223372036854775808"),
    (f"num_eval_envs={10**30}", "num_eval_envs must be at most 9223372036854775807, got 1"),
    (f"batch_size={10**400}", "batch_size must be at most 9223372036854775807, got 1"),
    (f"relabel=next_k relabel.k={10**30}", "relabel.k must be at most 9223372036854775807, got 1"),
    *((f"encoder={name} encoder.depth=20000", "encoder.depth must be at most 10000, got 20000") for name in ENCODERS),
    # Learners beside the agent that acts
    ("learners.deep.encoder.depth=8", "Unknown learner 'deep'. Known: none (a + adds one: +learners.deep.encoder."),
    ("+learners.deep.encoder.depth=deep", "learner 'deep': encoder.depth='deep' is no int, such as 4"),
    ("+learners.deep.encoder.dpeth=8", "learner 'deep': Unknown hyperparameter of encoder 'residual_mlp' 'dpeth'. Did"),
    ("+learners.deep.encoder=simba", "learners.deep.encoder=simba sets nothing; name what differs, such as learners."),
    ("+learners.deep.num_envs=3", "Unknown setting of learner 'deep' 'num_envs'. Known: actor_encoder, agent, "),
    ("+learners.eval.encoder.depth=8", "A learner cannot be called 'eval': "),
    # Values beside others
    ("cuda_graph=true device=cpu", "cuda_graph=true needs a GPU, and the device is cpu"),
    ("precision=tf32 device=cpu", "precision=tf32 needs a GPU, and the device is cpu; use fp32, bf16 or auto"),
    ("kernels=triton device=cpu", "kernels=triton: it needs a GPU, and the device is cpu"),
    ("unroll_length=300", "unroll_length=300 is longer than the ring: buffer.capacity=200"),
    ("prefill_steps=300", "prefill_steps=300 does not fit in the ring: buffer.capacity=200"),
    ("total_env_steps=50", "total_env_steps=50 ends before the first gradient step: "),
    ("eval_env=ant", "eval_env=ant does not fit env=point_u_maze: "),
    # Far more than any machine has, and known without taking it
    ("buffer.capacity=20_000_000 num_envs=100 total_env_steps=10_000_000_000", "Not enough memory: "),
    ("encoder.width=65536 encoder.depth=1024", "Not enough memory: "),
    (f"agent.embedding_dim={2**63 - 8}", "Not enough memory: no machine holds such networks; lower encoder.depth, "),
    (
        f"buffer.capacity={2**62} total_env_steps={2**63 - 1}",
        "buffer.capacity 4611686018427387904 x num_envs 4 is 2^31 ",
    ),
    (f"agent.evaluation=best_of agent.num_candidates={2**63 - 8}", "Not enough memory: no machine holds such steps; "),
]


@pytest.mark.parametrize(("arguments", "message"), BAD, ids=[bad[0][:60] for bad in BAD])
def test_train_refuses(deepcrl, tiny, tmp_path: Path, arguments: str, message: str) -> None:
    error = deepcrl("train", *tiny, "run_dir=run", *arguments.split()).error
    assert error.startswith(message), error
    assert list(tmp_path.iterdir()) == []


def test_a_sweep_goes_over_names(deepcrl, tiny, tmp_path: Path) -> None:
    error = deepcrl("train", *tiny, "-m", "actor_encoder=null,mlp", "hydra.sweep.dir=sweep").error
    assert error.startswith("actor_encoder=null,mlp: a sweep goes over names; run actor_encoder=null by itself")
    assert list(tmp_path.iterdir()) == []


def test_what_to_lower(deepcrl, tiny) -> None:
    ring = "buffer.capacity=20_000_000 num_envs=100 total_env_steps=10_000_000_000"
    assert deepcrl("train", *tiny, "run_dir=run", *ring.split()).error.endswith("lower buffer.capacity or num_envs")
    networks = "encoder.width=65536 encoder.depth=1024"
    error = deepcrl("train", *tiny, "run_dir=run", *networks.split()).error
    assert error.endswith("lower encoder.depth, encoder.width or agent.embedding_dim")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("agent=gcbc energy=dot", "energy=dot has no effect: agent=gcbc uses no energy; leave it out"),
        ("agent=gcbc loss.logsumexp_coef=0.2", "loss.logsumexp_coef=0.2 has no effect: agent=gcbc uses no loss; "),
        ("sa_encoder=mlp agent=gcbc", "sa_encoder=mlp has no effect: agent=gcbc uses no sa_encoder; leave it out"),
    ],
)
def test_train_refuses_what_the_agent_does_not_use(deepcrl, tiny, tmp_path: Path, arguments: str, message: str) -> None:
    common = [override for override in tiny if not override.startswith("agent.")]
    assert deepcrl("train", *common, "run_dir=run", *arguments.split()).error.startswith(message)
    assert list(tmp_path.iterdir()) == []


def test_what_the_agent_does_not_use_may_be_there_by_default(deepcrl, tiny) -> None:
    common = [override for override in tiny if not override.startswith("agent.")]
    assert deepcrl("train", *common, "run_dir=one", "agent=gcbc", "actor_encoder=mlp").code == 0
    assert deepcrl("train", "resume=one", "total_env_steps=500").code == 0
    assert deepcrl("train", *common, "run_dir=two", "agent=crl", "energy=dot", "sa_encoder=mlp").code == 0


def test_a_run_dir_below_a_file(deepcrl, tiny, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    assert deepcrl("train", *tiny, "run_dir=file/run").error.startswith("Cannot write to run_dir file/run: ")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_run_dir_that_holds_a_run(deepcrl, tiny) -> None:
    assert deepcrl("train", *tiny, "run_dir=run").code == 0
    error = deepcrl("train", *tiny, "run_dir=run").error
    assert error == "run already holds a run; go on with it by resume=run, or choose another run_dir"


def test_a_sweep_has_no_run_dir(deepcrl, tiny, tmp_path: Path) -> None:
    error = deepcrl("train", "-m", *tiny, "run_dir=runs/x", "seed=0,1").error
    assert error == "run_dir=runs/x is the directory of one run; for a sweep use hydra.sweep.dir=runs/x"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("nothing", ["seed=range(0)", "seed=range(5,2)", "loss=glob(zz*)"])
def test_a_sweep_over_nothing(deepcrl, tiny, tmp_path: Path, nothing: str) -> None:
    error = deepcrl("train", "-m", *tiny, nothing, "hydra.sweep.dir=sweep").error
    assert error == f"{nothing} names no value, so the sweep would have no run"
    assert list(tmp_path.iterdir()) == []


def test_a_bad_name_in_a_sweep_stops_it_before_its_first_run(deepcrl, tiny, tmp_path: Path) -> None:
    result = deepcrl("train", "-m", *tiny, "loss=infonce,inofnce", "hydra.sweep.dir=sweep")
    assert result.error.startswith("Unknown loss 'inofnce'. Did you mean 'infonce'?")
    assert not list(tmp_path.rglob("config.yaml"))


def test_the_traceback_is_there_for_those_who_ask(deepcrl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEPCRL_DEBUG", "1")
    with pytest.raises(Exception, match=re.escape("loss/inofnce")):
        deepcrl("train", "loss=inofnce")


def test_what_is_given_twice_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    warn_of_repeated(["seed=1", "-m", "loss=dcl", "+seed=2", "env.x=1", "env.y=1"])
    assert capsys.readouterr().err == "deepcrl: seed is given 2 times; +seed=2 counts\n"
