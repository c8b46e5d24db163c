"""The documents tell the truth: their commands run (long ones shortened), their links lead somewhere."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
SHORT_SWEEP = """
    num_trials=2 train.equal=steps train.steps=6 train.num_reports=2 baseline.trials=1 confirm.finalists=1
    confirm.seeds=2 task.train_puzzles=64 task.valid_puzzles=32 task.test_puzzles=32 wandb.mode=disabled
    max_concurrent=1
"""
SHORT_TEXT_SWEEP = re.sub(r"task\.\w+=\d+", "", SHORT_SWEEP) + "task.valid_sequences=8 task.test_sequences=8"
SHORT_TRAINING = "train.steps=4 train.num_reports=2 device=cpu"
SHORT_TEXT_TRAINING = "batch_size=1 accumulation=1 task.seq_len=16 task.valid_sequences=4"
SHORT_BENCHMARKS = {
    "benchmarks/spread.py": "--steps 20 --seeds 2 --shapes 1+1 4+4",
    "benchmarks/planted_difference.py": "--steps 20 --seeds 2",
    "benchmarks/verdict_power.py": "--sweeps 20 --seeds 3",
    "benchmarks/deterministic_cost.py": "--worlds 1",
    "benchmarks/pruning.py": "--seeds 2 --budgets 3",
}
TOUCHES_THE_MACHINE = ("make", "conda", "git", "pip", "ray", "optuna-dashboard", "wandb", "cd", "source")
"""Commands that change an environment or need a server; `make` is what runs these tests (see .ci/run)."""


def commands() -> list[str]:
    """Every line of a bash block, in the order of the documents."""
    found = []
    for document in DOCUMENTS:
        for block in re.findall(r"```bash\n(.*?)```", document.read_text(), re.DOTALL):
            lines = (line.split("  #")[0].strip() for line in block.replace("\\\n", " ").splitlines())
            found += [line for line in lines if line and not line.startswith("#")]
    return list(dict.fromkeys(found))


def runnable() -> list[str]:
    return [command for command in commands() if shlex.split(command)[0] not in TOUCHES_THE_MACHINE]


def shortened(command: str, out: Path) -> list[str]:
    """The same command on the small: few trials, few steps, its output under `out`."""
    words = shlex.split(command)
    assert words[0] == "python", f"a test cannot run {command!r}"
    if words[1] == "run_sweep.py" and words[2].startswith("resume="):
        return [sys.executable, *words[1:]]
    if words[1] == "run_sweep.py" and "--help" not in words and "dry_run=true" not in words:
        is_text = any(word.startswith("space=text_") for word in words)
        words = [
            *without(words, "out"),
            *(SHORT_TEXT_SWEEP if is_text else SHORT_SWEEP).split(),
            f"out={out}",
        ]
    if words[1:3] == ["-m", "hrm.train"] and "--help" not in words:
        of_text = (
            SHORT_TEXT_TRAINING.split() if any(word.startswith("preset=text_") for word in words) else []
        )
        words = [*without(words, "out"), *SHORT_TRAINING.split(), *of_text, f"out={out}"]
    if words[1] in SHORT_BENCHMARKS and "--table" not in words:
        words = [str(out) if word.endswith(".jsonl") else word for word in words]
        words += SHORT_BENCHMARKS[words[1]].split()
    return [sys.executable, *words[1:]]


def without(words: list[str], name: str) -> list[str]:
    return [word for word in words if not word.startswith(f"{name}=")]


def test_there_are_commands() -> None:
    assert "make sweep" in commands()
    assert "make test" in commands()
    assert len(runnable()) >= 10


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """What the documents tell their reader to make: a first sweep, a space of their own, a table of rows."""
    made = tmp_path_factory.mktemp("documents")
    run(shortened("python run_sweep.py space=depth_vs_width", made / "first"))
    (space,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (made / "head_size.yaml").write_text(space)
    run(shortened("python benchmarks/spread.py --task sudoku4 --out spread.jsonl", made / "spread.jsonl"))
    names = {"outputs/first": "first", "head_size.yaml": "head_size.yaml", "spread.jsonl": "spread.jsonl"}
    return {name: made / file for name, file in names.items()}


def run(command: list[str]) -> None:
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert result.returncode == 0, f"{command}\n{result.stdout[-2000:]}\n{result.stderr[-2000:]}"
    assert "Traceback" not in result.stderr


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("command", runnable())
def test_command_runs(command: str, tmp_path: Path, examples: dict[str, Path]) -> None:
    for name, path in examples.items():
        command = re.sub(rf"(?<=[= ]){re.escape(name)}(?!\S*out=)", str(path), command)
    run(shortened(command, tmp_path / "out"))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", document.read_text()):
        if target.startswith(("http://", "https://")):
            continue
        path, _, anchor = target.partition("#")
        file = document if not path else document.parent / path
        assert file.exists(), f"{document.name} links to {target}"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", file.read_text(), re.MULTILINE)
            slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor in slugs, f"{document.name} links to {target}"


def test_every_document_is_linked_from_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    for document in DOCUMENTS:
        if document.name != "README.md":
            assert f"docs/{document.name}" in readme, f"README.md does not lead to {document.name}"
