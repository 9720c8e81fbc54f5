"""Shell completion: `deepcrl -sc install=bash` prints the script, which asks `deepcrl -sc query=bash` at each Tab."""

from __future__ import annotations

import os
from collections.abc import Iterable


def complete(arguments: list[str], verbs: Iterable[str]) -> list[str] | None:
    """Completes the verb by printing it and returns None, or returns the arguments with which `train` completes.

    Hydra completes the overrides of `train`. It knows no verbs, so the verb is taken out of the line that it reads.
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
