"""One decorator makes an object buildable by name, with typed hyperparameters: the signature is the schema."""

from __future__ import annotations

import copy
import functools
import inspect
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import field, make_dataclass
from typing import Any

from deepcrl.core.checks import suggest


class Registry(Mapping[str, Callable[..., Any]]):
    """Maps names to classes or functions; `kind` is also the name of the config group.

    Positional parameters are run-time inputs, keyword-only parameters are hyperparameters. Registering checks
    the signature and makes a dataclass of the hyperparameters, which `deepcrl.cli.hydra.schema` hands to Hydra.
    """

    def __init__(self, kind: str, *other_groups: str) -> None:
        """`other_groups` are further config groups with the same options (`env` is also offered as `eval_env`)."""
        self.kind = kind
        self.groups = (kind, *other_groups)
        self._items: dict[str, Callable[..., Any]] = {}
        self._schemas: dict[str, Callable[[], type]] = {}
        self.choices: dict[str, dict[str, str]] = {}
        """Name -> the options of other groups that come with it, by group."""

    def register(self, name: str, *, choices: Mapping[str, str] | None = None, **defaults: Any) -> Callable[[Any], Any]:
        """Registers the decorated object as `name`; `defaults` replaces hyperparameter defaults under this name.

        `choices` maps other config groups to the options that come with this one, unless those groups are chosen too.
        Raises ValueError for a name that is taken and TypeError for a signature that is no schema.
        """

        def wrap(obj: Any) -> Any:
            if name in self._items:
                owner = self._items[name].__module__
                raise ValueError(f"{self.kind} {name!r} of {obj.__module__} is already registered by {owner}")
            self._schemas[name] = _schema(name, obj, defaults)
            self.choices[name] = dict(choices or {})
            self._items[name] = obj
            return obj

        return wrap

    def build(self, cfg: Mapping[str, Any], *args: Any) -> Any:
        """Constructs a class, or binds a function's hyperparameters, from `{"name": ..., hyperparameters...}`."""
        kwargs = self.settings(cfg)
        obj = self[kwargs.pop("name")]
        return obj(*args, **kwargs) if inspect.isclass(obj) else functools.partial(obj, *args, **kwargs)

    def settings(self, cfg: Mapping[str, Any]) -> dict[str, Any]:
        """Returns `cfg` with the defaults of what it leaves out; ValueError for what the schema does not take."""
        name = cfg["name"]
        settings, types = self.defaults(name), self.schema(name).__annotations__
        known = settings.keys() - {"name"}
        for key, value in cfg.items():
            if key != "name":
                if key not in known:
                    raise ValueError(suggest(f"hyperparameter of {self.kind} {name!r}", key, sorted(known)))
                settings[key] = _checked(f"{self.kind}.{key}", value, types[key], settings[key])
        return settings

    def schema(self, name: str) -> type:
        """Returns the dataclass of `name`'s hyperparameters, which is made when it is first asked for."""
        return self._schemas[self._check(name)]()

    def defaults(self, name: str) -> dict[str, Any]:
        """Returns `name` and the default of each hyperparameter."""
        return copy.deepcopy(vars(self.schema(name)()))

    def _check(self, name: str) -> str:
        if name not in self._items:
            raise ValueError(suggest(self.kind, name, self._items))
        return name

    def __getitem__(self, name: str) -> Callable[..., Any]:
        return self._items[self._check(name)]

    def __contains__(self, name: object) -> bool:
        return name in self._items

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._items))

    def __len__(self) -> int:
        return len(self._items)


def _checked(key: str, value: Any, kind: Any, default: Any) -> Any:
    """Returns `value`; ValueError if it is not of type `kind`, where that is a number, a flag or text."""
    whole_for_fraction = kind is float and type(value) is int
    if kind in (bool, int, float, str) and type(value) is not kind and not whole_for_fraction:
        raise ValueError(f"{key}={value!r} is no {kind.__name__}, such as {default!r}")
    return value


def _schema(name: str, obj: Any, defaults: Mapping[str, Any]) -> Callable[[], type]:
    fn = obj.__init__ if inspect.isclass(obj) else obj
    # A class without a constructor inherits object's, whose signature says nothing
    parameters = () if fn is object.__init__ else inspect.signature(fn).parameters.values()
    hints = {} if fn is object.__init__ else typing.get_type_hints(fn)
    fields: dict[str, tuple[str, Any, Any]] = {"name": ("name", str, field(default=name))}
    for p in parameters:
        if p.kind is inspect.Parameter.VAR_KEYWORD:
            raise TypeError(f"{name}: **{p.name} hides hyperparameters; name each one after '*'")
        if p.kind is inspect.Parameter.KEYWORD_ONLY:
            default = defaults.get(p.name, p.default)
            if default is inspect.Parameter.empty or p.name not in hints:
                raise TypeError(f"{name}: hyperparameter {p.name!r} needs a type and a default")
            default = list(default) if isinstance(default, tuple) else default
            mutable = isinstance(default, list | dict)
            value = field(default_factory=functools.partial(copy.copy, default)) if mutable else field(default=default)
            fields[p.name] = (p.name, hints[p.name], value)
        elif p.default is not inspect.Parameter.empty:
            raise TypeError(f"{name}: {p.name!r} has a default, so it is a hyperparameter; put it after '*'")
    for key in defaults:
        if key not in fields:
            raise TypeError(f"{name}: " + suggest("hyperparameter", key, fields))
    return functools.cache(functools.partial(make_dataclass, f"{name}_config", list(fields.values())))
