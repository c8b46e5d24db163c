"""Holds the puzzle HRM against golden numbers of the official one: `python -m hrm.parity FILE.npz...`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from hrm import door
from hrm.puzzle.golden import GoldenFile
from hrm.puzzle.parity import hold

ABOVE_A_BOUND = 1


def main(arguments: list[str]) -> int:
    """Prints each group's error beside its bound; 1 when one lies above."""
    parser = argparse.ArgumentParser(
        prog="python -m hrm.parity",
        description="Hold the puzzle HRM against golden numbers of the official one.",
        epilog="Exit code 0: every error is within its bound; 1: one is above; 2: a file is at fault.",
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE.npz")
    num_above = 0
    for file in [GoldenFile.read(path) for path in parser.parse_args(arguments).files]:
        print(file.path)
        for group in hold(file):
            print(f"  {group}")
            num_above += not group.holds
    print(f"{num_above} above the bound" if num_above else "all within their bounds")
    return ABOVE_A_BOUND if num_above else 0


if __name__ == "__main__":
    sys.exit(door.run(main))
