"""Text for people: nothing in it that a terminal or a page would obey, or that makes it look like another; numbers of things,
and of bytes."""


def clean(text: object) -> str:
    """Text on one line: control, format and unassigned characters as escapes."""
    text = str(text)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in text)


def clean_lines(text: str) -> str:
    """As `clean`, with line ends and tabs kept."""
    return "".join(c if c in "\n\t" or c.isprintable() else clean(c) for c in text)


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
