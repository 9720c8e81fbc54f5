"""How agents act: the policy, the names of its choices, and chunks of actions. May import only `core`."""
