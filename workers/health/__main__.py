"""`python -m workers.health`: see `workers.health.checks`."""

import sys

from workers.health.checks import main

if __name__ == "__main__":
    sys.exit(main())
