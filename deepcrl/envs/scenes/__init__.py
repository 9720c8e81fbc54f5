"""Scenes: floor, walls, cameras and goal markers, mazes, where goals lie. May import `core` only."""
