"""Every `deepcrl train` in docs/ and results/ is a command that this version takes: what it sets exists, and is sound.

`test_readme.py` and `test_pages.py` run what can be run in moments, marked as `sh`; this composes the rest, which is
too long to run or needs a dataset.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from deepcrl.cli.hydra.compose import compose_values
from deepcrl.cli.hydra.overrides import check_used, translate_ids
from deepcrl.training.validate import validated

ROOT = Path(__file__).parents[1]
PAGES = [*sorted((ROOT / "docs").glob("*.md")), ROOT / "results" / "README.md"]
NOT_COMMANDS = ("NAME", "...", "--help", "resume=", "my_")
"""Of what is a pattern, shows help, goes on with a run, or needs a plugin that its page brings."""


def trainings(text: str) -> list[list[str]]:
    """Returns the arguments of every `deepcrl train` in a line of text, or in a code block not marked to be run."""
    fence = re.compile(r"^```(\w*)\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
    fenced = [code for language, code in fence.findall(text) if not language]
    inline = re.findall(r"`(deepcrl train [^`]+)`", fence.sub("", text))
    lines = [line for block in fenced for line in block.splitlines()] + [" ".join(line.split()) for line in inline]
    commands = [shlex.split(line, comments=True) for line in lines if line.startswith("deepcrl train ")]
    return [words[2:] for words in commands if not any(mark in word for word in words for mark in NOT_COMMANDS)]


def runs_of(arguments: list[str]) -> list[list[str]]:
    """Returns the arguments of the first run, and of a sweep the last one, too."""
    if "-m" not in arguments:
        return [arguments]
    words = [word for word in arguments if word != "-m" and not word.startswith("hydra")]
    one = [word for word in words if "glob(" not in word and "interval(" not in word]
    return [[_value(word, end) for word in one] for end in (0, -1)]


def _value(word: str, end: int) -> str:
    """Chooses one of a swept setting's values; lists and mappings are values themselves."""
    key, _, value = word.partition("=")
    return word if value[:1] in ("[", "{") else f"{key}={value.split(',')[end]}"


CASES = [(page, words) for page in PAGES for words in trainings(page.read_text())]


@pytest.mark.parametrize(("page", "arguments"), CASES, ids=[f"{page.stem}-{' '.join(w)}" for page, w in CASES])
def test_a_documented_command_composes(page: Path, arguments: list[str]) -> None:
    for words in runs_of(arguments):
        values = compose_values(translate_ids(words))
        check_used(values["agent"]["name"], words)
        validated(values)


def test_commands_are_found_wherever_they_stand() -> None:
    blocks = "```\ndeepcrl train -m c=1,2 d=[1,2]  # no\n```\n```sh\ndeepcrl train x=1\n```\n"
    text = "`deepcrl train a=1\nb=2` and `deepcrl train agent=NAME`\n" + blocks
    assert trainings(text) == [["-m", "c=1,2", "d=[1,2]"], ["a=1", "b=2"]]
    assert runs_of(["-m", "c=1,2", "d=[1,2]"]) == [["c=1", "d=[1,2]"], ["c=2", "d=[1,2]"]]
    assert len(CASES) > 10
