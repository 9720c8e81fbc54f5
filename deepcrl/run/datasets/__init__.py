"""Datasets for offline training: what a run has collected, what a script does. May import what `run` may."""
