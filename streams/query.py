"""Read-only HTTP on loopback: what the worker holds as committed, without a word to its tasks.

| path            | answer                                                                             |
|-----------------|------------------------------------------------------------------------------------|
| `/metrics`      | Prometheus' text                                                                   |
| `/health/live`  | 200 while the process runs                                                         |
| `/health/ready` | 200 once partitions were assigned and their tasks are open, else 503               |
| `/sku/<sku>`    | JSON as `streams.answer` shapes it, with `partition` and `position`; 404 where another has it |
| `/kit/<kit>`   | JSON as `streams.kit_answer` shapes it, from the tables of the topology `kits`     |
| `/rows/<sku>`   | JSON as `streams.sku_rows` shapes it: the SKU's rows as bytes, for `atp explain` and `atp what-if` |
"""

import json
import logging
import threading
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

from atp.book import CLOCK_KEY, POLICIES_KEY, heard_key
from streams import sku_rows
from streams.answer import ALONE, MANY, answer
from streams.checkpoint import decode_marker
from streams.kit_answer import kit_answer
from streams.metrics import Metrics
from streams.tasks import Tasks

log = logging.getLogger(__name__)


class Query:
    """The HTTP server of a worker."""

    def __init__(
        self, host: str, metrics: Metrics, tasks: Tasks | None, port: int = 0, kits: Tasks | None = None
    ) -> None:
        """Listen on `host`, on a free port where `port` is 0.

        `tasks` are those of inventory and `kits` those of kits, None where that topology does not run here.
        """
        self._metrics = metrics
        self._tasks = tasks
        self._kits = kits
        query = self

        class Handler(BaseHTTPRequestHandler):
            server_version = "atp"
            sys_version = ""
            timeout = 10

            def do_GET(self) -> None:
                status, kind, body = query.answer(urlsplit(self.path).path)
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the library's name)
                log.debug(format, *args)

        self._server = ThreadingHTTPServer((host, port), Handler)
        self._server.daemon_threads = True
        self.url = f"http://{host}:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, name="http", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, path: str) -> tuple[HTTPStatus, str, bytes]:
        """Return status, content type and body of a path."""
        if path == "/metrics":
            return HTTPStatus.OK, "text/plain; version=0.0.4; charset=utf-8", self._metrics.text()
        if path == "/health/live":
            return _json(HTTPStatus.OK, {"live": True})
        if path == "/health/ready":
            ready = self._tasks is None or self._tasks.ready
            return _json(HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE, {"ready": ready})
        if path.startswith("/sku/"):
            return self._sku(unquote(path.removeprefix("/sku/")))
        if path.startswith("/rows/"):
            return self._rows(unquote(path.removeprefix("/rows/")))
        if path.startswith("/kit/"):
            return self._kit(unquote(path.removeprefix("/kit/")))
        known = "/metrics, /health/live, /health/ready, /sku/<sku>, /kit/<kit> or /rows/<sku>"
        return _json(HTTPStatus.NOT_FOUND, {"error": f"ask for {known}"})

    def _sku(self, sku: str) -> tuple[HTTPStatus, str, bytes]:
        task = self._tasks.owner_of(sku) if self._tasks is not None else None
        if task is None or task.table is None:
            return _elsewhere(sku)
        view = task.table.view(
            [CLOCK_KEY, POLICIES_KEY, *(f"{kind}|{sku}" for kind in ALONE)],
            [f"{kind}|{sku}|" for kind in MANY],
        )
        if view is None:
            return _moving(sku)
        position = 0 if view.marker is None else decode_marker(view.marker).position
        return _json(HTTPStatus.OK, {**answer(view, sku), "partition": task.partition, "position": position})

    def _kit(self, kit: str) -> tuple[HTTPStatus, str, bytes]:
        task = self._kits.owner_of(kit) if self._kits is not None else None
        if task is None or task.table is None:
            return _elsewhere(kit)
        view = task.table.view([], [heard_key(kit, "")])
        if view is None:
            return _moving(kit)
        return _json(HTTPStatus.OK, {**kit_answer(view, kit), "partition": task.partition})

    def _rows(self, sku: str) -> tuple[HTTPStatus, str, bytes]:
        task = self._tasks.owner_of(sku) if self._tasks is not None else None
        if task is None or task.table is None:
            return _elsewhere(sku)
        found = task.table.raw_view(
            sku_rows.exact_keys(sku), sku_rows.prefixes(sku), lambda key: sku_rows.concerns(key, sku)
        )
        if found is None:
            return _moving(sku)
        raw, marker = found
        return _json(HTTPStatus.OK, sku_rows.as_json(raw, task.partition, marker))


def _elsewhere(sku: str) -> tuple[HTTPStatus, str, bytes]:
    return _json(HTTPStatus.NOT_FOUND, {"error": f"the SKU {sku} is not held by this worker"})


def _moving(sku: str) -> tuple[HTTPStatus, str, bytes]:
    return _json(HTTPStatus.SERVICE_UNAVAILABLE, {"error": f"the SKU {sku} is being handed over; ask again"})


def _json(status: HTTPStatus, body: Mapping[str, object]) -> tuple[HTTPStatus, str, bytes]:
    return status, "application/json", json.dumps(body).encode() + b"\n"
