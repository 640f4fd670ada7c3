"""What ``dm.doctor()`` found: by provider what is wrong, where settings came from, and what to do.

A provider contributes a :class:`Checkup`; the rest is known of every provider.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import groupby

from praval_storage.display import Table, as_html, as_text, counted, printable
from praval_storage.options import options
from praval_storage.settings import DEFAULT, Setting

_WIDTH = 60
_REASON_WIDTH = 300
_FOLDER = re.compile(r"(?<= )/.*/(?=[^/]+$)")
"""The folder of a file that a text ends with."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that was found out.

    Attributes:
        what: What there is, in one sentence without a full stop.
        cure: What to do about it.
        is_note: Whether it is good to know only, and nothing is wrong.
    """

    what: str
    cure: str = ""
    is_note: bool = False

    def __str__(self) -> str:
        kind = "note: " if self.is_note else ""
        return f"{kind}{self.what}. {self.cure}" if self.cure else f"{kind}{self.what}"


@dataclass(frozen=True, slots=True)
class Checkup:
    """What a provider found out about its backend.

    Attributes:
        server: What the backend calls itself, with its version.
        findings: What is not as it should be, or good to know.
    """

    server: str = ""
    findings: Sequence[Finding] = ()


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All that was found out about one provider.

    Attributes:
        status: ``"up"`` or ``"down"``.
        reason: Why it is down, in full.
        error: Class of the error that was.
        cure: What to do about that.
        seconds: How long it took to reach it.
        read_only: Whether it is registered read-only.
        server: What the backend calls itself, with its version.
        libraries: Versions of the libraries it is reached by.
        settings: What it was made from, and where that came from.
        findings: What is not as it should be, or good to know.
    """

    status: str
    reason: str = ""
    error: str = ""
    cure: str = ""
    seconds: float = 0.0
    read_only: bool = False
    server: str = ""
    libraries: Mapping[str, str] = field(default_factory=dict)
    settings: Sequence[Setting] = ()
    findings: Sequence[Finding] = ()

    @property
    def problems(self) -> list[Finding]:
        """The findings that something should be done about."""
        return [finding for finding in self.findings if not finding.is_note]


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class DoctorReport(Mapping[str, Diagnosis]):
    """A diagnosis by provider. ``print`` shows values, addresses and times; the repr what stays the same.

    Attributes:
        diagnoses: By storage type.
        origin: Which environment the providers were made from.
    """

    diagnoses: Mapping[str, Diagnosis]
    origin: str = ""

    def __getitem__(self, name: str) -> Diagnosis:
        return self.diagnoses[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.diagnoses)

    def __len__(self) -> int:
        return len(self.diagnoses)

    @property
    def is_healthy(self) -> bool:
        """Whether all providers are up, and nothing should be done."""
        return all(each.status == "up" and not each.problems for each in self.values())

    def __repr__(self) -> str:
        rows = [(printable(name), each.status, _summary(each)) for name, each in self.items()]
        parts = [as_text(Table(_title(self), ("provider", "state", ""), rows, 0))]
        parts += [f"settings: {printable(_FOLDER.sub('', self.origin), 200)}"] if self.origin else []
        parts += [
            f"{printable(name)}: {_from_variables(each)}" for name, each in self.items() if _named(each)
        ]
        parts += [f"{name}: {printable(str(each), _REASON_WIDTH)}" for name, each in _findings(self)]
        return "\n".join([*parts, "print() of this report adds values, addresses and times"])

    def __str__(self) -> str:
        origin = [f"settings: {printable(self.origin, 200)}"] if self.origin else []
        return "\n".join([_title(self), *origin, *(_in_full(name, each) for name, each in self.items())])

    def _repr_html_(self) -> str:
        if options.stable_repr:
            return f"<pre>{escape(repr(self))}</pre>"
        sections = "".join(_section(name, each) for name, each in self.items())
        origin = f"<p>settings: {escape(printable(self.origin, 200))}</p>" if self.origin else ""
        return f"<div><p>{_title(self)}</p>{origin}{sections}</div>"

    def _ipython_key_completions_(self) -> list[str]:
        return list(self)


