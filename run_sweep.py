"""Finds the best HRM under a budget: `python run_sweep.py space=depth_vs_width`; `--help` lists the rest."""

import sys

from hrm.config.command_line import run_cli
from sweeps.cli.main import main

if __name__ == "__main__":
    sys.exit(run_cli(main))
