"""The hub without a network: one message, at once. And with one: streamed from a server of our own."""

from __future__ import annotations

import http.server
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest
from huggingface_hub import constants

from hrm.config.errors import DataError
from hrm.data.registry import open_task
from hrm.data.text import sources
from hrm.data.text.config import TextConfig
from hrm.data.text.tokenizers import train_bpe
from tests.hrm.data.small_hub import REPOSITORY, small_hub
from tests.hrm.data.text_cases import numbered, open_text, write_files

pytestmark = pytest.mark.usefixtures("data_cache")


class Hub(http.server.BaseHTTPRequestHandler):
    """Has `org/there`, keeps `org/private`, is tired at `org/tired`."""

    CODES: ClassVar = {"there": 200, "private": 401, "tired": 503}

    def do_GET(self) -> None:
        self.send_response(self.CODES.get(self.path.removeprefix("/api/datasets/org/"), 404))
        self.end_headers()
        self.wfile.write(b'{"id": "org/there", "siblings": [], "tags": []}')

    def log_message(self, format: str, *args: object) -> None:
        return None


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub) as served:
        threading.Thread(target=served.serve_forever, daemon=True).start()
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{served.server_address[1]}")
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        yield
        served.shutdown()


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (
            {"dataset": "allenai/c4", "dataset_config": "en"},
            ["task.dataset", "'allenai/c4'", "task.text=PATH"],
        ),
        ({"tokenizer": "t5-small-not-kept"}, ["task.tokenizer", "'t5-small-not-kept'", "bytes or bpe"]),
    ],
)
def test_no_network_is_told_at_once(options: dict[str, str], parts: list[str], no_network: None) -> None:
    with pytest.raises(DataError) as error:
        open_task(TextConfig(**options))  # type: ignore[arg-type]
    message = str(error.value)
    assert "cannot be reached" in message and "\n" not in message
    assert [part for part in parts if part not in message] == []


def test_offline_by_wish_is_told_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(DataError, match="HF_HUB_OFFLINE is set"):
        open_task(TextConfig(dataset="allenai/c4"))


def test_what_the_hub_answers(server: None) -> None:
    sources.check_reachable("dataset", "org/there", "task.dataset", "")
    for name, part in (("missing", "HTTP 404"), ("private", "HF_TOKEN"), ("tired", "answers with HTTP 503")):
        with pytest.raises(DataError, match=part):
            sources.check_reachable("dataset", f"org/{name}", "task.dataset", "")


def test_a_hub_that_never_answers_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections and says nothing
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(sources, "TIMEOUT_SECONDS", 0.2)
        with pytest.raises(DataError, match=r"cannot be reached \(timed out\)"):
            open_task(TextConfig(dataset="allenai/c4"))


def test_a_name_that_no_hub_could_have() -> None:
    with pytest.raises(DataError, match="must be bytes, bpe, a tokenizer.json, or a model's name"):
        open_task(TextConfig(tokenizer="not a name!"))


def test_a_data_set_is_streamed_as_local_files_are_and_then_needs_no_network(tmp_path: Path) -> None:
    """In a process of its own: the hub's clients read the endpoint when they are imported."""
    texts = [numbered(number) for number in range(20)]
    rows = [json.dumps({"text": text}).encode() for text in texts]
    train_bpe([b"a tokenizer of the hub"], 300, tmp_path / "tokenizer.json")
    card = "---\nconfigs:\n- config_name: en\n  data_files:\n  - split: train\n    path: en/*.json\n---\n"
    files = {"README.md": card.encode(), "tokenizer.json": (tmp_path / "tokenizer.json").read_bytes()}
    files |= {f"en/{i}.json": b"\n".join(rows[5 * i : 5 * i + 5]) for i in range(4)}
    code = f"""
from hrm.data.registry import open_task
from hrm.data.text import sources
from hrm.data.text.config import TextConfig
options = dict(dataset="{REPOSITORY}", dataset_config="en", seq_len=16, valid_fraction=0.2, test_fraction=0.2)
print(open_task(TextConfig(**options)).fingerprint)
half = open_task(TextConfig(**options, subset_percent=50, tokenizer="{REPOSITORY}"))
print(half.num_train, half.model_fields["vocab_size"])
"""
    home = {"HF_HOME": str(tmp_path / "home"), "HRM_SWEEPS_CACHE": str(tmp_path / "cache")}
    with small_hub(files) as endpoint:
        online = run_python(code, {**home, "HF_ENDPOINT": endpoint})
    again = run_python(code, {**home, "HF_ENDPOINT": "http://127.0.0.1:1"})
    assert again == online
    fingerprint, half, vocab_size = online.split()
    local = open_text(write_files(tmp_path / "local", texts))
    assert fingerprint == local.fingerprint
    assert 258 <= int(vocab_size) <= 300
    assert 0 < int(half) < local.num_train


def run_python(code: str, environment: dict[str, str]) -> str:
    values = {name: value for name, value in os.environ.items() if name != "HF_HUB_OFFLINE"}
    command = [sys.executable, "-c", code]
    ended = subprocess.run(command, env={**values, **environment}, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr[-2000:]
    return ended.stdout
