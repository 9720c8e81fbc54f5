"""Trajectory storage and goal relabelling."""
