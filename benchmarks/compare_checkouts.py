"""Compares two checkouts of this repository on a matrix of short sweeps, to the last bit.

    python benchmarks/compare_checkouts.py OLD NEW [--keep DIR] [--only NAME ...] [--python PATH]

Each checkout runs the sweeps of `compare_checkouts.yaml` by its own `run_sweep.py`, and only the files in a sweep's
folder are compared: rows, curves, prunings and what the folder's notes say. So the code may be moved and renamed
freely between the two. Prints a line per entry of the matrix and exits with 1 if anything differs.

Under `--keep`, results that are complete are used again: of the same commit, or of the same `--old-label` and
`--new-label`. A checkout with uncommitted changes and no label is run again each time.
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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import yaml

MATRIX = Path(__file__).with_suffix(".yaml")

RENAMED: dict[str, str] = {}
"""Columns and keys, by their dotted name in an old checkout: their name in a new one."""

REWORDED: dict[str, str] = {}
"""Texts in columns such as `error`: a regular expression, and what stands in its place in a new checkout."""

LEFT_OUT = {
    # Times.
    "seconds", "train_seconds", "eval_seconds", "started_at", "valid/latency", "test/latency", "observed_bytes",
    # Provenance.
    "commit", "dirty", "versions", "hardware", "provenance", "command", "schema_version",
    # Sentences.
    "question", "what",
}  # fmt: skip
"""Columns and keys that are not compared, with all that is below them."""

FACTS_OF_TEXT = {"notes", "left_out", "other_bounds", "test_name"}
"""Sentences that may be reworded: only the numbers and the options that they name are compared."""

JSON_COLUMNS = {"config", "architecture"}
TRIALS, CURVES = "trials.parquet", "curves"
OTHER_FILES = ("sweep.json", "best.yaml", "pareto.json")

EVENT_FILES = ("*.jsonl", "*.journal")
EVENTS = {
    "suggestion": r'"op_code": ?4\b',
    "start": r'"started".*"search"',
    "report": r'"reported"',
    "pruned": r'"ended".*"pruned"',
    "completed": r'"ended".*"completed"',
    "revival": r'"(revived|resumed)"',
    "confirmation": r'"started".*"confirm"',
}
"""Events after which a process can be killed: what a line of a sweep's logs has that tells of one."""

VICTIMS = {"workers": r"ray::(?!IDLE|\w*Agent)", "raylet": r"\S*/raylet "}
"""How the command lines of a driver's processes begin that can be killed without it."""

MOST_SECONDS = 900.0
POLL_SECONDS = 0.002

Place = tuple[float, float, str]
"""Of a value in a sweep: the job, its report (infinite for its row), and the name of the column."""


class RunError(Exception):
    """A command of the matrix did not end as it should."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One entry of the matrix: a command, what is done to it, and the commands that follow."""

    name: str
    run: str
    resume: tuple[str, ...] = ()
    faults: tuple[tuple[str, str], ...] = ()
    """Victims (`driver`, or one of `VICTIMS`) and the events after which they are killed, in order."""
    same_as: str | None = None
    """The entry that must have the same result, in each checkout."""


