"""Gymnasium, both ways: its environments as ours, our tasks as its. May import `core` and the rest of `envs`."""
