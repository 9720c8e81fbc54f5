"""Faulty plugins, written from a seed: each is answered in one line that names it, and shows no frame but its own.

python -m tests.drill.faulty_plugins --seed 0 --num 70
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import io
import itertools
import random
import re
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from deepcrl.cli.hydra.errors import one_line_errors, user_errors
from deepcrl.core.components import REGISTRIES, discover
from deepcrl.training.build import build_run, env_spec
from deepcrl.training.config import RunConfig
from deepcrl.training.interrupt import Interrupt
from deepcrl.training.loop import collect, learn
from deepcrl.training.sizing.counts import agent_sizes
from tests.tiny import tiny_config

GROUPS = {"loss": "losses", "energy": "energies", "encoder": "encoders", "relabel": "relabels", "agent": "agents"}

HEAD = """
import numpy as np
import torch
from torch import nn

from deepcrl.core.agents.crl import CRL
from deepcrl.core.components import AGENTS, ENCODERS, ENERGIES, LOSSES, RELABELS
from deepcrl.core.energies import Norm


def helper(x):
    return {bug}

"""
LOSS = """
@LOSSES.register("{name}")
def {name}(logits):
    {body}
"""
LOSS_CLASS = """
@LOSSES.register("{name}")
class Loss:
    def __call__(self, logits):
        {body}
"""
LOSS_MODULE = """
@LOSSES.register("{name}")
class Loss(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, logits):
        {body}
"""
ENERGY = """
@ENERGIES.register("{name}")
class Energy(Norm):
    def {method}(self, sa, g):
        {body}
"""
ENCODER = """
@ENCODERS.register("{name}")
class Encoder(nn.Module):
    def __init__(self, in_dim, out_dim, generator, *, width: int = 16):
        super().__init__()
        self.net = nn.Linear(in_dim, out_dim)

    def forward(self, x):
        {body}
"""
RELABEL = """
@RELABELS.register("{name}")
def {name}(steps_left, generator):
    {body}
"""
RELABEL_CLASS = """
@RELABELS.register("{name}")
class Relabel:
    def __call__(self, steps_left, generator):
        {body}
"""
AGENT = """
@AGENTS.register("{name}")
class Agent(CRL):
    calls = 0

    def __init__(self, inputs):
        super().__init__(inputs, embedding_dim=8)

    def {method}:
        Agent.calls += 1
        {body}
