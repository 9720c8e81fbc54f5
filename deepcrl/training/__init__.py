"""Training in memory: config, schedule, sizing, loop, evaluation. May import `core`, `kernels`, `envs`, `nets`."""
