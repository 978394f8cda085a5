"""Alerts to people by Apprise: one URL for each mailbox, channel, pager or webhook that gets them."""

import logging
import os
import re
import unicodedata
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

import dagster as dg
from pydantic import Field

from mlops_assets.errors import MlopsAssetsError
from mlops_assets.text import inert

AlertKind = Literal[
    "run failed",
    "batch rejected",
    "drift",
    "decay",
    "inconclusive",
    "registry",
    "approval",
    "training given up",
    "challenger refused",
    "record cannot be read",
]
Severity = Literal["info", "warning", "failure"]

_SUBJECT, _REASON = 120, 600
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_HAS_HOST = {"json", "jsons", "xml", "xmls", "form", "forms", "mailto", "mailtos"}
_TALKATIVE = ("apprise", "urllib3", "requests")


@dataclass(frozen=True)
class Alert:
    """One thing that a person should know.

    `key` stays the same for as long as the thing does, so that it is told once; `covers` has the keys of those that an
    alert sums up. `link` is a path below Dagster's UI, `at` the moment in UTC as ISO 8601.
    """

    kind: AlertKind
    model: str
    subject: str
    reason: str
    link: str
    key: str
    at: str
    owners: tuple[str, ...] = ()
    severity: Severity = "warning"
    covers: tuple[str, ...] = ()

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of all that it tells."""
        return (self.key, *self.covers)

    def title(self) -> str:
        """Model, kind and subject on one line."""
        return f"[{self.model}] {self.kind}: {plain_text(self.subject, _SUBJECT)}"

    def body(self, ui_url: str) -> str:
        """Reason, owners and a link, a line each."""
        owners = ", ".join(self.owners) or "no owner declared"
        lines = plain_text(self.reason, _REASON), f"model: {self.model}", f"owner: {owners}"
        return "\n".join([*lines, f"{ui_url.rstrip('/')}/{self.link}"])


class DeliveryError(MlopsAssetsError):
    """Some services did not take an alert; `reached` names those that have it."""

    def __init__(self, message: str, reached: tuple[str, ...]) -> None:
        super().__init__(message)
        self.reached = reached


class Alerts(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Sends alerts to every Apprise URL in an environment variable.

    The URLs hold passwords and tokens. Dagster shows the configuration of a resource in its UI, so they are not part of
    it: they are read from the environment when they are needed, and no error or log names more than scheme and host.
    """

    variable: str = Field(
        "MLOPS_ASSETS_ALERTS", description="Environment variable with Apprise URLs, separated by blanks or commas."
    )
    ui_url: str = Field("http://127.0.0.1:3000", description="Dagster's UI, for links.")

    def services(self) -> list[str]:
        """What may be told of each URL, in order: `1: json://hooks.example.com`; empty when no alerts are sent."""
        return [_shown(number, url) for number, url in enumerate(self._urls(), 1)]

    def send(self, alert: Alert, reached: Collection[str] = ()) -> tuple[str, ...]:
        """Send to every service that is not in `reached`; return the names of all that have it now.

        A service gets about four seconds to connect and to answer. Raises `DeliveryError` after all were tried, naming
        those that failed, and `MlopsAssetsError` when Apprise is not installed or there is no URL.
        """
        apprise = _apprise()
        urls = self._urls()
        if not urls:
            raise MlopsAssetsError(f"no alerts can be sent: set {self.variable} to one or more Apprise URLs")
        kinds = {
            "info": apprise.NotifyType.INFO,
            "warning": apprise.NotifyType.WARNING,
            "failure": apprise.NotifyType.FAILURE,
        }
        done, problems = [], []
        for name, url in zip(self.services(), urls, strict=True):
            if name in reached:
                done.append(name)
                continue
            problem = _send(apprise, url, alert.title(), alert.body(self.ui_url), kinds[alert.severity])
            if problem:
                problems.append(f"{name}: {problem}")
            else:
                done.append(name)
        if problems:
            raise DeliveryError(
                f"{alert.title()} was not sent to {len(problems)} of {len(urls)} services: {'; '.join(problems)}. "
                f"`apprise -vv -b test URL` on this machine shows why",
                tuple(done),
            )
        return tuple(done)

    def _urls(self) -> list[str]:
        text = os.environ.get(self.variable, "").strip(" \t\r\n,")
        return re.split(r"[\s,]+(?=[A-Za-z][A-Za-z0-9+.-]*://)", text) if text else []


def plain_text(text: str, limit: int) -> str:
    """Text of others on one line: no control characters, no link, no mention (`@all`, `<!channel>`) of people."""
    visible = "".join(" " if unicodedata.category(character)[0] == "C" else character for character in text)
    line = " ".join(visible.split())
    return inert(line if len(line) <= limit else line[: limit - 1] + "…")


def _apprise() -> Any:
    try:
        import apprise
    except ImportError as error:
        raise MlopsAssetsError('alerts need Apprise: pip install "mlops-assets[alerts]"') from error
    return apprise


def _send(apprise: Any, url: str, title: str, body: str, kind: Any) -> str:
    """Send to one service; "" or what went wrong, without the URL."""
    with _silent():
        try:
            service = apprise.Apprise()
            if not service.add(url):
                return "Apprise does not know such a URL"
            sent = service.notify(body=body, title=title, notify_type=kind, body_format=apprise.NotifyFormat.TEXT)
        except Exception as error:  # a plugin may raise anything, with the URL in its message: only the class is told
            return f"it failed with {type(error).__name__}"
    return "" if sent else "no answer, or one that refuses the alert"


@contextmanager
def _silent() -> Iterator[None]:
    """No log from those who know the URL: at DEBUG, and in errors, they write it down."""
    loggers = [logging.getLogger(name) for name in _TALKATIVE]
    before = [(each, each.level, each.propagate) for each in loggers]
    for each in loggers:
        each.setLevel(logging.CRITICAL + 1)  # also for loggers below it that have no level of their own
        each.propagate = False
    try:
        yield
    finally:
        for each, level, propagate in before:
            each.setLevel(level)
            each.propagate = propagate


def _shown(number: int, url: str) -> str:
    """Number and scheme, and the host where the scheme has one: for many services that part of the URL is a token."""
    scheme = _SCHEME.match(url)
    if scheme is None:
        return f"{number}: not a URL"
    name, rest = scheme[1].lower(), url[scheme.end() :]
    netloc, _, after = rest.partition("/")
    try:
        host = urlsplit(f"//{netloc}").hostname or ""
    except ValueError:  # a netloc that is none, such as an unclosed [
        host = ""
    # A password with a slash in it would end the netloc early, and leave its first half looking like a host.
    told = name in _HAS_HOST and "@" not in after and re.fullmatch(r"[a-z0-9.:-]+", host)
    return f"{number}: {name}://{host if told else '...'}"
