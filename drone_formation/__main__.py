"""``python -m drone_formation``: the same as the command ``drone-formation``."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
