"""The hub without a network: one message, at once. And with one, from a server of our own."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from typing import ClassVar

import pytest

from hrm.errors import DataError
from hrm.tasks import hub, open_task
from hrm.tasks.text_config import TextConfig

pytestmark = pytest.mark.usefixtures("data_cache")


class Hub(http.server.BaseHTTPRequestHandler):
    """Has `org/there`, keeps `org/private`, is tired at `org/tired`."""

    CODES: ClassVar = {"there": 200, "private": 401, "tired": 503}

    def do_GET(self) -> None:
        self.send_response(self.CODES.get(self.path.removeprefix("/api/datasets/org/"), 404))
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        return None


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub) as served:
        threading.Thread(target=served.serve_forever, daemon=True).start()
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{served.server_address[1]}")
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
        yield
        served.shutdown()


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
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
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(DataError, match="HF_HUB_OFFLINE is set"):
        open_task(TextConfig(dataset="allenai/c4"))


def test_what_the_hub_answers(server: None) -> None:
    hub.check_reachable("datasets", "org/there", "task.dataset", "")
    for name, part in (("missing", "HTTP 404"), ("private", "HF_TOKEN"), ("tired", "answers with HTTP 503")):
        with pytest.raises(DataError, match=part):
            hub.check_reachable("datasets", f"org/{name}", "task.dataset", "")


def test_a_name_that_no_hub_could_have() -> None:
    with pytest.raises(DataError, match="must be bytes, bpe, a tokenizer.json, or a model's name"):
        open_task(TextConfig(tokenizer="not a name!"))
