"""Tasks as Gymnasium environments, and Gymnasium's environments as tasks. May import `core` and `envs`."""