"""
BUGS = {
    "x.nonsense": r"AttributeError: '(Fake)?Tensor' object has no attribute 'nonsense'",
    "{}['key']": r"KeyError: 'key'",
    "[][3]": r"IndexError: list index out of range",
    "1 / 0": r"ZeroDivisionError: division by zero",
    "x @ torch.zeros(3, 7, 5)": r"RuntimeError: .+",
    "nn.Linear(999, 1)(x)": r"RuntimeError: mat1 and mat2 shapes cannot be multiplied",
    "helper(x)": r"RecursionError: maximum recursion depth exceeded",
    "undefined": r"NameError: name 'undefined' is not defined",
    "int('x')": r"ValueError: invalid literal",
    "open('/nowhere/at/all')": r"FileNotFoundError: .+/nowhere/at/all",
    "(_ for _ in ()).throw(AssertionError)": r"AssertionError",
    "(_ for _ in ()).throw(TypeError('two\\nlines'))": r"TypeError: two lines",
}
SCALAR = "logits.diagonal().mean()"
A = "act(self, observation, *, explore)"
U = "update(self, batch)"
WRONG = [
    ("loss", "return logits.diagonal()", r"returned a tensor of shape \[16\], not \[\], a scalar"),
    ("loss", "return logits", r"returned a tensor of shape \[16, 16\], not \[\]"),
    ("loss", f"return {SCALAR}[None]", r"returned a tensor of shape \[1\], not \[\]"),
    ("loss", "return 3", r"returned the int 3, not a tensor"),
    ("loss", f"return {SCALAR}.item()", r"returned the float -[\d.]+, not a tensor"),
    ("loss", f"return {SCALAR}.detach()", "returned a tensor without a gradient: it was detached"),
    ("loss", "return torch.tensor(1.0)", "returned a tensor without a gradient"),
    ("loss", f"return {SCALAR}.long()", r"returned torch.int64, not torch.float32"),
    ("loss", f"return {SCALAR}, {{}}", r"returned a tuple, not a tensor"),
    ("loss", "pass", r"returned None, not a tensor"),
    ("loss", f"logits += 1; return {SCALAR}", r"changed in place what it was given"),
    ("paired", "return -(sa - g).square()", r": paired returned a tensor of shape \[16, 8\], not \[16\]"),
    ("paired", "return super().pairwise(sa, g)", r": paired returned a tensor of shape \[16, 16\], not \[16\]"),
    ("paired", "return None", r": paired returned None, not a tensor of shape \[16\]"),
    ("paired", "return super().paired(sa, g).detach()", r": paired returned a tensor without a gradient"),
    ("pairwise", "return super().paired(sa, g)", r": pairwise returned a tensor of shape \[16\], not \[16, 16\]"),
    ("pairwise", "return super().pairwise(sa, g)[:, :, None]", r": pairwise returned a tensor of shape \[16, 16, 1\]"),
    ("pairwise", "return 1", r": pairwise returned the int 1, not a tensor"),
    ("pairwise", "return super().pairwise(sa, g).int()", r": pairwise returned torch.int32, not torch.float32"),
    (
        "pairwise",
        "return super().pairwise(sa.detach(), g.detach())",
        r": pairwise returned a tensor without a gradient",
    ),
    ("pairwise", "with torch.no_grad(): sa.zero_()", r": pairwise changed in place what it was given"),
    ("encoder", "return self.net(x).sum(dim=1)", r"returned a tensor of shape \[\d+\], not \[\d+, \d+\], a vector"),
    ("encoder", "return self.net(x), x", r"returned a tuple, not a tensor"),
    ("encoder", "pass", r"returned None, not a tensor"),
    ("encoder", "return self.net(x).detach()", r"returned a tensor without a gradient"),
    ("relabel", "return steps_left * 0", r"returned the offset 0 where \d+ steps are left, not one of 1..\d+"),
    ("relabel", "return steps_left + 1", r"returned the offset \d+ where \d+ steps are left"),
    ("relabel", "return steps_left.float()", r"returned torch.float32, not torch.int64"),
    ("relabel", "return steps_left > 0", r"returned torch.bool, not torch.int64"),
    ("relabel", "return steps_left[:3]", r"returned a tensor of shape \[3\], not \[16\]"),
    ("relabel", "return 1", r"returned the int 1, not a tensor"),
    ("relabel", "pass", r"returned None, not a tensor"),
    ("relabel", "return steps_left.clamp_(max=1)", r"changed in place what it was given"),
    (A, "return observation.state", r": act returned a tensor of shape \[\d+, 4\], not \[\d+, 2\], an action"),
    (A, "return None", r": act returned None, not a tensor of shape"),
    (A, "return super().act(observation, explore=explore).long()", r": act returned torch.int64, not torch.float32"),
    (
        "act(self, observation)",
        "return 0",
        r": act takes \(observation\); it is called with \(observation, \*, explore\)",
    ),
    (U, "super().update(batch)", r": update returned None, not a dict of metrics"),
    (U, "return {'x': 1.0}", r": update: metric 'x' is the float 1.0, not a tensor of shape \[\]"),
    (U, "return {'x': torch.zeros(3)}", r": update: metric 'x' is a tensor of shape \[3\], not \[\]"),
    (U, "return {1: torch.zeros(())}", r": update returned a metric called 1, which is no text"),
    (U, "return {'x': torch.zeros((), requires_grad=True)}", r": update: metric 'x' keeps its gradient; detach it"),
    (
        U,
        "return {f'x{Agent.calls}': torch.zeros(())}",
        r": update returned other metrics than at the step before: x\d+, ",
    ),
    ("update(self)", "return {}", r": update takes \(\); it is called with \(batch\)"),
]
"""Kind, method of an energy, or signature of an agent's method; what its body is; what is said of it."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A plugin, and what must be said of it after kind, name and file."""

    kind: str
    source: str
    message: str
    frames: bool
    """Whether frames of its own follow."""


