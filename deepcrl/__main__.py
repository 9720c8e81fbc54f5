"""`python -m deepcrl` is the console script `deepcrl`."""

from deepcrl.cli import main

main()
