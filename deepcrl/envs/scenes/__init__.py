"""What surrounds a robot: floor, mazes, places for starts and goals, labels. May import `core` and `envs`."""
