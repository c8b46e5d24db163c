"""Rebuilds the reports of sweeps from their tables: `python -m sweeps.report DIR [DIR...]`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from hrm.config.command_line import run_cli
from sweeps.analysis.sweep_folder import SweepFolder
from sweeps.report.files import write_report, write_scaling_report
from sweeps.results.tables import check_is_sweep, complete_trials


def main(arguments: list[str]) -> None:
    """Write the reports of each sweep into its folder, and print what they conclude.

    Raises:
        UserError: a folder holds no sweep, or W&B cannot be published to.
    """
    options = _build_parser().parse_args(arguments)
    for out in options.folders:
        check_is_sweep(out)
        complete_trials(out)
    from sweeps.callbacks.wandb.report import write_wandb_report

    for out in options.folders:
        folder = SweepFolder.read(out)
        print(write_report(out, folder))
        write_wandb_report(out, folder)
    if len(options.folders) > 1:
        print(write_scaling_report(options.folders))
    if options.publish or options.as_sweep:
        from sweeps.callbacks.wandb.publish import publish, register_sweep

        for out in options.folders:
            print(f"W&B Report: {publish(out)}")
        for out in options.folders if options.as_sweep else ():
            print(f"W&B Sweep: {register_sweep(out)}")


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sweeps.report",
        description="Rebuilds report.html, report.md and figures/ from a sweep's tables, also while it runs. Of "
        "several sweeps, also writes what they show together to the folder above: scaling.html and scaling.md.",
    )
    parser.add_argument("folders", nargs="+", type=Path, metavar="DIR", help="a sweep's folder")
    parser.add_argument(
        "--publish", action="store_true", help="bring W&B runs and Report to the server; needs a W&B login"
    )
    parser.add_argument(
        "--as-sweep",
        action="store_true",
        help="--publish, and fill a W&B Sweep's page with the search's runs",
    )
    return parser


def run_program() -> int:
    """Run the command line of this process and return its exit code."""
    return run_cli(main)


if __name__ == "__main__":
    sys.exit(run_program())
