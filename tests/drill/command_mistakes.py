"""Command lines with a mistake, by kind: what is typed, and what must be said of it. Drawn from a seed."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from random import Random
from typing import Any

from deepcrl.cli import VERBS
from deepcrl.cli.bench import NAMES as BENCHES
from deepcrl.cli.hydra.compose import CONFIGS_DIR
from deepcrl.core.components import REGISTRIES
from deepcrl.training.config import RunConfig
from tests.cli.conftest import TINY
from tests.drill.slips import nearest, slip

QUICK = (*(word for word in TINY if not word.startswith("total_env_steps")), "total_env_steps=120")
GROUPS = [(group, registry) for registry in REGISTRIES.values() for group in registry.groups]
PLAIN = {f.name: f.type for f in dataclasses.fields(RunConfig) if f.type in ("int", "float", "bool", "str")}
INTS = [name for name, kind in PLAIN.items() if kind == "int"]
SAID_ELSEWHERE = ("resume", "run_dir")
"""Settings that are paths: any text is right."""


@dataclass(frozen=True, slots=True)
class Line:
    """A command line, and what it must come to in a folder that holds `run`, `file`, `folder` and `data.npz`."""

    kind: str
    words: tuple[str, ...]
    says: str
    """A pattern of the error's line behind `deepcrl: `; empty if nothing is wrong."""
    makes: tuple[str, ...] = ()
    """What a right line leaves."""


Kind = Callable[[Random], tuple[Iterable[str], str]]
KINDS: dict[str, tuple[int, Kind]] = {}
"""By name: how often, and what draws one, as words and what is said."""


def kind(weight: int) -> Callable[[Kind], Kind]:
    def register(draw: Kind) -> Kind:
        KINDS[draw.__name__] = (weight, draw)
        return draw

    return register


def q(text: object) -> str:
    return re.escape(str(text))


def train(rng: Random, *words: str, sweep: bool | None = None) -> list[str]:
    """Returns a line that trains, with the words among settings that are right; now and then a sweep."""
    keys = {word.lstrip("+~").partition("=")[0] for word in words}
    groups = {key for key in keys if "." not in key}
    base = [w for w in QUICK if w.partition("=")[0] not in keys and w.partition(".")[0] not in groups - {"env"}]
    extra = ["-m", rng.choice(["hydra.sweep.dir=s", "hydra.sweep.dir=a/b"])]
    sweep = rng.random() < 0.15 if sweep is None else sweep
    if rng.random() < 0.3 and not keys & {"seed", "resume"}:
        extra.append("seed=3,4" if sweep else "seed=7")
    mixed = [*base, *(extra if sweep else [e for e in extra if e.startswith("seed")]), *words]
    if not sweep and "run_dir" not in keys:
        mixed.append("run_dir=new")
    rng.shuffle(mixed)
    return ["train", *mixed]


def scored(rng: Random, *words: str) -> list[str]:
    """Returns a line that scores or films the run, with the words."""
    return [rng.choice(["eval", "play"]), "run", *words]


def hint(wrong: str, right: str) -> str:
    return rf"'{q(wrong)}'\. Did you mean '{q(right)}'\?"


@kind(3)
def setting_misspelt(rng: Random) -> tuple[Iterable[str], str]:
    key = rng.choice([name for name in PLAIN if len(name) > 4])
    wrong, value = slip(rng, key, PLAIN), rng.choice(["3", "abc", "true", "1e-3", "[1,2]", "'a b'"])
    return train(
        rng, f"{rng.choice(['', '', '+', '++'])}{wrong}={value}"
    ), f"Unknown setting {hint(wrong, key)} Known: "


@kind(3)
def hyperparameter_misspelt(rng: Random) -> tuple[Iterable[str], str]:
    group, name, key, _ = hyperparameter(rng, lambda key, _: len(key) > 3)
    known = dict(GROUPS)[group].defaults(name)
    wrong = slip(rng, key, known)
    said = rf"Unknown setting of {group}={name}: {hint(wrong, key)}"
    return train(rng, f"{group}={name}", f"{group}.{wrong}={rng.choice(['3', 'x', 'null'])}"), said


@kind(1)
def setting_of_an_evaluation_misspelt(rng: Random) -> tuple[Iterable[str], str]:
    known = ("episode_length", "num_eval_envs", "num_threads", "physics", "device", "agent", "kernels")
    key = rng.choice(known)
    wrong = slip(rng, key, known)
    return scored(rng, f"{wrong}=3"), f"Unknown setting of an evaluation {hint(wrong, key)}"


