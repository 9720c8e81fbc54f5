"""What components of a user's own take and return: checked when they are built, and at their first call.

May import only `core`.
"""
