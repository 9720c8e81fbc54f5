"""The text of `deepcrl train --help`; Hydra fills in the groups and the settings."""

from __future__ import annotations

HELP = {
    "app_name": "deepcrl train",
    "header": """deepcrl train: trains a goal-reaching agent; RUN_DIR gets metrics, checkpoints, curves and a video.

usage: deepcrl train [SETTING=VALUE ...]                       one run
       deepcrl train -m SETTING=VALUE,VALUE ...                a sweep over all combinations; also sweep=depth
       deepcrl train resume=RUN_DIR [total_env_steps=N ...]    go on with a run, bit for bit

most used:
  experiment=first_light       a named set of settings: two minutes to a policy that reaches its goals
  env=ant_u_maze               where to train; eval_env=NAME evaluates elsewhere
  encoder.depth=16             layers of all networks; actor_encoder=NAME, critic_encoder=NAME set them apart
  loss=infonce energy=norm     what the critic learns; loss.logsumexp_coef=0.05 sets one of its settings
  total_env_steps=1_000_000    how long; eval_every and checkpoint_every count the same steps
  buffer=dataset buffer.path=FILE.npz total_grad_steps=100_000    offline: from a fixed dataset, collecting nothing
  num_envs=64 batch_size=256 grad_steps_per_unroll=100
  seed=3 run_dir=runs/mine logger=wandb precision=bf16 device=cuda num_threads=2

to see more:
  deepcrl list losses          every loss with its settings, types and defaults; also envs, encoders, energies, ...
  deepcrl train --cfg job ...  the settings that these arguments come to
  hydra/launcher=joblib hydra.launcher.n_jobs=4   beside -m: runs of a sweep in parallel
  hydra.sweep.dir=sweeps/mine  beside -m: its directory; the same command goes on where it was stopped""",
    "footer": "Hydra's own flags: deepcrl train --hydra-help",
    "template": """${hydra.help.header}

== Groups: choose by name (group=name) ==
$APP_CONFIG_GROUPS
== Settings as they stand (setting=value, group.setting=value) ==
$CONFIG
${hydra.help.footer}""",
}  # fmt: skip
