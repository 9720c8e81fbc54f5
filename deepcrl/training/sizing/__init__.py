"""Parameters, bytes and operations of a run before it starts. May import what `train` may."""
