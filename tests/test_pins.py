"""One set of pins: pyproject.toml holds them, environment.yml repeats them for conda."""

import re
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parent.parent


def test_conda_has_the_same_pins() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pins = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    conda = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    pip = next(entry["pip"] for entry in conda if isinstance(entry, dict))
    assert pip == [*pins, "-e ."]
    assert "python=3.11" in conda


def test_every_dependency_is_pinned_and_justified() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    document = (ROOT / "docs" / "dependencies.md").read_text()
    for pin in [*project["dependencies"], *project["optional-dependencies"]["dev"]]:
        name, _, version = pin.partition("==")
        assert version, f"{pin} is not pinned"
        assert f"| {name.split('[')[0]} |" in document, f"{name} is not in docs/dependencies.md"


def test_a_sweep_names_the_port_at_which_make_shows_it() -> None:
    from sweeps.sweep import DASHBOARD

    [port] = re.findall(r"^PORT \?= (\d+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert f":{port}/" in DASHBOARD
