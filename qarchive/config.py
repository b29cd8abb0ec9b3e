"""Where the archive is, and the user's few settings. Flag > environment > nearest `.qarchive/` > config file > data folder."""

import json
import os
import re
import tomllib
from collections.abc import Callable
from pathlib import Path

from platformdirs import user_config_path, user_data_path

from . import disk
from .errors import BadInput

ENVIRONMENT = "QARCHIVE"
FOLDER = ".qarchive"
CODE_ENVIRONMENT = "QARCHIVE_CODE"
SETTINGS = {"archive": "the folder of the archive that is used where nothing else names one",
            "on_error": "warn or raise: what happens to a run that cannot be recorded",
            "code": "on or off: whether jobs keep the git commit and the script's hash; also $QARCHIVE_CODE",
            "author": 'who is cited: "Family, Given", several with " and " between them',
            "orcid": "the first author's ORCID",
            "licence": "an SPDX id such as CC-BY-4.0, for what you cite and export"}  # fmt: skip
ON_ERROR = ("warn", "raise")
_CODE = ("on", "off")


def config_file() -> Path:
    return user_config_path("qarchive") / "config.toml"


def read() -> dict[str, str]:
    """The settings in the config file, empty where there is none. Raises BadInput."""
    path = config_file()
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(str(path), f"is no TOML ({error})", "mend or delete it") from None
    for name, value in settings.items():
        check(name, value)
    return settings


def check(name: str, value: object) -> None:
    """Raises BadInput for a setting that there is not, or a value that it cannot have."""
    if name not in SETTINGS:
        raise BadInput(f"the setting {name!r}", "does not exist", f"the settings are {', '.join(SETTINGS)}")
    fits, wanted = _FORMS.get(name, (lambda _: True, "text"))
    if type(value) is not str or not fits(value):
        raise BadInput(f"the setting {name}", f"cannot be {value!r}", f"it is {wanted}")


def is_orcid(text: str) -> bool:
    """Whether a text is an ORCID: four groups of four, of which the last character checks the others (ISO 7064, MOD 11-2)."""
    if not re.fullmatch(r"(\d{4}-){3}\d{3}[\dX]", text, re.ASCII):
        return False
    *digits, last = text.replace("-", "")
    total = 0
    for digit in digits:
        total = (total + int(digit)) * 2
    return "0123456789X"[(12 - total % 11) % 11] == last


def is_licence(text: str) -> bool:
    """Whether a text has the form of an SPDX licence id, such as CC-BY-4.0; their list is not looked at."""
    return bool(re.fullmatch(r"[A-Za-z0-9.+-]{2,64}", text))


# Of settings that cannot be any text: what fits, and what to say otherwise.
_FORMS: dict[str, tuple[Callable[[str], bool], str]] = {
    "on_error": (ON_ERROR.__contains__, " or ".join(ON_ERROR)),
    "code": (_CODE.__contains__, " or ".join(_CODE)),
    "author": (lambda text: bool(text.strip()), '"Family, Given"'),
    "orcid": (is_orcid, "one such as 0000-0002-1825-0097, of which the last digit checks the others"),
    "licence": (is_licence, "an SPDX id such as CC-BY-4.0"),
}


def keeps_code() -> bool:
    """Whether jobs keep the state of the code that ran them: $QARCHIVE_CODE, else the setting, else yes.

    No where either says anything but "on", or where the settings cannot be read: then nobody agreed.
    """
    try:
        return (os.environ.get(CODE_ENVIRONMENT) or read().get("code", "on")) == "on"
    except (BadInput, OSError):
        return False


def authorship(**given: str | None) -> dict[str, str]:
    """`author`, `orcid` and `licence`, as given or else as set; those that are neither are left out. Raises BadInput."""
    settings = read()
    found = {name: settings.get(name) if value is None else value for name, value in given.items()}
    for name, value in found.items():
        if value is not None:
            check(name, value)
    return {name: value for name, value in found.items() if value is not None}


def write(name: str, value: str | None) -> None:
    """Set one setting, or remove it with None. Raises BadInput, CannotWrite."""
    if value is not None or name not in SETTINGS:
        check(name, value)
    settings = read()
    settings.pop(name, None)
    if value is not None:
        settings[name] = value
    path = config_file()
    # A JSON string is a TOML basic string.
    text = "".join(f"{key} = {json.dumps(settings[key], ensure_ascii=False)}\n" for key in sorted(settings))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        disk.replace(path, text.encode())
    except OSError as error:
        raise disk.cannot_write(path, error) from error


def locate(explicit: str | os.PathLike | None = None) -> tuple[Path, str]:
    """(folder of the archive to use, what named it). The folder need not exist yet."""
    if explicit is not None:
        return Path(explicit).expanduser(), "as given"
    if named := os.environ.get(ENVIRONMENT):
        return Path(named).expanduser(), f"${ENVIRONMENT}"
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / FOLDER).is_dir():
            return folder / FOLDER, f"the nearest {FOLDER}/"
    if named := read().get("archive"):
        return Path(named).expanduser(), str(config_file())
    return user_data_path("qarchive") / "archive", "the default"
