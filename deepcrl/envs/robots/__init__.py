"""Robots, one per file: functions that return an MjSpec to attach to a scene. May import `core` and `envs`."""
