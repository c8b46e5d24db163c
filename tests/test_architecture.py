"""The direction of imports: run_sweep.py -> sweeps -> hrm, and Ray in one place."""

import ast
from pathlib import Path

ROOT = Path(__file__).parent.parent


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


def test_only_the_bridge_and_its_worker_know_ray() -> None:
    users = {path.relative_to(ROOT).as_posix() for path, used in packages("sweeps").items() if "ray" in used}
    assert users == {"sweeps/running/ray_bridge.py", "sweeps/running/ray_worker.py"}


def test_the_search_and_the_space_know_nothing_of_processes_and_reports() -> None:
    for folder in ("sweeps/search", "sweeps/space"):
        for path in (ROOT / folder).rglob("*.py"):
            used = {".".join(name.split(".")[:2]) for name in imports(path)}
            assert not used & {"sweeps.running", "sweeps.report", "sweeps.faces", "sweeps.doors"}, path
