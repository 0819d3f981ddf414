"""The program that `bide schedules` becomes: see `workers.scheduling.show`."""

import sys

from workers.scheduling.show import main

if __name__ == "__main__":
    sys.exit(main(prog_name="bide schedules"))
