"""Processes of a running sweep: starting it, and finding what belongs to it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def start(*arguments: str) -> subprocess.Popen[str]:
    """Start `python run_sweep.py arguments` in a process group of its own, where Ctrl-C reaches Ray too."""
    return subprocess.Popen(
        [sys.executable, str(ROOT / "run_sweep.py"), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def descendants(pid: int) -> dict[int, str]:
    """Return the command lines of all processes below `pid`, by process."""
    listed = subprocess.run(
        ["ps", "-ww", "-eo", "pid=,ppid=,args="], capture_output=True, text=True, check=True
    )
    rows = [line.split(None, 2) for line in listed.stdout.splitlines()]
    children: dict[int, list[tuple[int, str]]] = {}
    for child, parent, args in rows:
        children.setdefault(int(parent), []).append((int(child), args))
    found: dict[int, str] = {}
    parents = [pid]
    while parents:
        below = children.get(parents.pop(), [])
        found |= dict(below)
        parents += [child for child, _ in below]
    return found


def workers(pid: int) -> list[int]:
    """Return the worker processes of the Ray below `pid`, training or idle."""
    return [child for child, args in descendants(pid).items() if args.startswith("ray::Worker")]


def raylet(pid: int) -> list[int]:
    return [child for child, args in descendants(pid).items() if "raylet/raylet" in args]


def group_members(leader: int) -> list[str]:
    """Return the command lines of a process group."""
    listed = subprocess.run(["ps", "-ww", "-eo", "pgid=,args="], capture_output=True, text=True, check=True)
    rows = [line.split(None, 1) for line in listed.stdout.splitlines()]
    return [args for group, args in rows if int(group) == leader]
