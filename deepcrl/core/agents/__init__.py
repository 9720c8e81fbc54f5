"""Agents: how to act, and how to learn from relabelled batches."""
