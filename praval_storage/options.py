"""Options of how things look, for the whole process."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Options:
    """What is set now.

    Attributes:
        stable_repr: Whether HTML leaves out what differs from run to run: latency, age, address. Text always
            does.
    """

    stable_repr: bool = False


options = Options()


class set_options:  # noqa: N801 - called like a function, as in xarray
    """Set options; as a context manager, until the block ends.

    Args:
        stable_repr: Whether HTML leaves out what differs from run to run, such as how long a call took: for
            notebooks that are kept under version control.
    """

    def __init__(self, *, stable_repr: bool) -> None:
        self._before = options.stable_repr
        options.stable_repr = bool(stable_repr)

    def __enter__(self) -> None:
        """The options are set already."""

    def __exit__(self, *_: object) -> None:
        options.stable_repr = self._before

    def __repr__(self) -> str:
        return f"set_options(stable_repr={options.stable_repr})"
