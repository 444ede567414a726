"""``python -m licsrv``: the same as the console script."""

from licsrv.cli import main

if __name__ == "__main__":
    main()
