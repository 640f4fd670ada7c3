"""All providers at a glance: how the last call of each went, what it can do, how it is set. Asks nobody."""

from __future__ import annotations

from praval_storage.base import settings_of
from praval_storage.display import WIDEST, Table, as_html, as_text, codes, counted, facts, folded, printable
from praval_storage.options import options
from praval_storage.provider_calls import took
from praval_storage.provider_set import ProviderSet

MOST_BYTES = 5_000
"""Of details: those of later providers are left out."""


def text(providers: ProviderSet, title: str) -> str:
    """A line for each provider."""
    return as_text(_table(providers, title, in_full=False))


def html(providers: ProviderSet, title: str) -> str:
    """A line for each provider, what is known of it, and what to do next."""
    table = as_html(_table(providers, title, in_full=not options.stable_repr))
    pieces: list[str] = []
    for name in providers:
        piece = _details(providers, name)
        if sum(map(len, pieces)) + len(table) + len(piece) > MOST_BYTES:
            pieces.append(
                f"<p>details of {counted(len(providers) - len(pieces), 'more provider')} left out</p>"
            )
            break
        pieces.append(piece)
    first = next(iter(providers), "...")
    return table + "".join(pieces) + codes("dm.browse()", f"dm.ls({first!r})", "dm.health()")


def _table(providers: ProviderSet, title: str, *, in_full: bool) -> Table:
    last = {name: providers.calls(name).last for name in providers}
    notes = {name: providers.remark(name) for name in providers}
    down = sum(each.status == "down" for each in last.values())
    title = f"{title}: {counted(len(last), 'provider')}{f', {down} down' if down else ''}"
    if not in_full:
        rows = [[printable(name), each.status, notes[name]] for name, each in last.items()]
        return Table(title, ("provider", "state", ""), rows, 0)
    full = [
        [printable(name), each.status, _last_call(providers, name), providers.place(name)]
        for name, each in last.items()
    ]
    return Table(title, ("provider", "state", "last call", "where"), full, 0)


def _last_call(providers: ProviderSet, name: str) -> str:
    age = providers.calls(name).age
    when = "" if age is None else f"{_ago(age)} ago"
    return ", ".join(filter(None, [took(providers.calls(name).last), when, providers.remark(name)]))


def _ago(seconds: float) -> str:
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length:.0f} {unit}"
    return f"{seconds:.0f} s"


def _details(providers: ProviderSet, name: str) -> str:
    provider = providers.made(name)
    if provider is None:
        return ""
    known = {"can": ", ".join(provider.abilities())}
    for setting in () if options.stable_repr else settings_of(provider):
        if setting.source != "default":
            known[setting.name] = f"{setting.value} ({setting.source})"
    if (error := providers.calls(name).error) and not options.stable_repr:
        known["last error"] = error
    return folded(printable(name), as_html(facts("", known, width=WIDEST)))
