"""Pictures of a run's metrics. May import what `run` may."""
