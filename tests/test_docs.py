"""The documents tell the truth: their commands run (long ones shortened), their links lead somewhere."""

import itertools
import os
import re
import shlex
import subprocess
import sys
from glob import glob
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
PROSE = [*DOCUMENTS, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
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
    "benchmarks/report_time.py": "--trials 10 --repeat 1",
    "benchmarks/large_study.py": "--sizes 20 --asks 3",
    "benchmarks/efficiency.py": "--rounds 1 --trials 4 --steps 6 --deterministic true",
    "benchmarks/search_quality.py": "--seeds 2 --runs 5 --policies random",
    "benchmarks/taught_samplers.py": "--samplers tpe --trials 12 --seeds 2",
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
    """The same command on the small: few trials, few steps, two budgets of many, its output under `out`."""
    words = shlex.split(command)
    assert words[0] == "python", f"a test cannot run {command!r}"
    if words[1] == "run_sweep.py" and words[2].startswith("resume="):
        return [sys.executable, *words[1:]]
    if words[1] == "run_sweep.py" and "--help" not in words and "dry_run=true" not in words:
        is_text = any(word.startswith("space=text_") for word in words)
        words = [
            *(
                re.sub(r"^(budget\S*?=[^,]+,[^,]+),.*", r"\1", word)
                for word in without(words, "out", "wandb")
            ),
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
    files = [sorted(glob(word)) if "*" in word else [word] for word in words[1:]]
    return [sys.executable, *itertools.chain.from_iterable(files)]


def without(words: list[str], *names: str) -> list[str]:
    return [word for word in words if not word.startswith(tuple(f"{name}=" for name in names))]


def maker(name: str) -> str:
    """The command of the documents that makes a file or folder which others read."""
    return next(command for command in runnable() if re.search(rf"out[= ]{re.escape(name)}$", command))


def needs_a_login(command: str) -> bool:
    return "wandb.mode=online" in command or "--publish" in command


MADE = ("outputs/first", "outputs/budgets", "spread.jsonl")
MAKERS = [maker(name) for name in MADE]


def test_there_are_commands() -> None:
    assert "make sweep" in commands()
    assert "make test" in commands()
    assert len(runnable()) >= 10


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """What the documents tell their reader to make: sweeps, a table of rows, a space of their own."""
    folder = tmp_path_factory.mktemp("documents")
    made = {name: folder / Path(name).name for name in (*MADE, "head_size.yaml")}
    for name, command in zip(MADE, MAKERS):
        assert run(shortened(command, made[name])) == 0
    (space,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    made["head_size.yaml"].write_text(space)
    return made


def run(command: list[str], **environment: str) -> int:
    """Its exit code: 0, or 2 with one message."""
    result = subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env=os.environ | environment,
    )
    assert result.returncode in (0, 2), f"{command}\n{result.stdout[-2000:]}\n{result.stderr[-2000:]}"
    assert "Traceback" not in result.stderr
    return result.returncode


@pytest.mark.slow
@pytest.mark.xdist_group("documents")
@pytest.mark.ray
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("command", [command for command in runnable() if command not in MAKERS])
def test_command_runs(command: str, tmp_path: Path, examples: dict[str, Path]) -> None:
    for name, path in examples.items():
        command = re.sub(rf"(?<=[= ]){re.escape(name)}(?!\S*out=)", str(path), command)
    if needs_a_login(command):
        assert (
            run(
                shlex.split(command.replace("python", sys.executable, 1)),
                HOME=str(tmp_path),
                WANDB_API_KEY="",
            )
            == 2
        )
    else:
        assert run(shortened(command, tmp_path / "out")) == 0


@pytest.mark.parametrize("document", PROSE, ids=lambda path: path.name)
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


@pytest.mark.parametrize("document", PROSE, ids=lambda path: path.name)
def test_paths_of_the_repository_exist(document: Path) -> None:
    folders = "hrm|sweeps|tests|benchmarks|search_spaces|docs"
    for path in re.findall(rf"`((?:{folders})/[\w./]*)`", document.read_text()):
        assert (ROOT / path).exists(), f"{document.name} names {path}"


def test_the_folders_of_the_readme_exist() -> None:
    (tree,) = re.findall(r"```text\n(search_spaces/.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    parents: list[Path] = []
    for indent, name in re.findall(r"^( *)(\S+)", tree, re.MULTILINE):
        parents = [*parents[: len(indent) // 4], Path(name)]
        assert ROOT.joinpath(*parents).exists(), f"README.md names {name}"


def test_names_in_the_architecture_page_exist() -> None:
    code = [ROOT / "run_sweep.py", *(ROOT / "hrm").rglob("*.py"), *(ROOT / "sweeps").rglob("*.py")]
    code += (ROOT / "benchmarks").glob("*.py")
    modules = {file.name for file in code}
    words = {word for file in code for word in re.findall(r"\w+", file.read_text())}
    names = re.findall(r"`([A-Za-z_]\w*(?:\.\w+)?)`", (ROOT / "docs" / "architecture.md").read_text())
    assert len(names) > 50
    for name in names:
        parts = name.split(".")
        if parts[-1] not in ("jsonl", "parquet", "journal", "yaml"):  # files of a sweep's folder
            assert name in modules or words.issuperset(parts), f"architecture.md names {name}"


def test_every_document_is_linked_from_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    for document in DOCUMENTS:
        if document.name != "README.md":
            assert f"docs/{document.name}" in readme, f"README.md does not lead to {document.name}"
