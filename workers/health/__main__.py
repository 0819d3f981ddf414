"""`python -m workers.health`: the health check (`workers.health.checks`)."""

import sys

from workers.health.checks import main

if __name__ == "__main__":
    sys.exit(main())
