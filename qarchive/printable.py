"""Text that may be shown: nothing in it that a terminal or a page would obey, or that makes it look like another."""


def clean(text: object) -> str:
    """Text on one line: control, format and unassigned characters as escapes."""
    text = str(text)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in text)


def clean_lines(text: str) -> str:
    """As `clean`, with line ends and tabs kept."""
    return "".join(c if c in "\n\t" or c.isprintable() else clean(c) for c in text)
