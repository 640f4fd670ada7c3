"""The process of :class:`praval_storage.sandbox.s3.S3`: moto's server, and its objects written down."""

from __future__ import annotations

import signal
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable
from pathlib import Path
from threading import Condition, Event, Thread
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.exceptions import ServiceUnavailable
from werkzeug.serving import make_server
from werkzeug.test import create_environ, run_wsgi_app

from praval_storage.sandbox.s3_objects import Objects

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

INTERVAL = 1.0
"""Seconds between two savings; longer when one takes long."""


class Watched:
    """An application that says when something may have changed, and can be closed.

    Attributes:
        changed: Set after each request that may have changed something.
    """

    def __init__(self, application: WSGIApplication) -> None:
        self.changed = Event()
        self._application = application
        self._under_way = 0
        self._is_closed = False
        self._condition = Condition()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        with self._condition:
            if self._is_closed:
                return ServiceUnavailable()(environ, start_response)
            self._under_way += 1
        try:
            return self._application(environ, start_response)
        finally:
            if environ["REQUEST_METHOD"] not in {"GET", "HEAD"}:
                self.changed.set()
            with self._condition:
                self._under_way -= 1
                self._condition.notify_all()

    def close(self) -> None:
        """Answer no more requests on connections that are open still; returns when none is under way."""
        with self._condition:
            self._is_closed = True
            self._condition.wait_for(lambda: not self._under_way, timeout=10)


class Services:
    """moto's services; S3 at once, as moto looks for the service of a request one request at a time."""

    def __init__(self) -> None:
        self._s3 = create_backend_app("s3")
        self._others = DomainDispatcherApplication(create_backend_app)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        of_s3 = "/s3/aws4_request" in environ.get("HTTP_AUTHORIZATION", "")
        return (self._s3 if of_s3 else self._others)(environ, start_response)


class _Handler(MotoRequestHandler):
    def log_request(self, code: Any = "-", size: Any = "-") -> None:
        """Log nothing: a line for each request is what the server would spend its time with."""


def keep_saving(objects: Objects, changed: Event) -> None:
    """Save some time after each change, for ever."""
    took = 0.0
    while changed.wait():
        sleep(max(INTERVAL, 10 * took))
        changed.clear()
        started = monotonic()
        objects.save()
        took = monotonic() - started


def arguments() -> Namespace:
    """The command line."""
    parser = ArgumentParser(description=__doc__)
    for name in ("host", "bucket", "region"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--port", type=int, required=True)
    for name in ("folder", "ready"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--keep", action="store_true", help="save while running, and not only at the end")
    return parser.parse_args()


def main() -> None:
    """Serve until told to end."""
    wanted = arguments()
    objects = Objects(wanted.folder / "objects.sqlite")
    objects.load()
    if objects.is_new:
        objects.make_bucket(wanted.bucket, wanted.region)
    application = Watched(Services())
    run_wsgi_app(application, create_environ(headers={"Host": "localhost"}))  # loads what it loads lazily
    server = make_server(wanted.host, wanted.port, application, threaded=True, request_handler=_Handler)
    # shutdown() waits for serve_forever(), which the signal has interrupted in this very thread.
    signal.signal(signal.SIGTERM, lambda *_: Thread(target=server.shutdown).start())
    if wanted.keep:
        Thread(target=keep_saving, args=(objects, application.changed), daemon=True).start()
    wanted.ready.touch()
    server.serve_forever()
    application.close()  # nothing is acknowledged that would not be saved
    objects.save()


if __name__ == "__main__":
    main()
