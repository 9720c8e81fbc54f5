"""Loggers beside the metrics file, one per file: `logger=NAME`. May import what `run` may."""
