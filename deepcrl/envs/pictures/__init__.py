"""Pictures, films and the live viewer of environments. May import `core` and `envs`."""
