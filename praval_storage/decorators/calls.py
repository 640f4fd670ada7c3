"""Functions of every kind, with something done before they run: the same kind, signature and docstring."""

from __future__ import annotations

import inspect
import sys
from asyncio import to_thread
from collections.abc import AsyncGenerator, Callable, Generator
from functools import wraps
from typing import Any

from praval_storage.decorators.requirement import Requirement
from praval_storage.manager import DataManager

Function = Callable[..., Any]
PARAMETER = "storage"


class Entry:
    """What comes before a call: required storage answers, and ``storage=`` is passed where it is taken.

    Args:
        function: The function as it was written.
        requirement: What must answer.
        storage: What is passed, unless the caller does.
    """

    def __init__(
        self, function: Function, requirement: Requirement | None, storage: DataManager | None
    ) -> None:
        self._requirement = requirement
        self._storage = storage
        self._place = None if storage is None else _place(function)

    def is_open(self) -> bool:
        """Whether the required storage has answered."""
        return self._requirement is None or self._requirement.is_met()

    def check(self) -> None:
        """Ask the required storage; raises what is missing."""
        if self._requirement is not None:
            self._requirement.check()

    def complete(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Add ``storage`` to the arguments of a function that takes it and was not given it."""
        if self._place is not None and len(args) <= self._place:
            kwargs.setdefault(PARAMETER, self._storage)


def wrapped(function: Function, entry: Entry) -> Function:
    """The function behind its entry; generators enter when they are advanced, coroutines when awaited."""
    if inspect.isasyncgenfunction(function):
        return _async_generator(function, entry)
    if inspect.iscoroutinefunction(function):
        return _coroutine(function, entry)
    if inspect.isgeneratorfunction(function):
        return _generator(function, entry)
    return _plain(function, entry)


def _plain(function: Function, entry: Entry) -> Function:
    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if not entry.is_open():
            entry.check()
        entry.complete(args, kwargs)
        return function(*args, **kwargs)

    return call


def _generator(function: Function, entry: Entry) -> Function:
    @wraps(function)
    def generate(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        if not entry.is_open():
            entry.check()
        entry.complete(args, kwargs)
        return (yield from function(*args, **kwargs))

    return generate


def _coroutine(function: Function, entry: Entry) -> Function:
    @wraps(function)
    async def call(*args: Any, **kwargs: Any) -> Any:
        if not entry.is_open():
            await to_thread(entry.check)
        entry.complete(args, kwargs)
        return await function(*args, **kwargs)

    return call


def _async_generator(function: Function, entry: Entry) -> Function:
    @wraps(function)
    async def generate(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        if not entry.is_open():
            await to_thread(entry.check)
        entry.complete(args, kwargs)
        inner = function(*args, **kwargs)
        step = anext(inner)
        try:
            while True:
                item = await step
                try:
                    step = inner.asend((yield item))
                except GeneratorExit:
                    raise
                except BaseException as error:  # noqa: BLE001 - thrown in, and the function's to handle
                    step = inner.athrow(error)
        except StopAsyncIteration:  # the function has ended, and so does this
            return
        finally:
            await inner.aclose()

    return generate


def _place(function: Function) -> int | None:
    """How many positional arguments leave ``storage`` open; ``None`` when the function does not take it."""
    try:
        parameters = inspect.signature(function).parameters
    except ValueError:  # some builtins have none to show
        return None
    kinds = {inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY}
    if PARAMETER not in parameters or parameters[PARAMETER].kind not in kinds:
        return None
    if parameters[PARAMETER].kind is inspect.Parameter.KEYWORD_ONLY:
        return sys.maxsize
    return [*parameters].index(PARAMETER)