def faults(seed: int, num: int) -> list[Fault]:
    """Returns `num` faulty plugins: every wrong answer above in turn, and bugs of all kinds in between."""
    rng = random.Random(seed)
    wrong, made = itertools.cycle(rng.sample(WRONG, len(WRONG))), []
    while len(made) < num:
        name = f"faulty_{len(made)}"
        if len(made) % 3 < 2:
            what, body, message = next(wrong)
            made.append(fault_of(rng, name, what, body, message, "None"))
        else:
            bug, message = rng.choice(list(BUGS.items()))
            what = rng.choice(["loss", "paired", "pairwise", "encoder", "relabel", A, U])
            argument = {
                "loss": "logits",
                "encoder": "x",
                "relabel": "steps_left",
                A: "observation.state",
                U: "batch.state",
            }
            body = f"return helper({argument.get(what, 'sa')})"
            made.append(fault_of(rng, name, what, body, f": {message}", bug))
    return made


def fault_of(rng: random.Random, name: str, what: str, body: str, message: str, bug: str) -> Fault:
    """Returns a plugin whose component, or method `what`, has the `body`; its helper has the `bug`, unless `None`."""
    kind = what if what in GROUPS else "energy" if what in ("paired", "pairwise") else "agent"
    templates = {"loss": [LOSS, LOSS_CLASS, LOSS_MODULE], "relabel": [RELABEL, RELABEL_CLASS]}
    templates |= {"energy": [ENERGY], "encoder": [ENCODER], "agent": [AGENT]}
    source = HEAD.format(bug=bug) + rng.choice(templates[kind]).format(name=name, method=what, body=body)
    return Fault(kind, source, message, frames=bug != "None")


def answer(fault: Fault, name: str, folder: Path) -> tuple[str, Path]:
    """Imports the plugin, trains with it as `deepcrl train` does, and forgets it; returns what went to stderr."""
    file = folder / f"{name}.py"
    file.write_text(fault.source)
    err = io.StringIO()
    with _registered(file), contextlib.redirect_stderr(err), contextlib.suppress(SystemExit), one_line_errors():
        changes: dict[str, Any] = {fault.kind: REGISTRIES[GROUPS[fault.kind]].defaults(name)}
        train(tiny_config(**changes))
    return err.getvalue(), file


def train(config: RunConfig) -> None:
    """Sizes up a run, builds it, and takes its first gradient steps."""
    with user_errors():
        agent_sizes(config, env_spec(config), torch.device("cpu"))
        run = build_run(config)
    run.evaluate(Interrupt())
    while run.progress.grad_steps < 2:
        collect(run, Interrupt())
        learn(run, Interrupt())


@contextlib.contextmanager
def _registered(file: Path) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for registry in REGISTRIES.values():
            for books in (registry._items, registry._schemas, registry.choices):
                stack.enter_context(patch.dict(books))
        stack.enter_context(patch.dict(sys.modules))
        spec = importlib.util.spec_from_file_location(file.stem, file)
        assert spec
        assert spec.loader
        sys.modules[file.stem] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        yield


def complaint(fault: Fault, name: str, err: str, file: Path) -> str:
    """Returns what is wrong with an answer, "" if nothing is."""
    first, *rest = err.splitlines() or [""]
    expected = rf"deepcrl: {fault.kind} '{name}' in {re.escape(str(file))}:? ?{fault.message.removeprefix(': ')}"
    if not re.match(expected, first):
        return f"expected {expected}"
    shown = re.findall(r'^  File "(.+?)"', err, re.MULTILINE)
    if bool(shown) != fault.frames or bool(rest) != fault.frames:
        return f"{len(shown)} frames shown"
    return "".join(f"a frame of {path}" for path in shown if path != str(file))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--num", type=int, default=70)
    arguments = parser.parse_args()
    discover()
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for i, fault in enumerate(faults(arguments.seed, arguments.num)):
            err, file = answer(fault, f"faulty_{i}", Path(folder))
            if what := complaint(fault, f"faulty_{i}", err, file):
                failed += 1
                print(f"{what}\n--- got\n{err}--- for\n{fault.source}", flush=True)
    print(f"{arguments.num - failed} of {arguments.num} faulty plugins were answered in one line")
    return int(failed > 0)


if __name__ == "__main__":
    raise SystemExit(main())
