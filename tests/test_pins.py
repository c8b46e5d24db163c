"""One set of versions: pyproject.toml has ranges, constraints.txt the exact versions that everything installs."""

import re
import tomllib
from pathlib import Path

import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
RANGES = [
    Requirement(text)
    for texts in (PROJECT["dependencies"], *PROJECT["optional-dependencies"].values())
    for text in texts
]
TORCH = "torch==2.13.0"


def read_pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def test_every_dependency_is_pinned_within_its_range_and_justified() -> None:
    document, pins = (ROOT / "docs" / "dependencies.md").read_text(), read_pins()
    for requirement in RANGES:
        assert requirement.specifier.contains(pins[requirement.name]), requirement
        assert f"| {requirement.name} |" in document, f"{requirement.name} is not in docs/dependencies.md"
    assert pins.keys() == {requirement.name for requirement in RANGES}


def test_conda_and_make_install_with_the_constraints_and_the_same_torch() -> None:
    conda = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    pip = next(entry["pip"] for entry in conda if isinstance(entry, dict))
    assert pip == ["-c constraints.txt", TORCH, "-e .[dev]"] and "python=3.11" in conda
    assert TORCH in PROJECT["dependencies"] and read_pins()["torch"] == "2.13.0"
    [install] = [line for line in (ROOT / "Makefile").read_text().splitlines() if "-m pip install" in line]
    assert f"--constraint constraints.txt {TORCH}" in install


def test_a_sweep_names_the_port_at_which_make_shows_it() -> None:
    from sweeps.sweep import DASHBOARD

    [port] = re.findall(r"^PORT \?= (\d+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert f":{port}/" in DASHBOARD
