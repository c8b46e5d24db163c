"""Finds the best HRM under a budget: `python run_sweep.py space=depth_vs_width`; `--help` lists the rest."""

import sys

from hrm.config import command_line as door
from sweeps.cli.main import main

if __name__ == "__main__":
    sys.exit(door.run(main))