@dataclass(frozen=True, kw_only=True)
class Checkout:
    """A checkout and the folder that keeps its results."""

    root: Path
    python: str
    folder: Path
    spaces: Mapping[str, Any]
    processes: set[int] = field(default_factory=set)
    """Drivers that run."""

    def results(self, entry: Entry) -> Path:
        return self.folder / entry.name

    def finish(self, entry: Entry) -> float:
        """Run an entry unless its result is there; return the seconds that it took.

        Raises:
            RunError: a command failed, or an event did not come.
        """
        marker = self.folder / f"{entry.name}.json"
        spaces = {name: space for name, space in self.spaces.items() if f"={name}.yaml" in entry.run}
        definition = json.loads(json.dumps([vars(entry), spaces]))
        if marker.exists() and (stored := json.loads(marker.read_text()))["definition"] == definition:
            return stored["seconds"]
        shutil.rmtree(self.results(entry), ignore_errors=True)
        for name, space in spaces.items():
            (self.folder / f"{name}.yaml").write_text(yaml.safe_dump(space, sort_keys=False))
        started = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="compare-") as scratch:
            self._run(entry, Path(scratch))
        seconds = time.monotonic() - started
        marker.write_text(json.dumps({"definition": definition, "seconds": seconds}))
        return seconds

    def _run(self, entry: Entry, scratch: Path) -> None:
        out, log = self.results(entry), self.folder / f"{entry.name}.log"
        log.unlink(missing_ok=True)
        again = f"resume={out.name}"
        process = self._start(f"{entry.run} out={out.name} device=cpu", log, scratch)
        try:
            seen = read_sizes(out)
            for victim, event in entry.faults:
                wait_for_event(process, out, event, seen)
                kill(process, victim)
                if victim == "driver":
                    process = self._start(again, log, scratch)
                seen = read_sizes(out)
            for more in (*entry.resume, None):
                code = process.wait(MOST_SECONDS)
                if code != 0:
                    raise RunError(f"exit code {code}: {log.read_text().strip().splitlines()[-1]}")
                if more is not None:
                    process = self._start(f"{again} {more}", log, scratch)
        except subprocess.TimeoutExpired:
            raise RunError(f"did not end within {MOST_SECONDS:g} s, see {log}") from None
        finally:
            if process.poll() is None:
                kill(process, "driver")
            self.processes.discard(process.pid)

    def _start(self, arguments: str, log: Path, scratch: Path) -> subprocess.Popen[bytes]:
        hidden = ("PYTHONPATH", "RAY_ADDRESS")
        environment = {name: value for name, value in os.environ.items() if name not in hidden}
        environment |= {
            "OMP_NUM_THREADS": "1",
            "HRM_SWEEPS_CACHE": str(self.folder / "cache"),
            "TMPDIR": str(scratch),
        }
        with log.open("ab") as said:
            process = subprocess.Popen(
                [self.python, str(self.root / "run_sweep.py"), *shlex.split(arguments)],
                cwd=self.folder,
                env=environment,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )
        self.processes.add(process.pid)
        return process


def read_matrix(path: Path, only: list[str]) -> tuple[list[Entry], dict[str, Any]]:
    """Return the entries of the matrix and its spaces.

    Args:
        only: beginnings of names; empty for all entries.
    """
    content = yaml.safe_load(path.read_text())
    entries = []
    for name, values in content["sweeps"].items():
        run = string.Template(values["run"]).substitute(content["words"])
        faults = tuple((victim, event) for victim, event in values.get("faults", ()))
        resume = tuple(values.get("resume", ()))
        entries.append(Entry(name=name, run=run, resume=resume, faults=faults, same_as=values.get("same_as")))
    chosen = [
        entry for entry in entries if not only or any(entry.name.startswith(beginning) for beginning in only)
    ]
    return chosen, content["spaces"]


def read_sizes(out: Path) -> dict[Path, int]:
    """Return the size of each log in a sweep's folder."""
    return {path: path.stat().st_size for pattern in EVENT_FILES for path in out.glob(pattern)}


def wait_for_event(process: subprocess.Popen[bytes], out: Path, event: str, seen: Mapping[Path, int]) -> None:
    """Wait until a log has a line of the event beyond what was seen; the process is stopped when it returns."""
    pattern = re.compile(EVENTS[event].encode())
    deadline = time.monotonic() + MOST_SECONDS
    while True:
        for path, size in read_sizes(out).items():
            before = seen.get(path, 0)
            if size > before:
                with path.open("rb") as file:
                    file.seek(before)
                    if pattern.search(file.read()):
                        os.kill(process.pid, signal.SIGSTOP)
                        return
        if process.poll() is not None:
            raise RunError(f"ended before an event of the kind {event!r}")
        if time.monotonic() > deadline:
            raise RunError(f"no event of the kind {event!r} came")
        time.sleep(POLL_SECONDS)


