"""Whether a server keeps what it is given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import redis

from praval_storage.diagnosis import Checkup, Finding

Facts = Mapping[str, Any]
Options = Mapping[str, str]


def examine(client: Any, *, read_only: bool) -> Checkup:
    """Look at a server.

    Args:
        client: A client of the driver.
        read_only: Whether nothing will be written.
    """
    facts = client.info()
    options = _options(client)
    found = [*_persistence(facts, options), *_eviction(facts), *_events(options)]
    if facts.get("role") == "slave" and not read_only:
        found.append(Finding("This is a replica, which takes no writes", "Connect to the primary"))
    return Checkup(f"Redis {facts.get('redis_version', '')}", found)


def _options(client: Any) -> Options:
    """What CONFIG says; managed servers have it disabled, or do not let everybody ask."""
    found: dict[str, str] = {}
    with suppress(redis.ResponseError):
        for name in ("save", "notify-keyspace-events"):
            found |= {_text(key): _text(value) for key, value in client.config_get(name).items()}
    return found


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _persistence(facts: Facts, options: Options) -> Iterator[Finding]:
    if facts.get("rdb_last_bgsave_status") == "err" or facts.get("aof_last_write_status") == "err":
        yield Finding(
            "The last attempt to write to disk has failed", "Look at the log and the disk of the server"
        )
    if facts.get("aof_enabled"):
        return
    if "save" not in options:
        yield Finding(
            "Whether anything is kept on disk is not known: CONFIG may not be asked",
            "Look at the settings of the service",
            is_note=True,
        )
    elif not options["save"]:
        yield Finding(
            "Nothing is kept on disk: a restart of the server loses every record",
            "CONFIG SET appendonly yes, and the same in redis.conf, unless this is a cache",
        )
    else:
        yield Finding(
            "Snapshots only: a crash loses what was written since the last one",
            "CONFIG SET appendonly yes, and the same in redis.conf, unless that is fine",
            is_note=True,
        )


def _eviction(facts: Facts) -> Iterator[Finding]:
    policy = _text(facts.get("maxmemory_policy", "noeviction"))
    if not facts.get("maxmemory") or policy == "noeviction":
        return
    which = "any records" if policy.startswith("allkeys") else "records that have a ttl, before it is over"
    yield Finding(
        f"When its memory is full the server drops {which} (maxmemory-policy {policy})",
        "CONFIG SET maxmemory-policy noeviction, unless this is a cache",
        is_note=not policy.startswith("allkeys"),
    )


def _events(options: Options) -> Iterator[Finding]:
    if "notify-keyspace-events" in options and not options["notify-keyspace-events"]:
        yield Finding(
            "Nobody is told of expired keys",
            "CONFIG SET notify-keyspace-events Ex, if something subscribes to them",
            is_note=True,
        )
