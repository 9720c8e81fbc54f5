"""Registered components are Hydra's options, also those that are registered after the first composition."""

from __future__ import annotations

from typing import Literal

import pytest
from hydra.core.object_type import ObjectType
from omegaconf import OmegaConf

from deepcrl.cli.hydra.compose import compose_values
from deepcrl.cli.hydra.schema import PATH, RegistrySource, register_schema
from deepcrl.core.components import AGENTS, LOSSES, REGISTRIES
from deepcrl.core.registry import Registry


@pytest.fixture
def restored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forgets what a test registers in AGENTS and LOSSES."""
    for registry in (AGENTS, LOSSES):
        for name in ("_items", "_schemas", "choices"):
            monkeypatch.setattr(registry, name, dict(getattr(registry, name)))


def test_a_component_is_an_option_in_every_group_of_its_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = Registry("test_first", "test_second")
    registry.register("option")(lambda x: x)
    monkeypatch.setitem(REGISTRIES, "tests", registry)
    source = RegistrySource("deepcrl", PATH)
    for group in ("test_first", "test_second"):
        assert source.is_group(group)
        assert source.is_config(f"{group}/option.yaml")
        assert source.list(group, ObjectType.CONFIG) == ["option"]
        assert source.list(group, ObjectType.GROUP) == []
        assert OmegaConf.to_container(source.load_config(f"{group}/option").config) == {"name": "option"}
    assert not source.exists("test_first/other")
    assert {"test_first", "test_second", "env", "eval_env"} <= set(source.list("", None))
    assert source.list("", ObjectType.CONFIG) == []


def test_what_is_registered_later_is_found_by_the_next_composition(restored) -> None:
    compose_values([])

    @LOSSES.register("test_late")
    def late(logits, *, margin: float = 2.0): ...

    assert compose_values(["loss=test_late"])["loss"] == {"name": "test_late", "margin": 2.0}
    assert compose_values(["loss=test_late", "loss.margin=3"])["loss"]["margin"] == 3.0


def test_a_name_that_is_registered_anew_has_its_new_schema(restored) -> None:
    def loss(logits, *, margin: float = 2.0): ...

    for margin in (1.0, 5.0):
        LOSSES.register("test_anew", margin=margin)(loss)
        assert compose_values(["loss=test_anew"])["loss"]["margin"] == margin
        del LOSSES._items["test_anew"]


def test_choices_come_with_a_component_unless_they_are_chosen_too(restored) -> None:
    @AGENTS.register("test_chooser", choices={"energy": "l2", "relabel": "uniform_future"})
    def chooser(inputs, *, embedding_dim: int = 8): ...

    values = compose_values(["agent=test_chooser"])
    assert values["agent"] == {"name": "test_chooser", "embedding_dim": 8}
    assert (values["energy"]["name"], values["relabel"]["name"]) == ("l2", "uniform_future")
    values = compose_values(["agent=test_chooser", "energy=dot"])
    assert (values["energy"]["name"], values["relabel"]["name"]) == ("dot", "uniform_future")


def test_a_type_that_hydra_does_not_know_names_component_and_hyperparameter(restored) -> None:
    @LOSSES.register("test_literal")
    def literal(logits, *, side: Literal["left", "right"] = "left"): ...

    with pytest.raises(ValueError, match=r"^loss 'test_literal' of .*test_schema: side: Unexpected type annotation"):
        register_schema()
