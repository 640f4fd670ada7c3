"""The passwords of a sandbox: its own, new for each folder."""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

_FILE = "credentials.json"


def _password() -> str:
    return secrets.token_urlsafe(18)


@dataclass(frozen=True, slots=True)
class Credentials:
    """What the servers ask for; they are kept with the data, since PostgreSQL's is part of it."""

    postgresql: str = field(default_factory=_password, repr=False)
    redis: str = field(default_factory=_password, repr=False)
    s3_access_key_id: str = field(default_factory=lambda: secrets.token_hex(10).upper(), repr=False)
    s3_secret_access_key: str = field(default_factory=_password, repr=False)

    @classmethod
    def of(cls, folder: Path) -> Self:
        """Those kept in a folder, else new ones."""
        file = folder / _FILE
        if file.exists():
            return cls(**json.loads(file.read_text()))
        found = cls()
        new = folder / f"{_FILE}.new"
        new.touch(mode=0o600)
        new.write_text(json.dumps(asdict(found)))
        new.replace(file)
        return found
