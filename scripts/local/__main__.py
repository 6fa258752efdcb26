"""`python -m scripts.local COMMAND`."""

import sys

from scripts.local.cli import main

if __name__ == "__main__":
    sys.exit(main())
