"""Robots: functions that return a fresh MjSpec, to be attached to a scene. May import `core` and `envs/scenes`."""
