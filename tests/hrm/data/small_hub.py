"""As much of the Hugging Face hub's interface as reading takes: one repository, `org/small`, of files."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote, urlsplit

COMMIT, OID = "a" * 40, "b" * 40
REPOSITORY = "org/small"


@contextmanager
def small_hub(files: Mapping[str, bytes]) -> Iterator[str]:
    """Serves the files as a data set and as a model of that name; gives the endpoint."""
    handler = type("Handler", (_Handler,), {"files": files})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as served:
        threading.Thread(target=served.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{served.server_address[1]}"
        served.shutdown()


class _Handler(http.server.BaseHTTPRequestHandler):
    files: Mapping[str, bytes]

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        if f"{REPOSITORY}/resolve/" in path:
            return self._send_file(path.split("/resolve/")[1].partition("/")[2])
        if f"{REPOSITORY}/tree/" in path:
            return self._send_json(self._listing(path.split("/tree/")[1].partition("/")[2]))
        if path.endswith(REPOSITORY) or f"{REPOSITORY}/revision/" in path:
            return self._send_json(
                {
                    "id": REPOSITORY,
                    "sha": COMMIT,
                    "private": False,
                    "gated": False,
                    "disabled": False,
                    "tags": [],
                    "downloads": 0,
                    "siblings": [{"rfilename": name} for name in self.files],
                }
            )
        return self._send_json({"error": "no such thing"}, 404)

    def _listing(self, folder: str) -> list[dict[str, Any]]:
        """What lies directly in a folder."""
        start = f"{folder}/" if folder else ""
        names = {name.removeprefix(start) for name in self.files if name.startswith(start)}
        found = [
            {"type": "file", "path": start + name, "size": len(self.files[start + name]), "oid": OID}
            for name in sorted(names)
            if "/" not in name
        ]
        folders = {name.partition("/")[0] for name in names if "/" in name}
        return found + [{"type": "directory", "path": start + name, "oid": OID} for name in sorted(folders)]

    def _send_file(self, name: str) -> None:
        if name not in self.files:
            return self._send_json({"error": "no such file"}, 404)
        return self._send(self.files[name], 200, {"ETag": f'"{OID}"', "X-Repo-Commit": COMMIT})

    def _send_json(self, values: Any, code: int = 200) -> None:
        missing = {"X-Error-Code": "EntryNotFound"} if code == 404 else {}
        self._send(json.dumps(values).encode(), code, {"Content-Type": "application/json", **missing})

    def _send(self, content: bytes, code: int, headers: Mapping[str, str]) -> None:
        self.send_response(code)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        return None
