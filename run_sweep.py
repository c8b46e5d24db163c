"""Find the best HRM under a budget: `python run_sweep.py space=depth_vs_width`; `--help` lists the options."""

import sys

from sweeps.cli.main import run_program

if __name__ == "__main__":
    sys.exit(run_program())
