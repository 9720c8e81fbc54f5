"""`deepcrl train`: trains an agent, with Hydra's overrides, sweeps and completion."""

from __future__ import annotations

import os
import sys
from concurrent.futures.process import BrokenProcessPool

from deepcrl.cli.hydra import overrides, paths, sweep
from deepcrl.cli.hydra.errors import USER_ERRORS, UserError, user_errors
from deepcrl.cli.hydra.main import train
from deepcrl.cli.hydra.resume import saved_choices
from deepcrl.cli.hydra.schema import register_schema
from deepcrl.run.environment import COMMAND
from deepcrl.run.hints import command


def main(arguments: list[str]) -> None:
    """Runs Hydra on the arguments."""
    with user_errors():
        register_schema()
        os.environ[COMMAND] = command("train", *arguments)
        arguments = paths.quoted(arguments, sweep=overrides.is_sweep(arguments))
        overrides.check(arguments)
        overrides.warn_of_repeated(arguments)
        arguments = overrides.translate_ids(arguments)
    arguments = overrides.to_hydra_syntax(arguments)
    if overrides.is_sweep(arguments):
        extra = overrides.name_runs_by_swept_settings(arguments)
    else:
        extra = saved_choices(arguments)
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra would print errors itself; `one_line_errors` does it better
    completing = "-sc" in arguments or "--shell-completion" in arguments
    sys.argv = ["deepcrl" if completing else "deepcrl train", *overrides.flags_first([*extra, *arguments])]
    try:
        with sweep.told_of_the_queue(), sweep.removed_if_refused():
            train()
    except AssertionError as error:  # OmegaConf's answer to `actor_encoder.depth=8` while there is no actor_encoder
        if "Unexpected type" in str(error) and (message := overrides.setting_of_unchosen_group(arguments)):
            raise UserError(message) from error
        raise
    except (BrokenPipeError, *USER_ERRORS):  # see core/pipes.py; Hydra's word for an unknown name is an OSError, too
        raise
    except OSError as error:  # of Hydra's own files; what a run of a sweep raises stays in the run
        if overrides.is_sweep(arguments):
            raise UserError(
                f"Cannot write the sweep's files: {error.strerror or error}; the same command goes on"
            ) from error
        raise
    except BrokenProcessPool as error:  # joblib's, when a worker is killed
        raise UserError("a run's process was killed (out of memory?); the same command goes on") from error
    except RuntimeError as error:
        if type(error).__module__.startswith("submitit"):  # a job was not queued, or ended without a word
            raise UserError(f"a job of the sweep failed: {error}") from error
        raise
    except ValueError as error:
        if "No trials are completed" in str(error):  # Optuna has nothing to name the best of
            raise UserError("every run of the sweep failed; each has its error.txt") from error
        raise
