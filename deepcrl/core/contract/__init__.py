"""A user's own components: what they take and return, checked once. May import only `core`."""
