"""Compare two checkouts of this repository on a matrix of short sweeps, to the last bit.

    python benchmarks/compare_checkouts.py OLD NEW [--keep DIR] [--only NAME ...] [--python PATH]

Each checkout runs the commands of `compare_checkouts.yaml` with its own `run_sweep.py`, and only files in the folders
of sweeps are compared: rows, curves, prunings, the winner, and the numbers in notes. So code may be moved and renamed
freely between the two. Prints a line per command and exits with 1 if anything differs; all differences of a command
are in `DIR/<new label>/<name>.diff`.

Finished results under `--keep` are used again for the same commit, or the same `--label`. A checkout with uncommitted
changes and without a label is run again each time.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import string
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import yaml

MATRIX = Path(__file__).with_suffix(".yaml")

RENAMED: dict[str, str] = {"fullness": "budget_used", "revived_at": "resumed_from"}
"""Columns and keys that a new checkout names differently: old dotted name to new one."""

REWORDED: dict[str, str] = {}
"""Texts of columns such as `error` that a new checkout words differently: old regular expression to new text."""

TIMES = "seconds train_seconds eval_seconds started_at valid/latency test/latency observed_bytes"
PROVENANCE = "commit dirty versions hardware provenance command schema_version"
SENTENCES = "question what"
LEFT_OUT = {*TIMES.split(), *PROVENANCE.split(), *SENTENCES.split()}
"""Columns and keys that are not compared, nor what is below them. `observed_bytes` is what a process held."""

ONLY_NUMBERS = {"notes", "left_out", "other_bounds", "test_name"}
"""Sentences that may be reworded: the numbers and options in them are compared."""

TRIALS, CURVES, OTHERS = "trials.parquet", "curves", ("sweep.json", "best.yaml", "pareto.json")
JSON_COLUMNS = {"config", "architecture"}

EVENT_LOGS = ("jobs.jsonl", "*.journal")
CHANGED = "-changed"
DRIVER = "driver"
"""The victim that is not one of a driver's processes, but dies with all of them."""

MOST_SECONDS = 900.0


class RunError(Exception):
    """A command of the matrix did not end as it should."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A command of the matrix, what is done to it, and the commands that follow it."""

    name: str
    run: str
    resume: tuple[str, ...] = ()
    faults: tuple[tuple[str, str], ...] = ()
    """Victims, and the lines of the event logs after which they are killed, in order."""
    same_as: str | None = None
    """Another entry, which must have the same result."""


@dataclass(frozen=True)
class Checkout:
    """A checkout and the folder of its results."""

    root: Path
    python: str
    folder: Path

    def start(self, arguments: str, log: Path, scratch: str) -> subprocess.Popen[bytes]:
        """Start `run_sweep.py` in the folder of results, its output appended to a log."""
        changed = {"OMP_NUM_THREADS": "1", "HRM_SWEEPS_CACHE": str(self.folder / "cache"), "TMPDIR": scratch}
        changed |= {"PYTHONPATH": "", "RAY_ADDRESS": ""}
        command = [self.python, str(self.root / "run_sweep.py"), *shlex.split(arguments)]
        with log.open("ab") as file:
            env = os.environ | changed
            return subprocess.Popen(command, cwd=self.folder, env=env, stdout=file, stderr=file)

    def run(self, entry: Entry, spaces: Mapping[str, Any]) -> float:
        """Run an entry unless its result is there; return the seconds that it took.

        Raises:
            RunError: a command failed, or an event did not come.
        """
        done, log = self.folder / f"{entry.name}.json", self.folder / f"{entry.name}.log"
        used = [space for name, space in spaces.items() if f"={name}.yaml" in entry.run]
        definition = json.loads(json.dumps([vars(entry), used]))
        if done.exists() and (stored := json.loads(done.read_text()))["definition"] == definition:
            return stored["seconds"]
        shutil.rmtree(self.folder / entry.name, ignore_errors=True)
        log.unlink(missing_ok=True)
        started = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="compare-", ignore_cleanup_errors=True) as scratch:
            self._run(entry, log, scratch)
        seconds = time.monotonic() - started
        done.write_text(json.dumps({"definition": definition, "seconds": seconds}))
        return seconds

    def _run(self, entry: Entry, log: Path, scratch: str) -> None:
        again = f"resume={entry.name}"
        process = self.start(f"{entry.run} out={entry.name} device=cpu", log, scratch)
        try:
            for victim, event in entry.faults:
                wait_for_event(process, self.folder / entry.name, event)
                kill(process, victim)
                if victim == DRIVER:
                    process = self.start(again, log, scratch)
            for more in (*entry.resume, None):
                if code := process.wait(MOST_SECONDS):
                    raise RunError(f"exit code {code}: {log.read_text().strip().splitlines()[-1:]}")
                if more is not None:
                    process = self.start(f"{again} {more}", log, scratch)
        except subprocess.TimeoutExpired:
            raise RunError(f"did not end within {MOST_SECONDS:g} s, see {log}") from None
        finally:
            if process.poll() is None:
                kill(process, DRIVER)