def kill(process: subprocess.Popen[bytes], victim: str) -> None:
    """Kill the stopped driver with all that it has started; or some of its processes, and let it go on."""
    below = list_descendants(process.pid)
    if victim == "driver":
        for pid in (process.pid, *below):
            send(pid, signal.SIGKILL)
        process.wait()
        # What a killed Ray leaves behind.
        for folder in {
            match[1] for args in below.values() if (match := re.search(r"--temp[-_]dir=(\S+)", args))
        }:
            shutil.rmtree(folder, ignore_errors=True)
        return
    chosen = [pid for pid, args in below.items() if re.match(VICTIMS[victim], args)]
    if not chosen:
        raise RunError(f"there were no {victim} to be killed")
    for pid in chosen:
        send(pid, signal.SIGKILL)
    os.kill(process.pid, signal.SIGCONT)


def send(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process that may have ended."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def list_descendants(pid: int) -> dict[int, str]:
    """Return the command lines of all processes below one, by process."""
    listed = subprocess.run(
        ["ps", "-ww", "-eo", "pid=,ppid=,args="], capture_output=True, text=True, check=True
    )
    rows = [line.split(None, 2) for line in listed.stdout.splitlines()]
    found: dict[int, str] = {}
    parents = [pid]
    while parents:
        parent = parents.pop()
        below = {int(row[0]): row[2] for row in rows if int(row[1]) == parent and len(row) == 3}
        found |= below
        parents += below
    return found


def read_sweep(folder: Path) -> dict[Place, Any]:
    """Return every value of a sweep that is compared, in the order of jobs and reports. Nulls are left out."""
    values: dict[Place, Any] = {}
    for path in sorted((folder / CURVES).rglob("*.parquet")):
        for row in read_rows(path):
            values |= {(row["number"], row["index"], name): value for name, value in comparable(row)}
    for row in read_rows(folder / TRIALS):
        values |= {(row["number"], float("inf"), name): value for name, value in comparable(row)}
    values = dict(sorted(values.items(), key=lambda item: item[0][:2]))
    for name in OTHER_FILES:
        if (folder / name).exists():
            content = yaml.load((folder / name).read_text(), yaml.CSafeLoader)
            values |= {(-1, 0, f"{name} {key}"): value for key, value in comparable(content)}
    return values


def read_rows(path: Path) -> list[dict[str, Any]]:
    rows = pq.ParquetFile(path).read().to_pylist()
    return [{RENAMED.get(name, name): value for name, value in row.items()} for row in rows]


def comparable(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the values that are compared, by their dotted names."""
    loaded = {name: json.loads(value) if name in JSON_COLUMNS else value for name, value in values.items()}
    for name, value in flatten(loaded, ""):
        parts = {name, *name.split(".")}
        if value is None or parts & LEFT_OUT:
            continue
        if isinstance(value, str):
            for old, new in REWORDED.items():
                value = re.sub(old, new, value)
            if parts & FACTS_OF_TEXT:
                value = sorted(re.findall(r"[a-z_]+\.[a-z_]+|\d(?:[\d.,]*\d)?", value))
        yield RENAMED.get(name, name), value


def flatten(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Yield the plain values below a value, by their dotted names."""
    if not isinstance(value, dict | list):
        yield name, value
        return
    for key, below in value.items() if isinstance(value, dict) else enumerate(value):
        yield from flatten(below, f"{name}.{key}" if name else str(key))


def read_results(folder: Path) -> dict[str, dict[Place, Any]]:
    """Return the values of every sweep that a command made, by the sweep's place below the folder."""
    found = {str(path.parent.relative_to(folder)): path.parent for path in folder.rglob(TRIALS)}
    return {name: read_sweep(path) for name, path in sorted(found.items())}


def find_differences(old: Path, new: Path) -> Iterator[str]:
    """Yield what differs between two results, a text for each value."""
    olds, news = read_results(old), read_results(new)
    if olds.keys() != news.keys() or not olds:
        yield f"sweeps: {', '.join(olds) or 'none'} -> {', '.join(news) or 'none'}"
    for sweep in olds.keys() & news.keys():
        for place in olds[sweep] | news[sweep]:
            before, after = olds[sweep].get(place), news[sweep].get(place)
            # The text of a number is exact, and differs between 0 and -0, and between 1 and 1.0.
            if repr(before) != repr(after):
                yield f"{describe_place(sweep, place)}: {before!r} -> {after!r}"


def describe_place(sweep: str, place: Place) -> str:
    job, report, column = place
    where = [] if sweep == "." else [sweep]
    where += [f"job {job}"] if job >= 0 else []
    where += [f"report {report}"] if 0 < report < float("inf") else []
    return " ".join([*where, column])


def count(folder: Path) -> Counter[str]:
    """Count what a result holds: sweeps, jobs, each status, and values."""
    counts: Counter[str] = Counter()
    for values in read_results(folder).values():
        rows = {place: value for place, value in values.items() if place[1] == float("inf")}
        statuses = [value for place, value in rows.items() if place[2] == "status"]
        revived = sum(place[2] == "revived_at" for place in rows)
        counts += Counter(sweeps=1, jobs=len(statuses), values=len(values), revived=revived) + Counter(
            statuses
        )
    return counts


def name_checkout(root: Path) -> str:
    """Return the commit of a checkout, marked where files differ from it."""

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", "-C", root, *arguments], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    return git("rev-parse", "--short=12", "HEAD") + ("-dirty" if git("status", "--porcelain") else "")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--keep", type=Path, help="where results are kept; without it they are removed")
    parser.add_argument("--only", nargs="+", default=[], help="beginnings of the names of entries")
    parser.add_argument("--python", default=sys.executable, help="the interpreter of both checkouts")
    parser.add_argument("--old-label", help="the folder of the old results below --keep")
    parser.add_argument("--new-label", help="likewise of the new results")
    parser.add_argument("--jobs", type=int, default=3, help="commands at once")
    given = parser.parse_args()
    entries, spaces = read_matrix(MATRIX, given.only)
    with tempfile.TemporaryDirectory(prefix="compare-") as scratch:
        keep = (given.keep or Path(scratch)).absolute()
        checkouts = []
        for root, label in ((given.old, given.old_label), (given.new, given.new_label)):
            folder = keep / (label or name_checkout(root))
            if label is None and folder.name.endswith("-dirty"):
                shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True, exist_ok=True)
            checkouts.append(
                Checkout(root=root.absolute(), python=given.python, folder=folder, spaces=spaces)
            )
        if checkouts[0].folder == checkouts[1].folder:
            parser.error("both checkouts have the same label: give --old-label or --new-label")
        return compare(checkouts[0], checkouts[1], entries, given.jobs)


