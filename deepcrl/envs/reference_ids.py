"""Ids of scaling-crl and JaxGCRL that are called otherwise here; giving one says the new name.

An id that is not in this table either has the same name here or does not exist yet. docs/environments.md says what
differs behind the names.
"""

from __future__ import annotations

from deepcrl.core.components import ENVS

RENAMED: dict[str, str] = {
    "arm_binpick_easy_EEF": "arm_binpick_easy_eef",
    "cheetah": "half_cheetah",
    "pusher": "pusher_easy",
    "simple_u_maze": "point_u_maze",
    "simple_big_maze": "point_big_maze",
    "simple_hardest_maze": "point_hardest_maze",
}
ENVS.renamed.update(RENAMED)
