"""Robots: functions that return a fresh MjSpec, to be attached to a scene."""