def compare(old: Checkout, new: Checkout, entries: list[Entry], jobs: int) -> int:
    """Run what is missing, print a line per entry and a summary; return the exit code."""

    def judge(entry: Entry) -> tuple[Counter[str], list[str], float]:
        seconds = 0.0
        for checkout in (old, new):
            try:
                seconds += checkout.finish(entry)
            except RunError as failure:
                return Counter(), [f"{checkout.root}: {failure}"], seconds
        differences = list(find_differences(old.results(entry), new.results(entry)))
        return count(new.results(entry)), differences, seconds

    total: Counter[str] = Counter()
    differing = []
    pool = ThreadPoolExecutor(jobs)
    try:
        for entry, (counts, differences, seconds) in zip(entries, pool.map(judge, entries)):
            for checkout in (old, new):
                if entry.same_as and (checkout.folder / f"{entry.same_as}.json").exists():
                    found = find_differences(checkout.folder / entry.same_as, checkout.results(entry))
                    differences += [f"{entry.same_as} against {entry.name}: {text}" for text in found]
            total += counts
            shown = ", ".join(f"{number:,} {what}" for what, number in counts.items())
            if differences:
                differing.append(entry.name)
                more = f" (and {len(differences) - 3} more)" if len(differences) > 3 else ""
                shown = "; ".join(differences[:3]) + more
            print(
                f"{'DIFFERS' if differences else 'equal'}  {entry.name}: {shown} [{seconds:.0f} s]",
                flush=True,
            )
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for pid in old.processes | new.processes:
            send(pid, signal.SIGKILL)
        raise
    print(f"{len(entries) - len(differing)} of {len(entries)} equal: {dict(total)}")
    if differing:
        print(f"differing: {' '.join(differing)}")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
