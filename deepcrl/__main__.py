"""`python -m deepcrl` is the console script `deepcrl`."""

from deepcrl.cli import main

if __name__ == "__main__":
    main()
