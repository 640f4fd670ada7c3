"""``%dm`` and ``%%dm_query``: listings and queries in one line of a notebook.

    %dm ls s3://lab/reports/ --text day --limit 20
    %dm tree postgresql --depth 1
    %dm ls redis://app/ --delimiter /
    %dm health
    %dm get praval://filesystem/user_alice

    %%dm_query postgresql --limit 500 --order-by -created_at > df
    {"metadata.kind": "login", "n": {"$gt": 3}}

The manager is the variable ``dm`` where there is one, else that of ``get_data_manager``. The filter in a cell
is JSON or a Python literal; an empty one matches everything.
"""

from __future__ import annotations

import ast
import re
import shlex
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import orjson
from IPython.core.error import UsageError
from IPython.core.magic import Magics, cell_magic, line_magic, magics_class

from praval_storage.environment import get_data_manager
from praval_storage.errors import StorageError
from praval_storage.manager import DataManager

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

_TARGET = re.compile(r"(?:^|\s)>\s*(\S*)\s*$")
_VARIABLE = "dm"


class Notice(str):
    """A line that is shown as it is."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


class _Parser(ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; {' '.join(self.format_usage().split())}")


@magics_class
class StorageMagics(Magics):
    """The magics of praval_storage."""

    @line_magic
    def dm(self, line: str) -> Any:
        """``%dm ls [where]``, ``%dm tree [where]``, ``%dm health [provider]``, ``%dm get <uri>``."""
        given = _parsed(_commands(), line)
        manager = _manager(self._names)
        return _in_one_line(lambda: _ANSWERS[given.command](manager, given))

    @cell_magic
    def dm_query(self, line: str, cell: str) -> Any:
        """``%%dm_query <provider> [--limit N] [--order-by path] [--collection name] [> name]``."""
        target = _TARGET.search(line)
        given = _parsed(_query(), line[: target.start()] if target else line)
        name = None if target is None else _identifier(target[1])
        filters = _filters(cell)
        manager = _manager(self._names)
        result = _in_one_line(
            lambda: manager.query(
                given.provider, filters, given.limit, order_by=given.order_by, collection=given.collection
            )
        )
        if name is None:
            return result
        frame = _in_one_line(result.to_pandas)
        self._names[name] = frame
        cut = f", cut at limit={given.limit}: --limit all for the rest" if result.truncated else ""
        return Notice(f"{name}: {len(frame)} rows, {len(frame.columns)} columns{cut}")

    @property
    def _names(self) -> dict[str, Any]:
        """The user's variables."""
        assert self.shell is not None  # noqa: S101 - it has registered us
        names: dict[str, Any] = self.shell.user_ns
        return names


def load(shell: InteractiveShell) -> None:
    """Make the magics known, and complete what follows ``%dm``."""
    shell.register_magics(StorageMagics)
    shell.set_hook("complete_command", _completions, str_key="%dm")  # type: ignore[no-untyped-call]


def _commands() -> ArgumentParser:
    parser = _Parser(prog="%dm", add_help=False)
    commands = parser.add_subparsers(dest="command", required=True, parser_class=_Parser)
    ls = commands.add_parser("ls", prog="%dm ls", add_help=False)
    ls.add_argument("where", nargs="?", default="")
    ls.add_argument("--text", default="")
    ls.add_argument("--limit", type=int, default=100)
    ls.add_argument("--delimiter")
    tree = commands.add_parser("tree", prog="%dm tree", add_help=False)
    tree.add_argument("where", nargs="?", default="")
    tree.add_argument("--depth", type=int, default=2)
    tree.add_argument("--delimiter")
    commands.add_parser("health", prog="%dm health", add_help=False).add_argument("provider", nargs="?")
    commands.add_parser("get", prog="%dm get", add_help=False).add_argument("uri")
    return parser


_ANSWERS: dict[str, Callable[[DataManager, Namespace], Any]] = {
    "ls": lambda manager, given: manager.ls(
        given.where, text=given.text, limit=given.limit, delimiter=given.delimiter
    ),
    "tree": lambda manager, given: manager.tree(given.where, depth=given.depth, delimiter=given.delimiter),
    "health": lambda manager, given: manager.health(given.provider),
    "get": lambda manager, given: manager.retrieve(given.uri),
}


def _query() -> ArgumentParser:
    parser = _Parser(prog="%%dm_query", add_help=False)
    parser.add_argument("provider")
    parser.add_argument("--limit", type=_limit, default=100)
    parser.add_argument("--order-by")
    parser.add_argument("--collection")
    return parser


def _limit(text: str) -> int | None:
    return None if text == "all" else int(text)


def _parsed(parser: ArgumentParser, line: str) -> Namespace:
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise UsageError(f"{error} in {line!r}") from None
    return parser.parse_args(_bound(words))


def _bound(words: Sequence[str]) -> list[str]:
    """``--order-by -n`` as one word: argparse would take the order, or a dash as delimiter, for an option."""
    found: list[str] = []
    for word in words:
        if found and found[-1] in {"--order-by", "--delimiter"}:
            found[-1] = f"{found[-1]}={word}"
        else:
            found.append(word)
    return found


def _identifier(name: str) -> str:
    if not name.isidentifier():
        raise UsageError(f"> needs the name of a variable, not {name!r}")
    return name


def _filters(cell: str) -> dict[str, Any] | None:
    text = cell.strip()
    if not text:
        return None
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        try:
            found = ast.literal_eval(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
            raise UsageError(f"The cell is neither JSON nor a Python literal: {error}") from None
    if not isinstance(found, dict):
        raise UsageError(f"A filter is a mapping of paths, not a {type(found).__name__}")
    return found


def _manager(names: Mapping[str, Any]) -> DataManager:
    found = names.get(_VARIABLE)
    return found if isinstance(found, DataManager) else get_data_manager()


def _in_one_line(work: Callable[[], Any]) -> Any:
    try:
        return work()
    except (StorageError, ImportError) as error:
        raise UsageError(f"{type(error).__name__}: {' '.join(str(error).split())}") from error


def _completions(shell: InteractiveShell, event: Any) -> list[str]:
    """Commands, then providers."""
    words = event.line[: len(event.text_until_cursor)].split()
    is_first = len(words) < 2 or (len(words) == 2 and not event.text_until_cursor.endswith(" "))
    if is_first:
        return sorted(_ANSWERS)
    names = list(_manager(shell.user_ns).providers)
    if words[1] in {"ls", "tree"}:
        return [*names, *(f"{name}://" for name in names)]
    return names if words[1] == "health" else [f"praval://{name}/" for name in names]
