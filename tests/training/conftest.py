"""A run small enough for a test, in memory and on disk."""

from tests.tiny import dataset, tiny  # noqa: F401 - fixtures
from tests.train_fixture import train  # noqa: F401 - a fixture
