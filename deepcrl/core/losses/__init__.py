"""Contrastive losses of logits [B, B], one per file. May import only `core`.

Row i holds the energies of (s, a)_i with every goal of the batch; the diagonal holds the positive pairs. A loss returns
a scalar; its caller computes the metrics.

A loss is a pure function, or an `nn.Module` if it owns parameters: the agent optimises them with the critic and saves
them with its networks. Every loss takes `logsumexp_coef`. It is 0.1 by default where adding a constant to all logits
would not change the loss, so that nothing else holds them near zero, and 0 where the loss itself does.
"""
