"""Makes each of the mistakes of `faults.yaml` in a copy of the checkout and says which test catches it.

    python benchmarks/inject_faults.py --only 3 7
    python benchmarks/inject_faults.py --all

What is tested is the last commit. First the targets are run without a mistake: what fails there proves nothing.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
FAULTS = Path(__file__).with_name("faults.yaml")


def read_faults(path: Path = FAULTS) -> list[dict[str, Any]]:
    """Return the faults, in their order; their numbers count from 1."""
    faults: list[dict[str, Any]] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return faults


def apply_fault(fault: dict[str, Any], checkout: Path) -> None:
    """Make the mistake in a checkout.

    Raises:
        ValueError: the text to replace is not there, or more than once, or is more than one line.
    """
    path, find, replace = checkout / fault["file"], fault["find"], fault["replace"]
    content = path.read_text(encoding="utf-8")
    if content.count(find) != 1 or "\n" in find + replace or find == replace:
        raise ValueError(
            f"{fault['file']} holds {find!r} {content.count(find)} times; it must be once, in one line"
        )
    path.write_text(content.replace(find, replace), encoding="utf-8")


@contextmanager
def copied_checkout() -> Iterator[Path]:
    """Yield a temporary git worktree of the last commit: tests ask git for the commit that they run at."""
    with tempfile.TemporaryDirectory(prefix="fault-") as folder:
        copy = Path(folder) / "checkout"
        git = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*git, "add", "--quiet", "--detach", str(copy), "HEAD"], check=True)
        try:
            yield copy
        finally:
            subprocess.run([*git, "remove", "--force", str(copy)], check=True)


def run_tests(checkout: Path, target: str, prefix: Sequence[str], ignored: Sequence[str] = ()) -> str | None:
    """Return the first test of a target that fails, None where all pass."""
    # A seed for Hypothesis: what a test finds, it has to find again.
    options = ["-x", "-q", "-p", "no:cacheprovider", "--hypothesis-seed=0"]
    options += [f"--ignore={one}" for one in ignored]
    command = [*prefix, sys.executable, "-m", "pytest", *options, target]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True)
    if done.returncode == 0:
        return None
    failed = [line for line in done.stdout.splitlines() if line.startswith(("FAILED ", "ERROR "))]
    if not failed:  # no tests found, or pytest itself has failed
        raise RuntimeError(f"{shlex.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return failed[0].split(" ", 1)[1].split(" - ")[0]


def find_catch(fault: dict[str, Any], prefix: Sequence[str], everything: bool) -> str | None:
    """Return the first test that fails with the fault, twice, for some fail now and then; None where none does."""
    with copied_checkout() as checkout:
        apply_fault(fault, checkout)
        for target in fault["tests"]:
            found = run_tests(checkout, target, prefix)
            if found and run_tests(checkout, found, prefix):
                return found
        return run_tests(checkout, "tests", prefix, fault["tests"]) if everything else None


def main() -> int:
    """Inject the faults that are asked for; exit code 1 where a target fails without a fault."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", type=int, nargs="+", metavar="N", help="numbers of the faults, from 1")
    parser.add_argument("--all", action="store_true", help="run every test on what the targets miss")
    parser.add_argument("--unchecked", action="store_true", help="leave out the run without a fault")
    parser.add_argument("--prefix", default="", help="put before pytest, such as 'nice -n 10'")
    asked = parser.parse_args()
    faults, prefix = read_faults(), shlex.split(asked.prefix)
    chosen = {number: faults[number - 1] for number in asked.only or range(1, len(faults) + 1)}
    with copied_checkout() as checkout:
        for fault in chosen.values():
            assert (checkout / fault["file"]).read_text(encoding="utf-8").count(fault["find"]) == 1, fault
        if not asked.unchecked:
            for target in sorted({target for fault in chosen.values() for target in fault["tests"]}):
                if failed := run_tests(checkout, target, prefix):
                    print(f"without a fault {target} fails at {failed}: a catch there would mean nothing")
                    return 1
    num_caught = 0
    for number, fault in chosen.items():
        caught = find_catch(fault, prefix, asked.all)
        num_caught += caught is not None
        print(f"{number:3}  {caught or 'not caught':<70}  {fault['meaning']}", flush=True)
    print(f"{num_caught} of {len(chosen)} caught")
    return 0


if __name__ == "__main__":
    sys.exit(main())
