"""Contrastive losses: pure functions of logits [B, B], one file each. Row i holds the energies of (s, a)_i with every
goal of the batch; the diagonal holds the positive pairs. A loss returns a scalar; its caller computes the metrics.
"""
