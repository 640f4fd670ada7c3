"""Praval's agents: their handler holds the function it was made from, and has to call ours instead."""

from __future__ import annotations

from collections.abc import Callable
from types import CellType, FunctionType
from typing import Any

from praval_storage.errors import ConfigurationError

Function = Callable[..., Any]


def hand_over(function: Function, replacement: Function) -> None:
    """Let the agent that was made from a function, if there is one, call its replacement.

    ``@agent`` returns the function it is given and keeps it in the closure of its spore handler, where the
    handlers of ``@conditional_agent`` and ``@throttled_agent`` keep the one before them.

    Raises:
        ConfigurationError: There is an agent, but its handler does not call the function.
    """
    agent = vars(function).get("_praval_agent") if hasattr(function, "__dict__") else None
    if agent is None:
        return
    cells = [cell for cell in _cells(agent.spore_handler) if cell.cell_contents is function]
    if not cells:
        raise ConfigurationError(
            f"Agent {agent.name!r} does not call {function!r}",
            hint="Put the storage decorators directly above or below @agent",
        )
    for cell in cells:
        cell.cell_contents = replacement


def _cells(handler: object) -> list[CellType]:
    """The variables that praval's handlers close over, from the last one to the first."""
    if not isinstance(handler, FunctionType) or not handler.__module__.startswith("praval."):
        return []
    found = [cell for cell in handler.__closure__ or () if _is_filled(cell)]
    return found + [inner for cell in found for inner in _cells(cell.cell_contents)]


def _is_filled(cell: CellType) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:  # a variable that was never assigned
        return False