def read_matrix(only: list[str]) -> tuple[list[Entry], dict[str, Any]]:
    """Return the entries whose names begin as asked (all, if nothing is asked), and the spaces by name."""
    content = yaml.safe_load(MATRIX.read_text())
    entries = []
    for name, values in content["sweeps"].items():
        run = string.Template(values["run"]).substitute(content["words"])
        named = values.get("faults", ())
        faults = tuple((content["victims"][victim], content["events"][event]) for victim, event in named)
        more = {"resume": tuple(values.get("resume", ())), "same_as": values.get("same_as")}
        entries.append(Entry(name=name, run=run, faults=faults, **more))
    return [one for one in entries if not only or one.name.startswith(tuple(only))], content["spaces"]


def wait_for_event(process: subprocess.Popen[bytes], out: Path, event: str) -> None:
    """Wait until one more line of the event logs matches, and suspend the process at once."""
    pattern = re.compile(event.encode(), re.IGNORECASE)

    def count_events() -> int:
        logs = [path for name in EVENT_LOGS for path in out.glob(name)]
        return sum(len(pattern.findall(path.read_bytes())) for path in logs)

    before, deadline = count_events(), time.monotonic() + MOST_SECONDS
    while count_events() <= before:
        if process.poll() is not None or time.monotonic() > deadline:
            raise RunError(f"no event that matches {event} was recorded")
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGSTOP)


def kill(process: subprocess.Popen[bytes], victim: str) -> None:
    """Kill a driver with all that it has started; or only what matches, and let the suspended driver go on."""
    below = list_descendants(process.pid)
    chosen = [pid for pid, command in below.items() if re.match(victim, command)]
    for pid in [process.pid, *below] if victim == DRIVER else chosen:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    if victim == DRIVER:
        process.wait()
        for folder in set(re.findall(r"--temp[-_]dir=(\S+)", " ".join(below.values()))):
            shutil.rmtree(folder, ignore_errors=True)  # Ray's, which it can no longer remove
        return
    os.kill(process.pid, signal.SIGCONT)
    if not chosen:
        raise RunError(f"no process matched {victim}")


def list_descendants(pid: int) -> dict[int, str]:
    """Return the command lines of all processes below one, by process."""
    listed = subprocess.check_output(["ps", "-ww", "-eo", "pid=,ppid=,args="], text=True)
    rows = [line.split(None, 2) for line in listed.splitlines()]
    found: dict[int, str] = {}
    parents = {str(pid)}
    while parents:
        below = {row[0]: row[-1] for row in rows if row[1] in parents}
        found |= {int(child): args for child, args in below.items()}
        parents = set(below)
    return found


