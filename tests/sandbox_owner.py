"""A process that owns a sandbox: it stores a record on each service, says what there is, and waits.

``python sandbox_owner.py <folder or ""> <service>...``
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from praval_storage.sandbox import Sandbox
from praval_storage.sandbox.guardian_process import children

VALUE = {"n": 1, "vector": [1.0, 0.0]}


def descendants(pid: int) -> list[int]:
    """Process numbers of all that a process has started, directly or not."""
    return [found for child in children(pid) for found in (child, *descendants(child))]


def main() -> None:
    folder, *services = sys.argv[1:]
    sandbox = Sandbox(folder or None, services=services).start()
    for name in services:
        sandbox.manager.store(VALUE, name, "from/owner", {"by": "owner"})
    tree = descendants(os.getpid())
    told: dict[str, Any] = {"pids": tree, "guardian": children(os.getpid())[0], "user": os.geteuid()}
    sys.stdout.write(json.dumps(told | {"folder": str(sandbox.directory.parent)}) + "\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main()
