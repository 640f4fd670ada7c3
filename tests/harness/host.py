"""A page that shows anywidgets of this very process: no kernel, no JupyterLab, nothing from the network.

It implements the model of the anywidget front-end module specification (https://anywidget.dev/en/afm/) over
a websocket. The widget, the controller and the fakes all live in the test, so breakpoints and coverage work.
"""

from __future__ import annotations

import asyncio
import base64
import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import comm
import tornado.httpserver
import tornado.netutil
import tornado.web
import tornado.websocket
from comm.base_comm import BaseComm
from ipywidgets import Widget

PAGE = (Path(__file__).parent / "host.html").read_text()
THEMES = Path(sys.prefix, "share/jupyter/lab/themes/@jupyterlab")


class Host:
    """Serves the page and carries the messages of every widget made while it runs."""

    def __init__(self) -> None:
        self.errors: list[BaseException] = []
        self.port = 0
        self._log: list[str] = []
        self._clients: set[Socket] = set()
        self._comms: dict[str, HostComm] = {}
        self._lock = threading.RLock()
        self._epoch = 0
        self._blocks: list[threading.Event] = []

    # -- life

    def __enter__(self) -> Host:
        self._create = comm.create_comm
        comm.create_comm = self._made
        # Callbacks run in order, one at a time, and away from the loop that sends: as in a kernel.
        self._kernel = ThreadPoolExecutor(1, thread_name_prefix="kernel")
        ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(ready)), daemon=True)
        self._thread.start()
        assert ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        comm.create_comm = self._create
        Widget.close_all()
        self._kernel.shutdown()
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    async def _serve(self, ready: threading.Event) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        routes = [("/", Front), ("/socket", Socket, {"host": self}), ("/favicon.ico", Nothing)]
        server = tornado.httpserver.HTTPServer(tornado.web.Application(routes))
        sockets = tornado.netutil.bind_sockets(0, "127.0.0.1")
        self.port = sockets[0].getsockname()[1]
        server.add_sockets(sockets)
        ready.set()
        await self._stop.wait()
        server.stop()
        for client in list(self._clients):
            client.close()

    # -- what tests do

    def reset(self, theme: str = "light") -> int:
        """Forget every widget and empty the page; the number to wait for in ``window.epoch``."""
        Widget.close_all()
        # Those of a test that failed in between: what follows would wait for ever.
        while self._blocks:
            self._blocks.pop().set()
        self._epoch += 1
        with self._lock:
            self._log.clear()
            self._comms.clear()
            self.errors.clear()
        self.publish({"type": "reset", "epoch": self._epoch, **_theme(theme)})
        return self._epoch

    def set_theme(self, theme: str) -> None:
        self.publish({"type": "theme", **_theme(theme)})

    def display(self, widget: Widget) -> None:
        """One more view of a widget."""
        self.publish({"type": "display", "comm": widget.comm.comm_id})

    def block(self, until: threading.Event) -> None:
        """Keep the kernel busy: messages of the page wait, as behind a running cell."""
        self._blocks.append(until)
        self._kernel.submit(until.wait)

    # -- messages

    def publish(self, message: dict[str, Any]) -> None:
        text = json.dumps(message)
        with self._lock:
            self._log.append(text)
            for client in list(self._clients):
                self._loop.call_soon_threadsafe(client.push, text)

    def receive(self, message: dict[str, Any]) -> None:
        self._kernel.submit(self._handle, message)

    def attach(self, client: Socket) -> None:
        with self._lock:
            for text in self._log:
                client.push(text)
            self._clients.add(client)

    def detach(self, client: Socket) -> None:
        self._clients.discard(client)

    def _made(self, *args: Any, **keys: Any) -> HostComm:
        made = HostComm(self, *args, **keys)
        self._comms[made.comm_id] = made
        return made

    def _handle(self, message: dict[str, Any]) -> None:
        found = self._comms.get(message["comm"])
        if found is None:
            return
        buffers = [memoryview(base64.b64decode(each)) for each in message["buffers"]]
        content = {"comm_id": found.comm_id, "data": message["data"]}
        try:
            found.handle_msg({"content": content, "metadata": {}, "header": {}, "buffers": buffers})
        except BaseException as error:  # noqa: BLE001 - a lost one would be a bug that no test sees
            self.errors.append(error)


class HostComm(BaseComm):
    """A comm whose other end is the page."""

    def __init__(self, host: Host, *args: Any, **keys: Any) -> None:
        self._host = host
        super().__init__(*args, **keys)

    def publish_msg(
        self,
        msg_type: str,
        data: Any = None,
        metadata: Any = None,
        buffers: Any = None,
        **keys: Any,
    ) -> None:
        encoded = [base64.b64encode(bytes(each)).decode() for each in buffers or ()]
        message = {"type": msg_type, "comm": self.comm_id, "data": data or {}, "buffers": encoded}
        self._host.publish(message)


class Front(tornado.web.RequestHandler):
    def get(self) -> None:
        self.write(PAGE)


class Nothing(tornado.web.RequestHandler):
    def get(self) -> None:
        self.set_status(204)


class Socket(tornado.websocket.WebSocketHandler):
    def initialize(self, host: Host) -> None:
        self._host = host

    def open(self) -> None:
        self._host.attach(self)

    def push(self, text: str) -> None:
        with suppress(tornado.websocket.WebSocketClosedError):  # the page went
            self.write_message(text)

    def on_message(self, message: str | bytes) -> None:
        self._host.receive(json.loads(message))

    def on_close(self) -> None:
        self._host.detach(self)


def _theme(name: str) -> dict[str, str]:
    folder = {"light": "light", "dark": "dark", "contrast": "dark-high-contrast"}[name]
    css = (THEMES / f"theme-{folder}-extension" / "index.css").read_text()
    return {"light": str(name == "light").lower(), "css": css}
