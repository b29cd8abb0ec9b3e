"""The frame of every page: one HTML file with its own style, and a policy by which a browser runs and fetches nothing else."""

from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from xml.etree.ElementTree import Element

from ..drawing.elements import Child, element, to_html
from ..version import __version__

STYLE = files(__package__).joinpath("style.css").read_text(encoding="utf-8").replace("\r\n", "\n")
_DIGEST = b64encode(sha256(STYLE.encode()).digest()).decode()
POLICY = f"default-src 'none'; style-src 'sha256-{_DIGEST}'; img-src data:; base-uri 'none'"


@dataclass(frozen=True)
class Links:
    """Where a page can lead to: nowhere, for one that stands alone. `shown` are the ids of the jobs that it holds itself."""

    shown: frozenset[str] = frozenset()

    def job(self, job: str) -> str | None:
        """The address of a job's page; None where there is none."""
        return f"#{anchor(job)}" if job in self.shown else None

    def group(self, group: str) -> str | None:
        """The address of a group's page, by its id."""
        return None

    def calibration(self, job: str, phase: str) -> str | None:
        """The address of all figures of a calibration."""
        return None

    def jobs(self, **filters: str) -> str | None:
        """The address of the jobs that fit."""
        return None


def anchor(job: str) -> str:
    """The id of a job's element in a page."""
    return f"job-{job[:12]}"


def document(title: str, body: Iterable[Child], *, policy: str | None = f"{POLICY}; form-action 'none'",
             banner: Element | None = None) -> str:  # fmt: skip
    """A page as HTML. `body` stands in its `<main>`, `banner` above it. Without a `policy` the page does not say one itself."""
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy) if policy else None,
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="referrer", content="no-referrer"),
        element("meta", name="generator", content=f"qarchive {__version__}"),
        element("link", rel="icon", href="data:,"),  # else a browser asks for one
        element("title", f"{title} · qarchive"),
        element("style", STYLE),
    )
    whole = element(
        "body",
        element("a", "Skip to the content", class_="skip", href="#content"),
        banner,
        element("main", *body, id="content", tabindex="-1"),
        element("footer", element("p", f"Made with qarchive {__version__}. All times are UTC.")),
    )
    return "<!DOCTYPE html>\n" + to_html(element("html", head, whole, lang="en")) + "\n"
