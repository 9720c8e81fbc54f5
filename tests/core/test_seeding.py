"""Named generators."""

from __future__ import annotations

import itertools

import torch

from deepcrl.core.seeding import derive_seed, generator


def test_the_same_name_and_seed_draw_the_same() -> None:
    draws = [torch.rand(3, generator=generator(3, "buffer")) for _ in range(2)]
    assert torch.equal(*draws)


def test_no_two_names_or_seeds_share_a_stream() -> None:
    names = ("envs", "eval_envs", "buffer", "init/actor", "explore", "1/envs", "")
    seeds = {derive_seed(seed, name) for seed, name in itertools.product(range(50), names)}
    assert len(seeds) == 50 * len(names)
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_the_streams_are_fixed_for_ever() -> None:
    """Other numbers here would change every published seed."""
    assert derive_seed(0, "envs") == 318875506618907568
