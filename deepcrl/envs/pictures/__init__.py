"""Pictures of environments: renderer, frames, films, the live viewer. May import `core` and the rest of `envs`."""
