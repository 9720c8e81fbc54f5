"""Shell completion: `deepcrl -sc install=bash` prints the script, which asks `deepcrl -sc query=bash` at each Tab."""

from __future__ import annotations

import os
from collections.abc import Iterable


def complete(arguments: list[str], verbs: Iterable[str]) -> list[str] | None:
    """Returns the arguments of `deepcrl train` that answer, or None if that is done already.

    Hydra completes what `train` takes, and thinks that the program has no verbs.
    """
    line = os.environ.get("COMP_LINE", "")
    words = line.split()
    if any(argument.startswith("query=") for argument in arguments):
        in_verb = len(words) < 2 or (len(words) == 2 and not line.endswith(" "))
        if in_verb:
            print(" ".join(verb for verb in verbs if verb.startswith("".join(words[1:]))))
        if in_verb or words[1] != "train":
            return None
        os.environ["COMP_LINE"] = line.replace(" train", "", 1)
    return arguments
