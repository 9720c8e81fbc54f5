"""What a component of a user's own must take and return, checked when it is built and at its first call.

A mistake is a ContractError of one line, which names kind, name and file. Components of this package are not checked:
their tests do that. After its first call a component of the user's runs as if it had never been checked.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import nn

from deepcrl.core.contract import first_call, returns
from deepcrl.core.contract.first_call import ContractError
from deepcrl.core.registry import Registry
from deepcrl.core.types import Futures

METHODS: dict[str, dict[str, tuple[str, ...]]] = {
    "energy": {"paired": ("sa", "g"), "pairwise": ("sa", "g")},
    "loss": {"__call__": ("logits",)},
    "relabel": {"__call__": ("steps_left", "generator")},
    "encoder": {"forward": ("x",)},
    "agent": {
        "act": ("observation", "*", "explore"),
        "update": ("batch",),
        "state_dict": (),
        "load_state_dict": ("state",),
    },
    "buffer": {
        "insert": ("observation", "action", "step"),
        "sample": ("batch_size",),
        "state_dict": (),
        "load_state_dict": ("state",),
    },
    "logger": {"log": ("row",), "close": ()},
}
"""What is called of each kind, and with what; names behind `*` by keyword."""
ATTRIBUTES = {"agent": ("needs_transitions", "networks"), "buffer": ("offline", "nbytes", "disk_nbytes")}
_METHOD_CHECKS: dict[str, dict[str, Callable[[str, tuple[Any, ...]], first_call.Check]]] = {
    "energy": {"paired": lambda where, _: returns.paired(where), "pairwise": lambda where, _: returns.pairwise(where)},
    "agent": {
        "act": lambda where, args: returns.act(where, args[0].spec.action_dim),
        "update": lambda where, _: returns.update(where),
    },
}
CONSTRUCTORS = {"encoder": ("in_dim", "out_dim", "generator"), "agent": ("inputs",), "buffer": ("inputs",)}
"""What a class is constructed with, beside its hyperparameters; nothing, if it is not here."""


def origin(registry: Registry, name: str) -> str:
    """Returns kind, name and file of a component of the user's, as in "loss 'mine' in my_loss.py"; "" for ours."""
    module = registry[name].__module__
    if module.partition(".")[0] == "deepcrl":
        return ""
    return f"{registry.kind} {name!r} in {getattr(sys.modules.get(module), '__file__', None) or module}"


def checked_build(registry: Registry, cfg: Mapping[str, Any], *args: Any) -> Any:
    """Builds as `registry.build` does; a component of the user's is checked now, and once more when it is first called.

    Raises ContractError if it cannot be called as its kind is. Nothing of it is called here but its constructor.
    """
    where, kind = origin(registry, cfg["name"]), registry.kind
    if not where:
        return registry.build(cfg, *args)
    obj = registry[cfg["name"]]
    if inspect.isclass(obj):
        _check_signature(where, obj, CONSTRUCTORS.get(kind, ("inputs",) if args else ()))
    component = registry.build(cfg, *args)
    if kind == "encoder" and not isinstance(component, nn.Module):
        raise ContractError(f"{where} builds {returns.named(component)}, not an nn.Module")
    for name in ATTRIBUTES.get(kind, ()):
        if not hasattr(component, name):
            raise ContractError(f"{where} has no attribute `{name}` ({registry.kind} in deepcrl.core.types)")
    for name, parameters in METHODS.get(kind, {}).items():
        of_module = name == "__call__" and isinstance(component, nn.Module)
        method = component.forward if of_module else component if name == "__call__" else getattr(component, name, None)
        if not callable(method):
            raise ContractError(f"{where} has no method `{name}({', '.join(parameters)})`")
        _check_signature(f"{where}{'' if name == '__call__' else f': {name}'}", method, parameters)
    return _with_first_call_checked(where, kind, component, args)


def needs_transitions(registry: Registry, name: str) -> bool:
    """Returns what an agent's class says of itself, before there is an agent; ContractError if it says nothing."""
    answer = getattr(registry[name], "needs_transitions", None)
    if answer is None:
        raise ContractError(f"{origin(registry, name)} has no class attribute `needs_transitions`: True or False")
    return answer


def needs_futures(registry: Registry, agents: Sequence[Mapping[str, Any]]) -> Futures | None:
    """Returns what batches must hold for all agents of these settings; a class that says nothing needs no futures."""
    needs = []
    for cfg in agents:
        static = getattr(registry[cfg["name"]], "needs_futures", None)
        answer = static(registry.settings(cfg)) if static else None
        if not isinstance(answer, Futures | None):
            where = origin(registry, cfg["name"])
            raise ContractError(f"{where}: needs_futures returns {returns.named(answer)}, not a Futures or None")
        needs += [answer] if answer else []
    if not needs:
        return None
    return Futures(
        falls=any(n.falls for n in needs), chunk=max(n.chunk for n in needs), window=max(n.window for n in needs)
    )


def _check_signature(where: str, function: Any, parameters: tuple[str, ...]) -> None:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # some of C's have none
        return
    split = parameters.index("*") if "*" in parameters else len(parameters)
    try:
        signature.bind(*parameters[:split], **dict.fromkeys(parameters[split + 1 :], True))
    except TypeError as error:
        takes = ", ".join(p for p in signature.parameters)
        raise ContractError(f"{where} takes ({takes}); it is called with ({', '.join(parameters)})") from error


def _with_first_call_checked(where: str, kind: str, component: Any, args: tuple[Any, ...]) -> Any:
    """Returns the component, or what stands in for a function; see `first_call`."""
    if kind == "encoder":
        first_call.check_forward(component, returns.encoder(where, out_dim=args[1]))
    elif kind in ("loss", "relabel"):
        check = returns.loss(where) if kind == "loss" else returns.relabel(where)
        if isinstance(component, functools.partial):
            return first_call.CheckedFunction(where, component, check)
        name = "forward" if isinstance(component, nn.Module) else "__call__"
        first_call.check_method(where, type(component), name, check)
    else:
        for name, check in _METHOD_CHECKS.get(kind, {}).items():
            what = f"{where}: {name}"
            first_call.check_method(what, type(component), name, check(what, args))
    return component
