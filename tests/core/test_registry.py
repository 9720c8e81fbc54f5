"""The registry's contract: the signature is the schema."""

import re

import pytest

from deepcrl.core.registry import Registry


def make(kind="thing"):
    registry = Registry(f"test_{kind}")

    @registry.register("scaled")
    def scaled(x: float, *, factor: float = 2.0, labels: tuple[str, ...] = ("a",)) -> float:
        """Scales."""
        return x * factor

    return registry


def test_builds_a_function_with_its_hyperparameters():
    registry = make()
    assert registry.build({"name": "scaled"})(3.0) == 6.0
    assert registry.build({"name": "scaled", "factor": 5.0})(3.0) == 15.0


def test_builds_a_class_from_runtime_inputs_and_hyperparameters():
    registry = make()

    @registry.register("pair")
    class Pair:
        def __init__(self, left: int, *, right: int = 1) -> None:
            self.values = (left, right)

    assert registry.build({"name": "pair", "right": 7}, 3).values == (3, 7)


def test_a_name_may_replace_defaults():
    registry = make()

    @registry.register("near", distance=1.0)
    @registry.register("far", distance=9.0)
    class Goal:
        def __init__(self, *, distance: float = 5.0) -> None:
            self.distance = distance

    assert (registry.build({"name": "near"}).distance, registry.build({"name": "far"}).distance) == (1.0, 9.0)
    with pytest.raises(TypeError, match="Unknown hyperparameter 'distnace'. Did you mean 'distance'"):
        registry.register("typo", distnace=1.0)(Goal)


def test_mutable_defaults_are_not_shared():
    registry = make()
    registry.defaults("scaled")["labels"].append("b")
    assert registry.defaults("scaled")["labels"] == ["a"]


def test_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(
        ValueError, match=re.escape("Unknown test_thing 'scalde'. Did you mean 'scaled'? Known: scaled")
    ):
        make().build({"name": "scalde"})


def test_unknown_hyperparameter_is_answered_with_the_nearest():
    with pytest.raises(
        ValueError, match="Unknown hyperparameter of test_thing 'scaled' 'factr'. Did you mean 'factor'"
    ):
        make().build({"name": "scaled", "factr": 1.0})


@pytest.mark.parametrize("value", ["two", True, [1.0], None])
def test_a_hyperparameter_of_another_type_is_refused(value):
    with pytest.raises(ValueError, match=r"^test_thing.factor=.* is no float, such as 2.0$"):
        make().build({"name": "scaled", "factor": value})
    assert make().build({"name": "scaled", "factor": 3})(3.0) == 9.0  # a whole number will do


def test_duplicate_name_names_both_owners():
    def scaled(x: float) -> float:
        return x

    scaled.__module__ = "somebody.plugin"
    with pytest.raises(ValueError, match="'scaled' of somebody.plugin is already registered by .*test_registry"):
        make().register("scaled")(scaled)


def no_type(x, *, a=1):
    return x


def no_default(x, *, a: int):
    return x


def default_left_of_star(x, a: int = 1):
    return x


def var_keyword(x, **options):
    return x


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (no_type, "'a' needs a type and a default"),
        (no_default, "'a' needs a type and a default"),
        (default_left_of_star, "put it after"),
        (var_keyword, "hides hyperparameters"),
    ],
)
def test_refuses_a_signature_that_is_no_schema(function, message):
    with pytest.raises(TypeError, match=message):
        make().register("bad")(function)


def test_keeps_the_options_of_other_groups_that_come_with_a_name():
    registry = make()
    registry.register("with_energy", choices={"energy": "iqe"})(lambda x: x)
    assert registry.choices == {"scaled": {}, "with_energy": {"energy": "iqe"}}
