"""Real devices of IBM, from the files that qiskit-ibm-runtime brings along, and the same devices on another day."""

import json
import random
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

import qiskit_ibm_runtime.fake_provider

FOLDER = Path(qiskit_ibm_runtime.fake_provider.__file__).parent / "backends"


@cache
def _text(path):
    return path.read_text("utf-8")


def configurations():
    return sorted(FOLDER.glob("*/conf_*.json"))


def calibrations():
    return sorted(FOLDER.glob("*/props_*.json"))


def raw(kind, name):
    """A raw dict, new each time: `kind` is "conf" or "props"."""
    return json.loads(_text(FOLDER / name / f"{kind}_{name}.json"))


def said(tree):
    """A tree as text that tells 1 from 1.0, whatever the order of its keys."""
    return json.dumps(tree, sort_keys=True)


def another_day(properties, seed=1):
    """Properties in which every figure but 0 and 1 has moved by some percent, and two dates of three by about a day."""
    chance = random.Random(seed)
    numbers, dates = {}, {}

    def moved(value):
        if type(value) is dict:
            return {key: moved(item) for key, item in value.items()}
        if type(value) is list:
            return [moved(item) for item in value]
        if type(value) is float and value not in (0.0, 1.0):
            return numbers.setdefault(value, value * (1 + chance.gauss(0, 0.05)))
        if type(value) is str and value[10:11] == "T":
            later = datetime.fromisoformat(value) + timedelta(seconds=86400 + chance.randrange(-3000, 3000))
            return dates.setdefault(value, later.isoformat() if chance.random() < 0.67 else value)
        return value

    return moved(properties)
