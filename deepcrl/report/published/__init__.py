"""Scores that others published, beside ours. May import what `report` may."""