@kind(4)
def name_misspelt(rng: Random) -> tuple[Iterable[str], str]:
    files = {folder: [path.stem for path in (CONFIGS_DIR / folder).iterdir()] for folder in ("experiment", "sweep")}
    group, names = rng.choice([*((g, list(r)) for g, r in GROUPS), *files.items()])
    name = rng.choice([name for name in names if len(name) > 3])
    wrong = slip(rng, name, names)
    line = scored(rng, f"env={wrong}") if group == "env" and rng.random() < 0.3 else None
    near = nearest(wrong, names)
    sweep = True if group == "sweep" else None
    said = f"Unknown {group} '{q(wrong)}'. Did you mean '{near}'"
    if "_gen_" in wrong:  # an id of the paper's code, whose end is a setting here
        said += f"|Unknown {group} '{q(wrong.partition('_gen_')[0])}'. Did you mean '"
    return line or train(rng, f"{group}={wrong}", sweep=sweep), said


CHOICES: dict[str, tuple[Iterable[str], str]] = {
    "precision": (("auto", "bf16", "fp32", "tf32"), "precision"),
    "reset": (("resample", "fixed"), "reset policy"),
    "kernels": (("eager", "triton"), "kernels"),
    "physics": (("mujoco", "mujoco_warp"), "physics"),
    "agent.evaluation": (("deterministic", "sample", "best_of"), "action choice"),
    "agent.exploration": (("deterministic", "sample", "best_of"), "action choice"),
    "encoder.activation": (("swish", "relu"), "activation of a residual trunk"),
    "env.layout": (("u_maze", "big_maze", "hardest_maze"), "layout"),
}


@kind(3)
def choice_misspelt(rng: Random) -> tuple[Iterable[str], str]:
    key, (names, what) = rng.choice(list(CHOICES.items()))
    name = rng.choice(list(names))
    wrong = slip(rng, name, [*names, "u2_maze", "u3_maze", "u4_maze", "maze"])
    value = rng.choice([wrong, f"'{wrong}'", f'"{wrong}"'])
    if key.startswith("agent") and rng.random() < 0.5:
        return scored(rng, f"{key}={value}"), f"Unknown {what} '{q(wrong)}'"
    return train(rng, f"{key}={value}", sweep=False), f"Unknown {what} '{q(wrong)}'. .*Known: .*{q(name)}"


@kind(4)
def wrong_type(rng: Random) -> tuple[Iterable[str], str]:
    wrong = {
        "int": ["abc", "1.5", "1e3", "true", "[1,2]", "{a:1}", "null", "'3 4'", "3x", "ünï", "''", "-", "0x10", "inf"],
        "float": ["abc", "[1.0]", "{a:1}", "'1 2'", "1..2", "ünï", "''", "1,000.0.0", "true"],
        "bool": ["maybe", "2.5", "[true]", "{a:true}", "''", "tru", "ja"],
    }
    if rng.random() < 0.5:
        key = rng.choice([name for name, kind in PLAIN.items() if kind in wrong])
        words, kind_of = [], PLAIN[key]
    else:
        group, name, leaf, kind_of = hyperparameter(rng, lambda _, kind: kind in wrong)
        key, words = f"{group}.{leaf}", [f"{group}={name}"]
    value = rng.choice([v for v in wrong[kind_of] if not ("," in v and "[" not in v)])
    if (kind_of, value) == ("float", "true"):
        value = "false'"
    return train(rng, *words, f"{key}={value}"), rf"({q(key)}: .+|Cannot read the override .{q(key)}={q(value[:1])})"


@kind(1)
def wrong_type_in_an_evaluation(rng: Random) -> tuple[Iterable[str], str]:
    key = rng.choice(["seed", "episode_length", "num_eval_envs", "num_threads", "agent.num_candidates"])
    value = rng.choice(["abc", "1.5", "[1]", "null", "''", "nan", "ünï"])
    return scored(rng, f"{key}={value}"), rf"({q(key)}: .+|Cannot read the override .{q(key)}={q(value)})"


def hyperparameter(rng: Random, suits: Callable[[str, str], bool]) -> tuple[str, str, str, str]:
    """Returns group, component, key and type of one that suits."""
    kinds = [(g, r) for g, r in GROUPS]
    while True:
        group, registry = rng.choice(kinds)
        name = rng.choice(list(registry))
        kinds_of: dict[str, Any] = registry.schema(name).__annotations__
        keys = [key for key, kind in kinds_of.items() if key != "name" and suits(key, getattr(kind, "__name__", ""))]
        if keys:
            key = rng.choice(keys)
            return group, name, key, getattr(kinds_of[key], "__name__", "")


@kind(3)
def count_too_small(rng: Random) -> tuple[Iterable[str], str]:
    key = rng.choice([key for key in INTS if key not in ("lr_warmup_steps", "num_threads", "seed", "total_grad_steps")])
    value = rng.choice(["0", "-1", "-7", "-1000000000000", "+0"])
    return train(rng, f"{key}={value}", sweep=False), rf"{key} must be at least [12], got {int(value)}"


