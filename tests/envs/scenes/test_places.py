import math

import numpy as np
import pytest
import torch
from scipy import stats

from deepcrl.envs.scenes.places import box_bounds, cos_sin, nearest_goal, sample_around, sample_box


def test_places_are_uniform_in_angle_and_distance():
    place = sample_around(5000, 2.0, 6.0, torch.Generator().manual_seed(0))
    angle = torch.atan2(place[:, 1], place[:, 0])
    assert stats.kstest(place.norm(dim=1).numpy(), "uniform", args=(2, 4)).pvalue > 1e-3
    assert stats.kstest(angle.numpy(), "uniform", args=(-math.pi, 2 * math.pi)).pvalue > 1e-3


@pytest.mark.parametrize(("nearest", "expected"), [(None, 5.0), (0.0, 0.0), (2.5, 2.5), (5.0, 5.0)])
def test_the_nearest_goal_is_the_farthest_unless_set(nearest, expected):
    assert nearest_goal(5.0, nearest) == expected


@pytest.mark.parametrize("nearest", [-1.0, 5.1, math.nan])
def test_a_nearest_goal_out_of_range_is_one_line(nearest):
    with pytest.raises(ValueError, match=f"goal_distance_min must be within 0 and goal_distance 5.0, got {nearest}"):
        nearest_goal(5.0, nearest)


def test_box_draws_each_axis_for_itself():
    points = sample_box((1.0, 2.0), 0.5, 2000, torch.Generator().manual_seed(0))
    assert box_bounds((1.0, 2.0), 0.5).tolist() == [[0.5, 1.5], [1.5, 2.5]]
    for axis, centre in enumerate((1.0, 2.0)):
        assert stats.kstest(points[:, axis].numpy(), "uniform", args=(centre - 0.5, 1.0)).pvalue > 1e-3
    assert abs(np.corrcoef(points.numpy().T)[0, 1]) < 0.08


def test_cosine_and_sine_are_exact_to_rounding_and_of_their_shape():
    angle = torch.linspace(-9, 9, 60, dtype=torch.float64).view(3, 20)
    cos, sin = cos_sin(angle)
    assert cos.is_contiguous()
    assert sin.is_contiguous()
    assert torch.allclose(cos, angle.cos(), rtol=0, atol=1e-15)
    assert torch.allclose(sin, angle.sin(), rtol=0, atol=1e-15)
    assert cos_sin(angle.float())[0].dtype == torch.float32
