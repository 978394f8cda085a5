"""Alerts to people by Apprise: one URL for each mailbox, channel, pager or webhook that gets them."""

import logging
import os
import re
import unicodedata
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal
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


@dataclass(frozen=True, kw_only=True)
class Alert:
    """One message to people.

    `key` stays the same as long as its cause does, so that the alert is sent once. `covers` holds the keys of the
    alerts that it sums up. `link` is a path below Dagster's UI, `at` the moment in UTC as ISO 8601.
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
        """The keys of the alert and of all alerts that it sums up."""
        return (self.key, *self.covers)

    def title(self) -> str:
        """Return model, kind and subject on one line."""
        return f"[{self.model}] {self.kind}: {plain_text(self.subject, _SUBJECT)}"

    def body(self, ui_url: str) -> str:
        """Return reason, model, owners and a link, one line each."""
        owners = ", ".join(self.owners) or "no owner declared"
        lines = plain_text(self.reason, _REASON), f"model: {self.model}", f"owner: {owners}"
        return "\n".join([*lines, f"{ui_url.rstrip('/')}/{self.link}"])


class DeliveryError(MlopsAssetsError):
    """Some services did not take an alert; `reached` names the services that have it."""

    def __init__(self, message: str, reached: tuple[str, ...]) -> None:
        super().__init__(message)
        self.reached = reached


class Alerts(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Sends alerts to every Apprise URL in an environment variable.

    The URLs hold passwords and tokens, and Dagster shows a resource's configuration in its UI. So URLs are read from
    the environment when they are needed; errors and logs name at most their scheme and host.
    """

    variable: str = Field(
        "MLOPS_ASSETS_ALERTS", description="Environment variable with Apprise URLs, separated by blanks or commas."
    )
    ui_url: str = Field("http://127.0.0.1:3000", description="Dagster's UI, for links.")

    def services(self) -> list[str]:
        """Return a name without secrets for each URL, in order: `1: json://hooks.example.com`; empty without URLs."""
        return [_shown(number, url) for number, url in enumerate(self._urls(), 1)]

    def send(self, alert: Alert, reached: Collection[str] = ()) -> tuple[str, ...]:
        """Send to every service that is not in `reached`; return the names of all services that now have the alert.

        A service has about four seconds to connect and to answer. After all services were tried, raise `DeliveryError`
        that names the failed ones. Raise `MlopsAssetsError` if Apprise is not installed or there is no URL.
        """
        if find_spec("apprise") is None:
            raise MlopsAssetsError('alerts need Apprise: pip install "mlops-assets[alerts]"')
        urls = self._urls()
        if not urls:
            raise MlopsAssetsError(f"no alerts can be sent: set {self.variable} to one or more Apprise URLs")
        done, problems = [], []
        for name, url in zip(self.services(), urls, strict=True):
            problem = "" if name in reached else _send(url, alert, self.ui_url)
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
    """Return foreign text on one line: no control characters, no link, no mention (`@all`, `<!channel>`) of people."""
    visible = "".join(" " if unicodedata.category(character)[0] == "C" else character for character in text)
    line = " ".join(visible.split())
    return inert(line if len(line) <= limit else line[: limit - 1] + "…")


def _send(url: str, alert: Alert, ui_url: str) -> str:
    """Send to one service; return "" or what went wrong, without the URL."""
    import apprise

    with _silent():
        try:
            service = apprise.Apprise()
            if not service.add(url):
                return "Apprise does not know such a URL"
            sent = service.notify(
                body=alert.body(ui_url),
                title=alert.title(),
                notify_type=getattr(apprise.NotifyType, alert.severity.upper()),  # not an enumeration in 1.9.0
                body_format=apprise.NotifyFormat.TEXT,
            )
        except Exception as error:  # a plugin may raise anything, with the URL in its message: show only the class
            return f"it failed with {type(error).__name__}"
    return "" if sent else "no answer, or one that refuses the alert"


@contextmanager
def _silent() -> Iterator[None]:
    """Silence the loggers of packages that know the URL: they log it at DEBUG and in errors."""
    loggers = [logging.getLogger(name) for name in _TALKATIVE]
    before = [(logger.level, logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)  # also for loggers below it that have no level of their own
        logger.propagate = False
    try:
        yield
    finally:
        for logger, (level, propagate) in zip(loggers, before, strict=True):
            logger.setLevel(level)
            logger.propagate = propagate


def _shown(number: int, url: str) -> str:
    """Return number and scheme, and the host if the scheme has one: many services have a token in its place."""
    scheme = _SCHEME.match(url)
    if scheme is None:
        return f"{number}: not a URL"
    name, rest = scheme[1].lower(), url[scheme.end() :]
    netloc, _, after = rest.partition("/")
    try:
        host = urlsplit(f"//{netloc}").hostname or ""
    except ValueError:  # an invalid netloc, such as an unclosed [
        host = ""
    # A slash in a password ends the netloc early, so that the first half of the password looks like a host.
    safe = name in _HAS_HOST and "@" not in after and re.fullmatch(r"[a-z0-9.:-]+", host)
    return f"{number}: {name}://{host if safe else '...'}"
