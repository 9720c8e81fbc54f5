"""`deepcrl report`: runs on disk become one page to compare them on, pictures and a table."""
