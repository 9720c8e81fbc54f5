"""Trajectory storage and goal relabelling. May import only `core`."""
