"""Old ids: each leads to a registered name, in one line, and hides none."""

from __future__ import annotations

import pytest

from deepcrl.core.components import ENVS, discover
from deepcrl.envs import make_task

discover()


@pytest.mark.parametrize(("old", "new"), sorted(ENVS.renamed.items()))
def test_an_old_id_names_the_new_one(old, new):
    assert old not in ENVS
    assert new in ENVS
    with pytest.raises(ValueError, match=f"^env {old!r} is called {new!r} here$"):
        make_task({"name": old})
