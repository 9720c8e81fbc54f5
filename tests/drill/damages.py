"""What happens to a run folder before somebody reports on it: damage, nonsense, malice. Drawn from a seed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import yaml

from deepcrl.core.settings import flatten, updated

SECRET = "the secret that lies outside of the runs"
FILES = ("config.yaml", "metrics.jsonl", "environment.json")
OUT, SHOWN, EITHER = "left out", "shown", "either"
"""Of a run: whether it must be named in a line and left out, or be compared with the others."""
HTML = ["<img src=x onerror=alert(1)>", "</script><script>alert(1)</script>", "<!--<script>", "\"'><b>", "&lt;b&gt;"]
NAMES = [
    *HTML,
    *(
        "javascript:alert(1)",
        "it's",
        'say "x"',
        "two\nlines",
        "tab\there",
        "‮right to left",
        "\x1b[31mred",
        "..x",
        "...",
    ),
    *(
        " ",
        "-o",
        "~",
        "$(touch canary)",
        "`touch canary`",
        "%s%n",
        "$\\frac{$",
        "a" * 200,
        "ünï",
        "\udcff",
        "🤖",
        "@TITLE@",
        "\\",
        "a;b",
    ),
]
VALUES: list[Any] = [
    *("text", "", *HTML, "../../out", "/etc/passwd", "\x00", "‮", "a" * 5000, [], [1], {}, {"a": 1}, None, True),
    *(-1, 0, 3, 10**12, 10**400, -(10**400), 2**63, 1e308, -1e308, 1e-320, float("nan"), float("inf"), "\udcff"),
    {"name": "nobody's"},
    {"name": {"name": "x"}},
    [[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]],
]
RAW = [
    "1" + "0" * 400,
    "1" + "0" * 5000,
    "NaN",
    "-Infinity",
    "[" * 100_000,
    '{"a":' * 5000,
    '"\\ud800"',
    "1e999",
    "nul",
]
"""What may stand for a value in JSON beside the above."""
YAML = {
    "!!python/object/apply:os.system ['touch canary']": OUT,
    "!!python/name:os.system": OUT,
    "&a [*a]": OUT,
    "!!binary aGVsbG8=": EITHER,
    "!!set {a, b}": EITHER,
    "2001-12-14t21:59:43.10-05:00": EITHER,
    "2001-99-99": EITHER,
    "1" + "0" * 5000: OUT,
    "? [a]\n: b": OUT,
    "\t- x: [": OUT,
    "*nowhere": OUT,
    "0x" + "f" * 400: OUT,
    "1:30:30": EITHER,
}
BOMB = "\n".join(
    ["a0: &a0 [x, x]", *(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 18)), "env: {name: *a17}"]
)
"""YAML of a kilobyte that says 10**17 times x."""


Harm = Callable[[Random, Path, Path], str]
KINDS: dict[str, tuple[int, Harm]] = {}
"""By name: how often, and what does it to the run's folder (the second path lies outside); it returns the outcome."""


@dataclass(frozen=True, slots=True)
class Damage:
    kind: str
    seed: int

    def do(self, run: Path, outside: Path) -> str:
        return KINDS[self.kind][1](Random(self.seed), run, outside)


def kind(weight: int) -> Callable[[Harm], Harm]:
    def register(harm: Harm) -> Harm:
        KINDS[harm.__name__] = (weight, harm)
        return harm

    return register


def settings_of(run: Path) -> dict[str, Any]:
    return yaml.safe_load((run / "config.yaml").read_text())


def write_yaml(path: Path, values: Any) -> None:
    text = yaml.dump(values, allow_unicode=False)
    path.write_bytes(text.encode(errors="surrogatepass"))


@kind(6)
def a_setting(rng: Random, run: Path, outside: Path) -> str:
    settings = settings_of(run)
    key = rng.choice([*flatten(settings), *settings])
    write_yaml(run / "config.yaml", updated(settings, {key: rng.choice(VALUES)}))
    return EITHER


@kind(2)
def a_setting_in_yaml(rng: Random, run: Path, outside: Path) -> str:
    path, (value, outcome) = run / "config.yaml", rng.choice(list(YAML.items()))
    path.write_text(f"{path.read_text()}\nmore: {value}\n")
    return outcome if "\n" not in value else EITHER


@kind(3)
def the_config(rng: Random, run: Path, outside: Path) -> str:
    texts = [b"", b"7", b"[]", b"\x00" * 100, b"\xff\xfe" * 50, b"[" * 100_000, b"env: [", b"a: &a [*a]", BOMB.encode()]
    texts += [
        ("env: {name: x, deep: " + "[" * 50 + "]" * 50 + "}").encode(),
        b"- " * 20_000,
        b"{" * 5000,
        b"env: {name: x}\n" * 3,
    ]
    texts += [b"x: y\n" * 4_000_000, b"#" * 30_000_000, b'"' + b"a" * 20_000_000]
    text = rng.choice(texts)
    (run / "config.yaml").write_bytes(text)
    return EITHER if text.startswith(b"env: {name: x}") else OUT


