"""The direction of imports: run_sweep.py -> sweeps -> hrm, the order of sweeps' packages, and Ray in one place."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

ORDER = (
    *(
        "errors",
        "quantities",
        "space.constraints",
        "config",
        "events",
        "callbacks.base",
        "space",
        "search",
        "scheduler",
        "execution",
    ),
    *("results", "analysis", "report", "callbacks", "checks", "dry_run", "sweep", "cli", "api"),
)
"""Packages and modules of `sweeps/`: each imports only what stands before it."""


def imports(path: Path) -> set[str]:
    """Full names of all that a file imports, wherever in the file."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            names |= {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def packages(folder: str) -> dict[Path, set[str]]:
    found = {path: {name.split(".")[0] for name in imports(path)} for path in (ROOT / folder).rglob("*.py")}
    assert found
    return found


def test_hrm_knows_nothing_of_sweeps() -> None:
    for path, used in packages("hrm").items():
        assert not used & {"sweeps", "ray", "optuna", "hydra", "wandb", "pyarrow", "matplotlib"}, path


def test_only_the_bridge_with_its_connection_and_its_worker_knows_ray() -> None:
    users = {path.relative_to(ROOT).as_posix() for path, used in packages("sweeps").items() if "ray" in used}
    assert users == {f"sweeps/execution/{part}.py" for part in ("ray_tune", "ray_cluster", "worker")}


def part(path: Path) -> str:
    """Return which of `ORDER` a file belongs to. What `python -m` starts is a command line wherever it is."""
    inside = path.relative_to(ROOT / "sweeps").with_suffix("").parts
    return "cli" if inside[-1] == "__main__" else part_of_module(".".join(inside))


def part_of_module(inside: str) -> str:
    of_their_own = (part for part in ORDER if "." in part and f"{inside}.".startswith(f"{part}."))
    return next(of_their_own, inside.split(".")[0])


def test_each_part_of_sweeps_has_a_place_in_the_order() -> None:
    parts = {part(path) for path in (ROOT / "sweeps").rglob("*.py")} - {"__init__"}
    assert parts == set(ORDER)


@pytest.mark.parametrize("name", ORDER)
def test_each_part_of_sweeps_imports_only_those_before_it(name: str) -> None:
    allowed = ORDER[: ORDER.index(name) + 1]
    for path in (ROOT / "sweeps").rglob("*.py"):
        if part(path) == name:
            used = {part_of_module(full[7:]) for full in imports(path) if full.startswith("sweeps.")}
            used -= {"callbacks"} if "callbacks.base" in used else set()
            assert used <= set(allowed), f"{path} imports {sorted(used.difference(allowed))}"
