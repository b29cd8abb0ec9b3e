"""roc-validator, offline: what it would fetch is put into its cache beforehand."""

import io
import json
import warnings
from pathlib import Path

import requests
import urllib3
from requests_cache import CachedSession
from rocrate_validator.models import Severity
from rocrate_validator.services import validate
from rocrate_validator.utils.http import HttpRequester

CONTEXTS = {"https://w3id.org/ro/crate/1.1/context": Path(__file__).parent / "data" / "contexts" / "ro-crate-1.1.json"}


def problems(crate, cache):
    """What the Process Run Crate profile and those below it REQUIRE and a crate lacks, in words.

    The contexts hold those terms of the real ones that our crates use: a term that they lack is reported. `cache` is a folder.
    """
    path = cache / "http"
    with CachedSession(str(path), backend="sqlite", expire_after=-1) as session:
        for address, file in CONTEXTS.items():
            raw = urllib3.HTTPResponse(io.BytesIO(file.read_bytes()), {"Content-Type": "application/ld+json"}, 200,
                                       preload_content=False, request_url=address)  # fmt: skip
            answer = requests.adapters.HTTPAdapter().build_response(requests.Request("GET", address).prepare(), raw)
            session.cache.save_response(answer)
    settings = {"rocrate_uri": str(crate), "profile_identifier": "process-run-crate", "requirement_severity": Severity.REQUIRED,
                "offline": True, "cache_path": path, "cache_max_age": -1, "skip_availability_check": True,
                "validate_profile_checks": False}  # fmt: skip
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of its own
            result = validate(settings)
    finally:
        HttpRequester.reset()
    found = sorted(f"{issue.check.identifier}: {issue.message}" for issue in result.get_issues(Severity.REQUIRED))
    assert result.passed() == (not found)
    return found


def terms():
    return json.loads(next(iter(CONTEXTS.values())).read_text())["@context"]
