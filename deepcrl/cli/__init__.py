"""The command line: `deepcrl VERB ...`. One file per verb."""

from __future__ import annotations

import importlib
import os
import sys

VERBS = {
    "train": "train an agent, sweep over settings (-m), or go on with a run (resume=RUN_DIR)",
    "eval": "score a trained policy, also in another environment",
    "play": "film a trained policy, or watch it live",
    "list": "show every component: envs, encoders, energies, losses, buffers, agents, loggers",
    "bench": "measure speed on this machine",
}
USAGE = "\n".join(
    [
        "deepcrl: deep contrastive reinforcement learning in PyTorch",
        "",
        "usage: deepcrl VERB [ARGUMENTS]    (deepcrl VERB --help for each)",
        "",
        *(f"  {verb:<7}{text}" for verb, text in VERBS.items()),
        "",
        "first run:  deepcrl train experiment=first_light",
    ]
)


def main() -> None:
    """Runs `deepcrl VERB ...`; a mistake of the user's ends in one line and exit status 2."""
    from deepcrl.cli.errors import fail, one_line_errors
    from deepcrl.core.registry import suggest

    arguments = sys.argv[1:]
    if arguments and arguments[0] in ("-sc", "--shell-completion"):
        # Hydra's completion script calls the program without the verb, which is the only one that it completes.
        os.environ["COMP_LINE"] = os.environ.get("COMP_LINE", "").replace("deepcrl train", "deepcrl", 1)
        arguments = ["train", *arguments]
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(USAGE)
        return
    if arguments[0] == "--version":
        from deepcrl import __version__

        print(__version__)
        return
    verb, *rest = arguments
    if verb not in VERBS:
        fail(suggest("verb", verb, VERBS))
    with one_line_errors():
        importlib.import_module(f"deepcrl.cli.{verb}").main(rest)
