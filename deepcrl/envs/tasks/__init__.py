"""Tasks, one family per file. May import `core` and `envs`: `physics`, `robots`, `scenes` and `task`."""
