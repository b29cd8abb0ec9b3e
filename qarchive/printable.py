"""Text for people: nothing in it that a terminal or a page would obey, or that makes it look like another; numbers of things,
and of bytes."""

import unicodedata

_ZWNJ, _ZWJ = "\u200c", "\u200d"  # join or part letters and emoji; elsewhere they show nothing, and make names look alike
_EMOJI_STYLE, _VIRAMA = "\ufe0f", 9  # the latter is the class of a combining character


def clean(text: object) -> str:
    """Text on one line: control, format and unassigned characters as escapes, but joiners only where they show nothing."""
    text = str(text)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or _joins(text, i) else _escaped(c) for i, c in enumerate(text))


def clean_lines(text: str) -> str:
    """As `clean`, with line ends and tabs kept."""
    if text.isprintable():
        return text
    return "".join(c if c in "\n\t" or c.isprintable() or _joins(text, i) else _escaped(c) for i, c in enumerate(text))


def _escaped(character: str) -> str:
    return character.encode("unicode_escape", "backslashreplace").decode()


def _joins(text: str, place: int) -> bool:
    """Whether a character is a joiner that is seen: behind a letter of an Arabic script or a virama, or between two emoji."""
    if text[place] not in (_ZWJ, _ZWNJ) or place == 0:
        return False
    before = text[place - 1]
    if unicodedata.combining(before) == _VIRAMA or unicodedata.bidirectional(before) == "AL":
        return True
    emoji = before == _EMOJI_STYLE or unicodedata.category(before) in ("So", "Sk")
    return text[place] == _ZWJ and emoji and unicodedata.category(text[place + 1 : place + 2] or " ") == "So"


def count(number: int, noun: str, plural: str = "") -> str:
    """`1 job`, `2 jobs`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def size(number: float) -> str:
    """Bytes for people, in powers of 1000."""
    units = ["B", "kB", "MB", "GB", "TB"]
    while number >= 999.5 and len(units) > 1:
        number /= 1000
        del units[0]
    return f"{number:.0f} {units[0]}" if units[0] == "B" or number >= 99.5 else f"{number:.1f} {units[0]}"
