"""Agents, one algorithm per file: how to act, how to learn from relabelled batches. May import only `core`."""