def _title(report: DoctorReport) -> str:
    up = sum(each.status == "up" for each in report.values())
    problems = sum(len(each.problems) for each in report.values())
    found = f"; {counted(problems, 'finding')} to act on" if problems or report.is_healthy else ""
    return f"DoctorReport: {counted(len(report), 'provider')}: {up} up, {len(report) - up} down{found}"


def _findings(report: DoctorReport) -> Iterator[tuple[str, Finding]]:
    for name, each in report.items():
        for finding in each.findings:
            yield printable(name), finding


def _named(each: Diagnosis) -> list[Setting]:
    """The settings that are not what they are by default."""
    return [setting for setting in each.settings if setting.source != DEFAULT]


def _summary(each: Diagnosis) -> str:
    """One line without anything that differs from run to run."""
    why = printable(". ".join(filter(None, (each.error, each.cure))), _REASON_WIDTH)
    return ", ".join(filter(None, ("read-only" if each.read_only else "", why)))


def _from_variables(each: Diagnosis) -> str:
    """Which settings came from where; a ``.env`` file without its folder, which differs by machine."""

    def origin(setting: Setting) -> str:
        return printable(_FOLDER.sub("", setting.source), 200)

    texts = [
        f"{', '.join(printable(setting.name) for setting in group)} from {source}"
        for source, group in groupby(sorted(_named(each), key=origin), origin)
    ]
    return "; ".join(texts)


def _facts(each: Diagnosis) -> list[tuple[str, str]]:
    """What there is to say of a provider apart from its settings and findings."""
    libraries = ", ".join(f"{name} {version}" for name, version in each.libraries.items())
    facts = [("why", each.reason), ("server", each.server), ("libraries", libraries)]
    return [(name, printable(text, _REASON_WIDTH)) for name, text in facts if text]


def _in_full(name: str, each: Diagnosis) -> str:
    """A provider as text."""
    table = [
        (f"  {printable(setting.name)}", _value(setting), f"from {printable(setting.source, 200)}")
        for setting in _named(each)
    ]
    widths = [max((len(row[column]) for row in table), default=0) for column in range(2)]
    lines = [
        _headline(name, each),
        *(f"  {fact}: {text}" for fact, text in _facts(each)),
        *(f"{row[0].ljust(widths[0])}  {row[1].ljust(widths[1])}  {row[2]}" for row in table),
        *([f"  {DEFAULT}: {_defaults(each)}"] if _defaults(each) else []),
        *(f"  - {printable(str(finding), _REASON_WIDTH)}" for finding in each.findings),
    ]
    return "\n".join(lines)


def _section(name: str, each: Diagnosis) -> str:
    """A provider as HTML that opens on a click, or by itself when there is something to do."""
    rows = [
        *_facts(each),
        *(
            (printable(setting.name), f"{_value(setting)} ({printable(setting.source, 200)})")
            for setting in _named(each)
        ),
    ]
    rows += [(DEFAULT, _defaults(each))] if _defaults(each) else []
    found = "".join(f"<li>{escape(printable(str(one), _REASON_WIDTH))}</li>" for one in each.findings)
    body = (f"<ul>{found}</ul>" if found else "") + as_html(Table("", ("", ""), rows, 0))
    is_open = " open" if each.status != "up" or each.problems else ""
    return f"<details{is_open}><summary>{escape(_headline(name, each))}</summary>{body}</details>"


def _headline(name: str, each: Diagnosis) -> str:
    took = f"{each.seconds * 1e3:.0f} ms" if each.seconds else ""
    findings = counted(len(each.problems), "finding") if each.problems else ""
    facts = (each.status, took, "read-only" if each.read_only else "", findings)
    return f"{printable(name)}: {', '.join(filter(None, facts))}"


def _value(setting: Setting) -> str:
    return printable(setting.value, _WIDTH)


def _defaults(each: Diagnosis) -> str:
    return ", ".join(
        f"{printable(setting.name)}={_value(setting)}"
        for setting in each.settings
        if setting.source == DEFAULT and setting.value != "not set"
    )
