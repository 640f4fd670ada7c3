"""Free TCP ports of this computer."""

from __future__ import annotations

import socket
from random import SystemRandom

HOST = "127.0.0.1"

# Below the ports that outgoing connections get (on Linux from 32768, elsewhere from 49152): one of those
# could take the port of a server that is being restarted.
_RANGE = range(20_000, 32_000)


def free_port() -> int:
    """A port nobody listens on."""
    for port in SystemRandom().sample(_RANGE, 200):
        with socket.socket() as probe:
            if probe.connect_ex((HOST, port)) and _can_bind(port):
                return port
    raise OSError("No free TCP port found")


def _can_bind(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def accepts(port: int) -> bool:
    """Whether somebody listens on a port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, port)) == 0