@kind(5)
def a_value_in_the_metrics(rng: Random, run: Path, outside: Path) -> str:
    path = run / "metrics.jsonl"
    lines = path.read_text().splitlines()
    i = rng.randrange(len(lines))
    row = json.loads(lines[i])
    key = rng.choice(list(row))
    value = rng.choice([*RAW, *(json.dumps(v) for v in VALUES)])
    lines[i] = json.dumps(row | {key: "HERE"}).replace('"HERE"', value)
    path.write_bytes("\n".join(lines).encode(errors="surrogatepass"))
    return SHOWN


@kind(3)
def every_row(rng: Random, run: Path, outside: Path) -> str:
    path, rows = run / "metrics.jsonl", [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    key = rng.choice(
        ["env_steps", "grad_steps", "wall_seconds", "eval/time_at_goal", "critic/loss", "eval/success_any"]
    )
    value = rng.choice([0, 1e308, -1e308, 1e-320, 2**63, 10**300, None, "text", -5, [1]])
    rows = [row | {key: value} for row in rows]
    if rng.random() < 0.3:
        rows.reverse()
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return EITHER


@kind(2)
def a_metric_that_nobody_knows(rng: Random, run: Path, outside: Path) -> str:
    path, rows = run / "metrics.jsonl", [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    many = rng.choice([1, 1, 3000])
    name = rng.choice(
        [*NAMES, "blocks/x", "blocks/a/b/c/d", "blocks/critic/stream/99999999999", "eval/", "/", "x" * 9000]
    )
    rows = [row | {f"{name}{i or ''}": 1.5 for i in range(many)} for row in rows]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return SHOWN


@kind(3)
def the_metrics(rng: Random, run: Path, outside: Path) -> str:
    path = run / "metrics.jsonl"
    bad, text = (
        rng.choice([b"\x00" * 1000, b"\xff" * 1000, b"[" * 10_000, b"{}\n" * 5, b"", b"\n" * 3_000_000, b"null\n[]\n"]),
        path.read_bytes(),
    )
    if rng.random() < 0.5:
        path.write_bytes(bad)
        return OUT
    path.write_bytes(rng.choice([text + bad, text.replace(b"\n", b"\r\n"), text[:-20], bad + b"\n" + text]))
    return EITHER


@kind(3)
def the_environment(rng: Random, run: Path, outside: Path) -> str:
    path = run / "environment.json"
    known = json.loads(path.read_text())
    start = known["starts"][-1]
    start[rng.choice(list(start))] = rng.choice(VALUES)
    start["machine"] = rng.choice([start.get("machine"), {"cpu": rng.choice(HTML), "gpus": rng.choice(VALUES)}])
    texts = [json.dumps(known), json.dumps({"starts": rng.choice(VALUES)}), *RAW, "", "\x00", "[]"]
    path.write_bytes(rng.choice([texts[0], *texts]).encode(errors="surrogatepass"))
    return SHOWN


@kind(3)
def a_name(rng: Random, run: Path, outside: Path) -> str:
    settings, name = settings_of(run), rng.choice(NAMES)
    key = rng.choice(
        ["env.name", "agent.name", "loss.name", "encoder.name", "env.layout", "precision", "reset", "eval_env"]
    )
    write_yaml(run / "config.yaml", updated(settings, {key: {"name": name} if key == "eval_env" else name}))
    return EITHER


@kind(2)
def learners(rng: Random, run: Path, outside: Path) -> str:
    settings, name = settings_of(run), rng.choice([*NAMES, "deep", "eval", ""])
    change = rng.choice([{}, {"encoder": {"depth": 8}}, {"loss": {"name": "dcl"}}, *VALUES])
    write_yaml(
        run / "config.yaml", settings | {"learners": rng.choice([{name: change}, VALUES[rng.randrange(len(VALUES))]])}
    )
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    more = {f"{name}/eval/time_at_goal": 3.0, f"{name}/critic/loss": 1e308}
    (run / "metrics.jsonl").write_text("".join(json.dumps(row | more) + "\n" for row in rows))
    return EITHER


@kind(2)
def a_size(rng: Random, run: Path, outside: Path) -> str:
    name, key = rng.choice(
        [
            *(
                (name, key)
                for name in ("mlp", "residual_mlp", "simba", "gated", "bro", "recurrent")
                for key in ("depth", "width")
            ),
            *(("", key) for key in ("num_envs", "batch_size", "unroll_length", "episode_length", "num_eval_envs")),
            *(("", key) for key in ("buffer.capacity", "agent.num_critics", "agent.embedding_dim", "prefill_steps")),
        ]
    )
    settings = settings_of(run)
    if name:
        settings["encoder"] = {"name": name, "depth": 4, "width": 16}
    value = rng.choice([10**6, 10**9, 10**12, 2**62])
    write_yaml(run / "config.yaml", updated(settings, {f"encoder.{key}" if name else key: value}))
    return EITHER
