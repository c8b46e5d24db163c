"""A local W&B server that answers what wandb's own client asks: runs, resume, artifacts, reports.

It answers GraphQL and the file stream over HTTP, keeps what it was sent, and can die in the middle.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "0123456789" * 4
"""This server accepts any key of 40 letters."""
ENTITY = "someone"


@dataclass
class StoredRun:
    """What the server knows of a run."""

    name: str
    project: str
    group: str | None = None
    job_type: str | None = None
    display_name: str | None = None
    tags: list[str] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    history: dict[int, dict[str, Any]] = field(default_factory=dict)
    """Logged rows by their line."""
    summary: dict[str, Any] = field(default_factory=dict)
    exit_code: int | None = None

    @property
    def rows(self) -> list[dict[str, Any]]:
        return [row for _, row in sorted(self.history.items())]


@dataclass
class StoredArtifact:
    name: str
    type: str
    run: str
    files: dict[str, bytes] = field(default_factory=dict)
    committed: bool = False


class WandbServer:
    """Answers on a port of its own until `stop`."""

    def __init__(self) -> None:
        self.runs: dict[str, StoredRun] = {}
        self.artifacts: dict[str, StoredArtifact] = {}
        """By the id that the server gave."""
        self.reports: dict[str, dict[str, Any]] = {}
        """Saved reports by id: the variables of the last save."""
        self.sweeps: dict[str, dict[str, Any]] = {}
        """Registered sweeps by id: the variables of the registration."""
        self.unknown: list[str] = []
        """Queries that this server cannot answer."""
        self.num_requests = 0
        self.num_streamed = 0
        """Number of pieces of runs received."""
        self.dies_after: int | None = None
        """Number of requests after which it answers no more."""
        self._lock = threading.RLock()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self) -> None:
        self._http.shutdown()
        self._http.server_close()

    def wait_for_runs(self, count: int, seconds: float = 30.0) -> None:
        """Wait until so many runs have been opened here."""
        deadline = time.monotonic() + seconds
        while len(self.runs) < count:
            assert time.monotonic() < deadline, f"{len(self.runs)} runs of {count}"
            time.sleep(0.02)

    def put(self, path: str, content: bytes) -> None:
        """Store a file of an artifact under the address that it was given."""
        kind, _, rest = path.removeprefix("/upload/").partition("/")
        if kind == "artifact":
            artifact, _, name = rest.partition("/")
            self.artifacts[artifact].files[name] = content

    def stream(self, run: StoredRun, body: dict[str, Any]) -> None:
        """Store lines of a run's history, its summary and its exit code."""
        self.num_streamed += 1
        files = body.get("files") or {}
        history = files.get("wandb-history.jsonl", {"offset": 0, "content": []})
        for i, line in enumerate(history["content"]):
            run.history[history["offset"] + i] = json.loads(line)
        for line in files.get("wandb-summary.json", {"content": []})["content"]:
            run.summary |= json.loads(line)
        if body.get("complete"):
            run.exit_code = body["exitcode"]

    def answer(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        """Return the data of a GraphQL reply."""
        operation = query.replace("mutation", "query").partition("query")[2].lstrip()
        name = operation[: min(operation.find(sign) for sign in "({ " if sign in operation)]
        answer = getattr(self, f"_{name}", None)
        if answer is None:
            self.unknown.append(name)
            return {}
        return dict(answer(variables))

    def _Viewer(self, _: dict[str, Any]) -> dict[str, Any]:
        teams = {"edges": [{"node": {"name": ENTITY}}]}
        viewer = {"id": "v", "entity": ENTITY, "username": ENTITY, "email": "", "flags": "{}", "teams": teams}
        return {"viewer": viewer}

    def _GetDefaultEntity(self, given: dict[str, Any]) -> dict[str, Any]:
        return self._Viewer(given)

    def _ServerFeaturesQuery(self, _: dict[str, Any]) -> dict[str, Any]:
        return {"serverInfo": {"features": []}}

    def _RunResumeStatus(self, given: dict[str, Any]) -> dict[str, Any]:
        run = self.runs.get(given["name"])
        if run is None:
            return {"model": None}
        tail = [json.dumps(row) for row in run.rows[-1:]]
        config = {key: {"value": value} for key, value in run.config.items()}
        bucket = {
            "id": run.name,
            "name": run.name,
            "displayName": run.display_name,
            "tags": run.tags,
            "notes": None,
            "summaryMetrics": json.dumps(run.summary),
            "config": json.dumps(config),
            "wandbConfig": '{"t": {}}',
            "historyLineCount": len(run.history),
            "logLineCount": 0,
            "eventsLineCount": 0,
            "historyTail": json.dumps(tail),
            "eventsTail": "[]",
        }
        return {
            "model": {"id": "m", "name": run.project, "entity": {"id": "e", "name": ENTITY}, "bucket": bucket}
        }

    def _UpsertBucket(self, given: dict[str, Any]) -> dict[str, Any]:
        inserted = given["name"] not in self.runs
        run = self.runs.setdefault(given["name"], StoredRun(given["name"], given["project"]))
        run.group = given["groupName"] or run.group
        run.job_type = given["jobType"] or run.job_type
        run.display_name = given["displayName"] or run.display_name
        run.tags = given["tags"] or run.tags
        run.config |= {key: entry["value"] for key, entry in json.loads(given["config"] or "{}").items()}
        project = {"id": "p", "name": run.project, "entity": {"id": "e", "name": ENTITY}}
        bucket = {
            "id": run.name,
            "name": run.name,
            "displayName": run.display_name or run.name,
            "description": "",
            "config": "{}",
            "sweepName": None,
            "project": project,
            "historyLineCount": len(run.history),
        }
        return {"upsertBucket": {"bucket": bucket, "inserted": inserted}}

    def _CreateRunFiles(self, given: dict[str, Any]) -> dict[str, Any]:
        files = [{"name": name, "uploadUrl": f"{self.url}/upload/run/{name}"} for name in given["files"]]
        return {"createRunFiles": {"runID": given["run"], "uploadHeaders": [], "files": files}}

    def _ArtifactType(self, _: dict[str, Any]) -> dict[str, Any]:
        return {"project": {"artifact": None}}

    def _CreateArtifact(self, given: dict[str, Any]) -> dict[str, Any]:
        asked, artifact = given["input"], f"artifact{len(self.artifacts)}"
        self.artifacts[artifact] = StoredArtifact(
            asked["artifactCollectionName"], asked["artifactTypeName"], asked["runName"]
        )
        state = {"id": artifact, "state": "PENDING", "artifactSequence": {"latestArtifact": None}}
        return {"createArtifact": {"artifact": state}}

    def _CreateArtifactManifest(self, given: dict[str, Any]) -> dict[str, Any]:
        file = {"id": "f", "uploadUrl": f"{self.url}/upload/manifest", "uploadHeaders": []}
        return {"createArtifactManifest": {"artifactManifest": {"id": "m", "file": file}}}

    def _UpdateArtifactManifest(self, given: dict[str, Any]) -> dict[str, Any]:
        return {"updateArtifactManifest": self._CreateArtifactManifest(given)["createArtifactManifest"]}

    def _CreateArtifactFiles(self, given: dict[str, Any]) -> dict[str, Any]:
        nodes = [
            {
                "storagePath": file["name"],
                "uploadHeaders": [],
                "uploadMultipartUrls": None,
                "uploadUrl": f"{self.url}/upload/artifact/{file['artifactID']}/{file['name']}",
                "artifact": {"id": file["artifactID"]},
            }
            for file in given["input"]["artifactFiles"]
        ]
        return {"createArtifactFiles": {"files": {"edges": [{"node": node} for node in nodes]}}}

    def _CommitArtifact(self, given: dict[str, Any]) -> dict[str, Any]:
        self.artifacts[given["artifactID"]].committed = True
        return {"commitArtifact": {"artifact": {"id": given["artifactID"], "digest": ""}}}

    def _GetProjects(self, _: dict[str, Any]) -> dict[str, Any]:
        names = sorted({run.project for run in self.runs.values()})
        nodes = [
            {
                "id": name,
                "name": name,
                "entityName": ENTITY,
                "createdAt": "",
                "isBenchmark": False,
                "user": None,
            }
            for name in names
        ]
        page = {"endCursor": None, "hasNextPage": False}
        return {"models": {"pageInfo": page, "edges": [{"node": node} for node in nodes]}}

    def _upsertView(self, given: dict[str, Any]) -> dict[str, Any]:
        report = given["id"] or f"report{len(self.reports)}"
        self.reports[report] = given
        project = {"id": "p", "name": given["projectName"], "entityName": given["entityName"]}
        view = {
            "id": report,
            "type": given["type"],
            "name": given["name"],
            "displayName": given["displayName"],
            "description": given["description"],
            "project": project,
            "spec": given["spec"],
            "updatedAt": "2026-01-01T00:00:00",
        }
        return {"upsertView": {"view": view, "inserted": given["id"] is None}}

    def _CreateProject(self, given: dict[str, Any]) -> dict[str, Any]:
        project = {"id": "p", "name": given["input"]["name"], "entityName": ENTITY}
        return {"result": {"project": project, "model": project, "inserted": True}}

    def _UpsertSweep(self, given: dict[str, Any]) -> dict[str, Any]:
        name = f"sweep{len(self.sweeps)}"
        self.sweeps[name] = given
        project = {
            "id": "p",
            "name": given["projectName"],
            "entity": {"id": "e", "name": given["entityName"]},
        }
        sweep = {"name": name, "project": project}
        return {"upsertSweep": {"sweep": sweep, "configValidationWarnings": []}}

    def _handler(server) -> type[BaseHTTPRequestHandler]:  # noqa: N805
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *arguments: Any) -> None:
                pass

            def handle(self) -> None:
                with contextlib.suppress(ConnectionError):
                    super().handle()

            def do_POST(self) -> None:
                body = self._body()
                with server._lock:
                    if self._is_dead():
                        return
                    if self.path == "/graphql":
                        asked = json.loads(body)
                        self._reply({"data": server.answer(asked["query"], asked.get("variables") or {})})
                        return
                    if self.path.endswith("/file_stream"):
                        server.stream(server.runs[self.path.split("/")[-2]], json.loads(body))
                    self._reply({"exitcode": None, "limits": {}})

            def do_PUT(self) -> None:
                content = self._body()
                with server._lock:
                    if not self._is_dead():
                        server.put(self.path, content)
                        self._reply({})

            def do_GET(self) -> None:
                self._reply({})

            def _is_dead(self) -> bool:
                server.num_requests += 1
                dead = server.dies_after is not None and server.num_requests > server.dies_after
                self.close_connection = self.close_connection or dead
                return dead

            def _body(self) -> bytes:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                return gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body

            def _reply(self, answer: dict[str, Any]) -> None:
                body = json.dumps(answer).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        return Handler


@contextlib.contextmanager
def running() -> Iterator[WandbServer]:
    """Yield a server for a test."""
    server = WandbServer()
    try:
        yield server
    finally:
        server.stop()
