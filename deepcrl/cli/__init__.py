"""The command line: `deepcrl VERB ...`. One file per verb."""

from __future__ import annotations

import importlib
import sys

VERBS = {
    "train": "train an agent, sweep over settings (-m), or go on with a run (resume=RUN_DIR)",
    "eval": "score a trained policy, also in another environment",
    "play": "film a trained policy, or random actions (env=NAME policy=random), or watch live",
    "report": "compare runs on one page: curves, scores, intervals, costs, films",
    "export": "write what a run has collected as a dataset for offline training",
    "list": "show every component: envs, encoders, energies, losses, buffers, relabels, agents, loggers",
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
    arguments = sys.argv[1:]
    # Before anything heavy is imported: these answer at once
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(USAGE)
        return
    if arguments[0] == "--version":
        from deepcrl import __version__

        print(__version__)
        return
    if arguments[0] in ("-sc", "--shell-completion"):
        from deepcrl.cli.hydra.completion import complete

        answered_by_train = complete(arguments, VERBS)
        if answered_by_train is None:
            return
        arguments = ["train", *answered_by_train]
    _run(*arguments)


def _run(verb: str, *arguments: str) -> None:
    from deepcrl.core.checks import suggest

    if verb not in VERBS:
        print(f"deepcrl: {suggest('verb', verb, VERBS)}", file=sys.stderr)
        raise SystemExit(2)
    from deepcrl.cli.hydra.errors import one_line_errors

    with one_line_errors():
        importlib.import_module(f"deepcrl.cli.{verb}").main([*arguments])
