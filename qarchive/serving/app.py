"""What answers to requests: addresses, headers, errors. Whatever is asked, nothing is changed."""

import sys
import traceback
from os import environ

from flask import Flask, Response, abort, redirect, request
from werkzeug.exceptions import HTTPException

from ..archive import Archive
from ..errors import Ambiguous, BadInput, NotFound, QArchiveError
from ..report.page import POLICY
from .pages import Address, Site

_HEADERS = {
    "Content-Security-Policy": f"{POLICY}; form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "interest-cohort=()",
    "Cache-Control": "no-store",  # what is in an archive is nobody else's, and changes
}
_TOLD = {  # titles and texts of answers that are no page of the archive's
    404: ("Not found", "There is no page at this address."),
    405: ("Only reading is answered", "Pages can be asked for, and nothing can be sent here."),
    421: ("Another name", "The archive is shown at the address that `qarchive serve` prints, and under no other name."),
}
_CODES = ((Ambiguous, 300), (NotFound, 404), (BadInput, 400))


def make(archive: Archive, hosts: frozenset[str]) -> Flask:
    """The application over an archive. Requests for other `hosts` ("127.0.0.1:8642") are refused: a page elsewhere may have its
    own name lead to this computer, and would then read what is here."""
    app = Flask(__name__, static_folder=None, template_folder=None)
    site = Site(archive)

    @app.before_request
    def guard() -> None:
        if request.host not in hosts:
            abort(421)
        if request.method not in ("GET", "HEAD"):
            abort(405)

    @app.after_request
    def protect(response: Response) -> Response:
        response.headers.update(_HEADERS)
        return response

    @app.errorhandler(Exception)
    def explain(error: Exception) -> tuple[str, int]:
        if isinstance(error, HTTPException):
            code = error.code or 500
            return site.error(*_TOLD.get(code, (error.name, error.description or error.name))), code
        if isinstance(error, QArchiveError):
            code = next((code for kind, code in _CODES if isinstance(error, kind)), 500)
            return site.refused(error), code
        if environ.get("QARCHIVE_DEBUG") == "1":
            traceback.print_exc(file=sys.stderr)
        told = f"{type(error).__name__}: {error}; please report it with what QARCHIVE_DEBUG=1 shows"
        return site.error("This is a bug in qarchive", told), 500

    @app.get("/", provide_automatic_options=False)
    def jobs() -> str | Response:
        answer = site.jobs(request.args)
        return redirect(answer.path, 303) if isinstance(answer, Address) else answer

    @app.get("/job/<path:reference>/calibration", provide_automatic_options=False)
    def calibration(reference: str) -> str:
        return site.calibration(reference, request.args.get("phase"))

    @app.get("/job/<path:reference>", provide_automatic_options=False)
    def job(reference: str) -> str:
        return site.job(reference)

    @app.get("/diff", provide_automatic_options=False)
    def chosen() -> str:
        return site.diff(request.args.getlist("job"))

    @app.get("/diff/<one>/<other>", provide_automatic_options=False)
    def diff(one: str, other: str) -> str:
        return site.diff([one, other])

    @app.get("/groups", provide_automatic_options=False)
    def groups() -> str:
        return site.groups(request.args.get("after"))

    @app.get("/group/<id>", provide_automatic_options=False)
    def group(id: str) -> str:
        return site.group(id, request.args.get("after"))

    @app.get("/devices", provide_automatic_options=False)
    def devices() -> str:
        return site.devices(request.args.get("after"))

    @app.get("/device/<path:backend>", provide_automatic_options=False)
    def device(backend: str) -> str:
        return site.device(backend)

    return app