@kind(1)
def negative(rng: Random) -> tuple[Iterable[str], str]:
    key, value = rng.choice(["lr_warmup_steps", "num_threads", "seed"]), rng.choice(["-1", "-7", "-1000000000000"])
    return train(rng, f"{key}={value}", sweep=False), f"{key} must be at least 0, got {value}"


@kind(2)
def not_finite(rng: Random) -> tuple[Iterable[str], str]:
    group, name, key, _ = hyperparameter(rng, lambda _, kind: kind == "float")
    group = {"sa_encoder": "encoder", "goal_encoder": "encoder"}.get(group, group)
    value = rng.choice(["nan", "inf", "-inf", "1e400", "-1e999"])
    shown = "nan" if value == "nan" else f"{'-' * value.startswith('-')}inf"
    said = rf"({group}\.{key} must be a finite number, got {shown}|\S+ has no effect: )"
    return train(rng, f"{group}={name}", f"{group}.{key}={value}", sweep=False), said


NAMED_BY_OTHERS = {"depth": "encoder.depth", "width": "encoder.width"}


@kind(3)
def size_of_a_part(rng: Random) -> tuple[Iterable[str], str]:
    group, name, key = rng.choice(
        [
            ("encoder", n, k)
            for n in REGISTRIES["encoders"]
            for k in ("depth", "width", "expansion", "block_layers", "num_streams")
            if k in REGISTRIES["encoders"].defaults(n)
        ]
        + [("agent", "crl", k) for k in ("embedding_dim", "num_critics", "num_candidates")]
        + [("buffer", "ring", "capacity"), ("buffer", "disk_ring", "capacity"), ("relabel", "next_k", "k")]
        + [("energy", "iqe", "component_dim"), ("agent", "td3", "policy_delay")]
    )
    value = rng.choice(["0", "-1", "-64"])
    words = [f"{group}={name}"] if rng.random() < 0.7 or (group, name) not in TINY_PARTS else []
    return train(rng, *words, f"{group}.{key}={value}", sweep=False), rf".*\b{key}\b.*{q(value)}"


TINY_PARTS = {("encoder", "residual_mlp"), ("agent", "crl"), ("buffer", "ring")}


@kind(3)
def more_than_any_machine(rng: Random) -> tuple[Iterable[str], str]:
    key = rng.choice(
        [
            *("num_envs", "num_eval_envs", "batch_size", "episode_length", "unroll_length", "num_threads"),
            *("prefill_steps", "encoder.width", "encoder.depth", "agent.embedding_dim", "agent.num_critics"),
            "agent.num_candidates",
        ]
    )
    value = rng.choice([10**12, 2**63 - 8, 2**63, 10**30, 10**400]) // 8 * 8
    beside = ["agent.evaluation=best_of"] if key == "agent.num_candidates" else []
    if key.startswith("encoder."):
        beside = [f"encoder={rng.choice(list(REGISTRIES['encoders']))}"]
    said = rf"({q(key)} .*{str(value)[:12]}|{q(key)}={str(value)[:12]}|Not enough memory: .*{q(key.rpartition('.')[2])}"
    said += "|Not enough memory: .* activations" if beside == ["agent.evaluation=best_of"] else ""
    said += r"|total_env_steps=120 ends before the first gradient step)"
    return train(rng, f"{key}={value}", *beside, sweep=False), said


@kind(1)
def thousands_of_digits(rng: Random) -> tuple[Iterable[str], str]:
    value = rng.choice(["9", "-9", "1.9", "9e"]) + "9" * rng.choice([1000, 4299, 5000])
    key = rng.choice([*INTS, "gradient_clip", "encoder.depth", "loss.logsumexp_coef", "agent.actor_lr"])
    line = scored(rng, f"seed={value}") if key == "seed" and rng.random() < 0.5 else train(rng, f"{key}={value}")
    return line, rf"{q(key)}={q(value[:20])}\.\.\. is a number of [\d,]+ digits, far too large"


@kind(2)
def verb_misspelt(rng: Random) -> tuple[Iterable[str], str]:
    what, words, names = rng.choice(
        [
            ("verb", [], list(VERBS)),
            ("kind", ["list"], list(REGISTRIES)),
            ("benchmark", ["bench"], list(BENCHES)),
        ]
    )
    name = rng.choice(names)
    wrong = slip(rng, name, [*names, "help"])
    rest = rng.choice([[], ["seed=3"], ["-m"], ["--help"]])
    if what == "kind":
        rest = rng.choice([[], ["losses"], ["envs"]])
    return [*words, wrong, *rest], rf"Unknown {what} '{q(wrong)}'\. Did you mean '{nearest(wrong, names)}'\? Known: "
