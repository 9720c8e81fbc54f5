"""All that speaks Hydra's language: schema, composition, overrides, errors, sweeps. May import every room."""
