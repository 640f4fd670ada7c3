"""Options that fsspec adds to every file system without being asked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from fsspec.config import conf, conf_dir

from praval_storage.diagnosis import Finding


def silent_options(protocols: Iterable[str]) -> Iterator[Finding]:
    """What ``FSSPEC_*`` variables and fsspec's configuration files add, by name: values may be secret."""
    for protocol in protocols:
        if names := sorted(conf.get(protocol, {})):
            yield Finding(
                f"fsspec's own configuration adds {', '.join(names)} to every {protocol} file system",
                f"Unset FSSPEC_{protocol.upper()}_... or look into {conf_dir}, unless that is meant",
            )