def read_results(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the values of every sweep that a command made, by the sweep's path below the command's folder."""
    found = {str(path.parent.relative_to(folder)): path.parent for path in folder.rglob(TRIALS)}
    return {name: read_sweep(path) for name, path in sorted(found.items())}


def read_sweep(folder: Path) -> dict[str, Any]:
    """Return all values of a sweep that are compared, by where they are, job after job; nulls are left out."""
    files = [*(folder / CURVES).rglob("*.parquet"), folder / TRIALS]
    rows = [dict(select_values(row)) for file in files for row in pq.ParquetFile(file).read().to_pylist()]
    rows.sort(key=lambda row: (row["number"], row.get("index", float("inf"))))
    values: dict[str, Any] = {}
    for row in rows:
        where = f"job {row['number']}" + (f" report {row['index']}" if "index" in row else "")
        values |= {f"{where} {name}": value for name, value in row.items()}
    for path in (folder / name for name in OTHERS if (folder / name).exists()):
        content = yaml.load(path.read_text(), yaml.CSafeLoader)
        values |= {f"{path.name} {name}": value for name, value in select_values(content)}
    return values


def select_values(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the values that are compared, by their dotted names in an old checkout."""
    old_names = {new: old for old, new in RENAMED.items()}
    loaded = {name: json.loads(value) if name in JSON_COLUMNS else value for name, value in values.items()}
    for given, value in flatten(loaded, ""):
        name = old_names.get(given, given)
        parts = {name, *name.split(".")}
        if value is None or parts & LEFT_OUT:
            continue
        if isinstance(value, str):
            for old, new in REWORDED.items():
                value = re.sub(old, new, value)
            if parts & ONLY_NUMBERS:
                value = sorted(re.findall(r"[a-z_]+\.[a-z_]+|\d(?:[\d.,]*\d)?", value))
        yield name, value


def flatten(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Yield the plain values in nested mappings and lists, by their dotted names.

    >>> list(flatten({"train": {"steps": 8}, "seeds": [1, 2]}, ""))
    [('train.steps', 8), ('seeds.0', 1), ('seeds.1', 2)]
    """
    if isinstance(value, list):
        value = dict(enumerate(value))
    if not isinstance(value, dict):
        yield name, value
    else:
        for key, below in value.items():
            yield from flatten(below, f"{name}.{key}" if name else str(key))


def find_differences(old: Path, new: Path) -> Iterator[str]:
    """Yield a text for each value that differs between two results."""
    olds, news = read_results(old), read_results(new)
    if olds.keys() != news.keys() or not olds:
        yield f"sweeps: {', '.join(olds) or 'none'} -> {', '.join(news) or 'none'}"
    for sweep in sorted(olds.keys() & news.keys()):
        for where in olds[sweep] | news[sweep]:
            before, after = olds[sweep].get(where), news[sweep].get(where)
            # A float's text is exact, and unlike == it tells 0.0 from -0.0 and from 0.
            if repr(before) != repr(after):
                yield f"{sweep} {where}: {before!r} -> {after!r}".removeprefix(". ")


def count_contents(folder: Path) -> Counter[str]:
    """Count sweeps, jobs by their status, revivals and compared values of a result."""
    counts: Counter[str] = Counter()
    for values in read_results(folder).values():
        counts.update(["sweeps", *(values[where] for where in values if where.endswith(" status"))])
        counts["revived"] += sum(where.endswith(" revived_at") for where in values)
        counts["values"] += len(values)
    return +counts


def compare(old: Checkout, new: Checkout, entries: list[Entry], spaces: Mapping[str, Any], jobs: int) -> int:
    """Run what is missing, print a line for each entry and a summary, and return the exit code."""

    def judge(entry: Entry) -> tuple[list[str], float]:
        seconds = 0.0
        for checkout in (old, new):
            try:
                seconds += checkout.run(entry, spaces)
            except RunError as error:
                return [f"{checkout.root}: {error}"], seconds
        return list(find_differences(old.folder / entry.name, new.folder / entry.name)), seconds

    total: Counter[str] = Counter()
    differing = []
    pool = ThreadPoolExecutor(jobs)
    try:
        for entry, (differences, seconds) in zip(entries, pool.map(judge, entries), strict=True):
            for folder in (old.folder, new.folder):
                if entry.same_as and (folder / f"{entry.same_as}.json").exists():
                    found = find_differences(folder / entry.same_as, folder / entry.name)
                    differences += [f"from {entry.same_as} to {entry.name}: {text}" for text in found]
            counts = count_contents(new.folder / entry.name)
            total += counts
            shown = ", ".join(f"{number:,} {what}" for what, number in counts.items())
            if differences:
                differing.append(entry.name)
                shown = "; ".join(differences[:3]) + f" ({len(differences)} differences)"
            (new.folder / f"{entry.name}.diff").write_text("".join(f"{text}\n" for text in differences))
            word = "differs" if differences else "equal"
            print(f"{word:8}{entry.name}: {shown} [{seconds:.0f} s]", flush=True)
    finally:
        pool.shutdown(cancel_futures=True)
    print(f"{len(entries) - len(differing)} of {len(entries)} equal: {dict(total)}")
    print(f"differing: {' '.join(differing) or 'none'}")
    return int(bool(differing))


def name_results(root: Path) -> str:
    """Return the commit of a checkout, marked where its files differ from it."""
    command = ["git", "-C", str(root)]
    commit = subprocess.check_output([*command, "rev-parse", "--short=12", "HEAD"], text=True).strip()
    return commit + (CHANGED if subprocess.check_output([*command, "status", "--porcelain"]) else "")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--keep", type=Path, help="where results are kept; without it they are removed")
    parser.add_argument("--only", nargs="+", default=[], help="beginnings of the names of commands")
    parser.add_argument("--python", default=sys.executable, help="the interpreter of both checkouts")
    parser.add_argument("--label", help="name of the new results under --keep, instead of the commit")
    parser.add_argument("--jobs", type=int, default=4, help="commands that run at once")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="compare-") as scratch:
        keep = (given.keep or Path(scratch)).absolute()
        names = [name_results(given.old), given.label or name_results(given.new)]
        if names[0] == names[1]:
            parser.error("both checkouts are at the same commit: give --label")
        entries, spaces = read_matrix(given.only)
        for folder in (keep / name for name in names):
            if folder.name.endswith(CHANGED):
                shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True, exist_ok=True)
            for name, space in spaces.items():
                (folder / f"{name}.yaml").write_text(yaml.safe_dump(space, sort_keys=False))
        roots = (given.old.absolute(), given.new.absolute())
        old, new = (Checkout(root, given.python, keep / name) for root, name in zip(roots, names))
        return compare(old, new, entries, spaces, given.jobs)


if __name__ == "__main__":
    sys.exit(main())
