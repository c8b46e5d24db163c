"""Publishing: refused before training where something is missing; real uploads to a hub of our own."""

from __future__ import annotations

import base64
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from hrm import train
from hrm.config.command_line import run_cli
from hrm.config.errors import ConfigError
from hrm.training.publish import PUBLISHED, Publication, PublishError


class Hub(http.server.BaseHTTPRequestHandler):
    """As much of the hub's interface as taking a model needs. Refuses `org/refused`."""

    received: ClassVar[dict[str, bytes]] = {}
    created: ClassVar[list[Any]] = []

    def do_GET(self) -> None:
        self._answer({"error": "no such repository"}, 404)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers["Authorization"] != "Bearer hf_test":
            return self._answer({"error": "no token"}, 401)
        if self.path == "/api/repos/create":
            asked = json.loads(body)
            self.created.append(asked)
            if asked["name"] == "refused":
                return self._answer({"error": "not yours"}, 403)
            name = f"{asked.get('organization') or 'someone'}/{asked['name']}"
            return self._answer({"url": f"http://{self.headers['Host']}/{name}"})
        if "/preupload/" in self.path:
            files = json.loads(body)["files"]
            modes = [{"path": file["path"], "uploadMode": "regular", "shouldIgnore": False} for file in files]
            return self._answer({"files": modes})
        if "/commit/" not in self.path:  # asks whether the model card is well written
            return self._answer({"errors": [], "warnings": []})
        for line in body.splitlines():
            operation = json.loads(line)
            if operation["key"] == "file":
                self.received[operation["value"]["path"]] = base64.b64decode(operation["value"]["content"])
        return self._answer(
            {
                "commitOid": "0" * 40,
                "commitUrl": f"http://{self.headers['Host']}/org/small/commit/{'0' * 40}",
                "success": True,
            }
        )

    def _answer(self, values: Any, code: int = 200) -> None:
        content = json.dumps(values).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        return None


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Hub]]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub) as served:
        threading.Thread(target=served.serve_forever, daemon=True).start()
        endpoint = f"http://127.0.0.1:{served.server_address[1]}"
        monkeypatch.setattr("huggingface_hub.hf_api.constants.ENDPOINT", endpoint)
        Hub.received.clear()
        Hub.created.clear()
        yield Hub
        served.shutdown()


@pytest.fixture
def no_token(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "none"))


def finished_run(folder: Path) -> Path:
    folder.mkdir()
    for name in ("config.yaml", "metrics.jsonl", "result.json", "weights.pt", "checkpoint.pt"):
        (folder / name).write_text(f"content of {name}")
    return folder


def test_false_asks_for_nothing() -> None:
    assert Publication.prepare(False, "HRM-Text1-c4-50M") is None


def test_what_is_missing_is_said(no_token: None) -> None:
    with pytest.raises(ConfigError) as error:
        Publication.prepare(True, "HRM-Text1-c4-50M")
    for part in ("HRM-Text1-c4-50M", "Hugging Face token, and there is none", "HF_TOKEN", "hf auth login"):
        assert part in str(error.value)
    with pytest.raises(ConfigError, match="needs a name, and only documented presets have one"):
        Publication.prepare(True, None)
    for wish in ("a b", "a/b/c"):
        with pytest.raises(ConfigError, match="must be true, false or the name of a repository"):
            Publication.prepare(wish, None)


def test_the_door_says_so_before_it_trains(
    no_token: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = [
        "preset=text_tiny_50m",
        "task.dataset=allenai/c4",
        "push_to_hub=true",
        f"output_base={tmp_path / 'out'}",
    ]
    assert run_cli(train.main, asked) == 2
    message = capsys.readouterr().err
    assert message.startswith(
        "error: push_to_hub: given True; publishing as HRM-Text1-c4-50M needs a Hugging Face"
    )
    assert message.count("\n") == 1 and not (tmp_path / "out").exists()
    assert run_cli(train.main, ["preset=tiny_demo", "task=sudoku4", "push_to_hub=true"]) == 2
    assert "only documented presets have one" in capsys.readouterr().err


def test_a_name_of_ones_own_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_test")
    assert Publication.prepare("me/mine", "HRM-Text1-c4-50M") == Publication(repo="me/mine", token="hf_test")
    assert Publication.prepare(True, "HRM-Text1-c4-50M") == Publication(
        repo="HRM-Text1-c4-50M", token="hf_test"
    )


def test_a_run_is_published_without_its_checkpoint(server: type[Hub], tmp_path: Path) -> None:
    folder = finished_run(tmp_path / "run")
    address = Publication(repo="org/small", token="hf_test").publish(folder, "text_1m on text")
    assert address.endswith("org/small")
    assert server.created[0]["name"] == "small" and server.created[0]["organization"] == "org"
    assert set(server.received) == set(PUBLISHED)
    assert server.received["weights.pt"] == b"content of weights.pt"
    assert b"# text_1m on text" in server.received["README.md"]


def test_a_hub_that_is_gone_loses_nothing(
    server: type[Hub], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.hf_api.constants.ENDPOINT", "http://127.0.0.1:1")
    with pytest.raises(PublishError, match="the hub has not accepted it: .*refused"):
        Publication(repo="org/small", token="hf_test").publish(finished_run(tmp_path / "run"), "text_1m")


def test_a_refusal_loses_nothing(server: type[Hub], tmp_path: Path) -> None:
    folder = finished_run(tmp_path / "run")
    with pytest.raises(PublishError, match="the hub has not accepted it: .*403") as error:
        Publication(repo="org/refused", token="hf_test").publish(folder, "text_1m on text")
    assert str(folder) in str(error.value) and (folder / "weights.pt").exists()
    assert server.received == {}
