"""A run small enough for a test."""

from tests.tiny import dataset, tiny  # noqa: F401 - fixtures
