"""What an interrupt must not leave behind: blocks that are open although nobody is in them."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, _GeneratorContextManager
from functools import wraps
from types import TracebackType
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from psycopg.pq import TransactionStatus

if TYPE_CHECKING:
    import psycopg

P = ParamSpec("P")
T = TypeVar("T")


class _Ending(_GeneratorContextManager[T]):
    def __enter__(self) -> T:
        try:
            return super().__enter__()
        except BaseException:
            self.gen.close()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        try:
            return super().__exit__(kind, error, traceback)
        except BaseException:
            self.gen.close()
            raise


def contextmanager(function: Callable[P, Iterator[T]]) -> Callable[P, AbstractContextManager[T]]:
    """As ``contextlib.contextmanager``, but ended at once when it is interrupted while it is entered or left.

    Python's own would be ended when its traceback is forgotten, which may be much later: by then the
    connection belongs to somebody else.
    """

    @wraps(function)
    def begin(*args: P.args, **options: P.kwargs) -> AbstractContextManager[T]:
        return _Ending(cast("Callable[..., Generator[T]]", function), args, options)

    return begin


def has_open_block(connection: psycopg.Connection[Any]) -> bool:
    """Whether a block of psycopg was entered and not left; it may be left at any time, and roll back then.

    A connection that is closed is safe from that, and one that is still in the transaction of the block is
    discarded by its pool.
    """
    open_blocks: int = getattr(connection, "_num_transactions", 0)  # how psycopg counts them
    return not connection.closed and open_blocks > 0


@contextmanager
def unbroken(connection: psycopg.Connection[Any]) -> Iterator[None]:
    """Close a connection on which an interrupt has left an answer unread: nothing can be said on it."""
    try:
        yield
    except BaseException:
        if connection.info.transaction_status == TransactionStatus.ACTIVE:
            connection.close()
        raise
