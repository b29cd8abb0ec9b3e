"""Where the archive is, and the user's few settings. Flag > environment > nearest `.qarchive/` > config file > data folder."""

import json
import os
import tomllib
from pathlib import Path

from platformdirs import user_config_path, user_data_path

from . import disk
from .errors import BadInput

ENVIRONMENT = "QARCHIVE"
FOLDER = ".qarchive"
SETTINGS = {"archive": "the folder of the archive that is used where nothing else names one",
            "on_error": "warn or raise: what happens to a run that cannot be recorded"}  # fmt: skip
ON_ERROR = ("warn", "raise")


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
    if type(value) is not str or (name == "on_error" and value not in ON_ERROR):
        wanted = " or ".join(ON_ERROR) if name == "on_error" else "text"
        raise BadInput(f"the setting {name}", f"cannot be {value!r}", f"it is {wanted}")


def write(name: str, value: str | None) -> None:
    """Set one setting, or remove it with None. Raises BadInput, CannotWrite."""
    check(name, "warn" if value is None else value)
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
