"""Many runs on one page, with pictures and a table. May import `run` and what `run` may."""
