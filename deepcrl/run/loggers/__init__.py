"""Mirrors of a run's metrics, one a file: registered in `LOGGERS`, chosen by `logger=NAME`. May import `run`."""
