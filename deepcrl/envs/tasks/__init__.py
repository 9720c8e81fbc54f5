"""Tasks, one family per file, written once in batched torch. May import `core` and `envs`."""
