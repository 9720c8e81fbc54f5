"""The command line, `deepcrl VERB ...`: one file per verb; `hydra/` speaks Hydra's language. May import every room."""

from __future__ import annotations

import importlib
import signal
import sys

from deepcrl.cli import supervisor
from deepcrl.core.pipes import quiet_without_reader

VERBS = {
    "train": "train an agent, sweep over settings (-m), or go on with a run (resume=RUN_DIR)",
    "eval": "score a trained policy, also in another environment",
    "play": "film a trained policy, or random actions (env=NAME policy=random), or watch live",
    "report": "compare runs on one page: curves, scores, intervals, costs, films",
    "export": "write what a run has collected as a dataset for offline training",
    "collect": "let a scripted policy act, and write what it does as a dataset",
    "list": "show every component: envs, encoders, energies, losses, buffers, relabels, agents, loggers",
    "bench": "measure speed on this machine",
    "doctor": "print what a bug report needs, and what is missing here",
}
USAGE = "\n".join(
    [
        "deepcrl: deep contrastive reinforcement learning in PyTorch",
        "",
        "usage: deepcrl VERB [ARGUMENTS]    (deepcrl VERB --help for each)",
        "",
        *(f"  {verb:<9}{text}" for verb, text in VERBS.items()),
        "",
        "first run:  deepcrl train experiment=first_light",
    ]
)


def main() -> None:
    """Runs `deepcrl VERB ...`; an error of the user's is one line and exit status 2."""
    try:
        with quiet_without_reader():
            _main(sys.argv[1:])
    except KeyboardInterrupt:  # while importing, too
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # what is left to do is to end
        print("deepcrl: stopped at once, without saving", file=sys.stderr)
        raise SystemExit(128 + signal.SIGINT) from None
    except SystemExit as exited:
        if exited.code in (128 + number for number in supervisor.SIGNALS):  # a run that is saved has only to end
            for number in supervisor.SIGNALS:
                signal.signal(number, signal.SIG_IGN)
        raise


def _main(arguments: list[str]) -> None:
    # These need no torch, so they answer at once
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(USAGE)
        return
    if arguments[0] == "--version":
        from deepcrl.version import __version__

        print(__version__)
        return
    if arguments[0] in ("-sc", "--shell-completion"):
        from deepcrl.cli.hydra.completion import complete

        train_arguments = complete(arguments, VERBS)
        if train_arguments is None:
            return
        arguments = ["train", *train_arguments]
    _run(*arguments)


def _run(verb: str, *arguments: str) -> None:
    from deepcrl.core.checks import suggest

    if verb not in VERBS:
        print(f"deepcrl: {suggest('verb', verb, VERBS)}", file=sys.stderr)
        raise SystemExit(2)
    if supervisor.is_parallel(verb, [*arguments]):
        supervisor.supervise([sys.executable, "-P", "-m", "deepcrl", verb, *arguments])
    from deepcrl.cli.hydra.errors import one_line_errors

    with one_line_errors():
        importlib.import_module(f"deepcrl.cli.{verb}").main([*arguments])
