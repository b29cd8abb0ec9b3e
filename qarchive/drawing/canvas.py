"""What all drawings are made of: the SVG around them with its title, and numbers short enough for a page."""

from hashlib import sha256
from xml.etree.ElementTree import Element, tostring

from .elements import Child, element
from .palette import INK

MOST_ROWS = 1000  # of a table beside a drawing


def svg(
    kind: str, title: str, width: float, height: float, *children: Child, describe: str | None = None, key: str = ""
) -> Element:
    """The SVG of a drawing: as wide as its page lets it be, named by its title for those who do not see it.

    Its ids come from what it holds and from `key`, so the same drawing is the same bytes, and two drawings share no id.
    """
    body = element("g", *children)
    digest = sha256(
        b"\0".join((key.encode("utf-8", "backslashreplace"), title.encode("utf-8", "backslashreplace"), tostring(body)))
    )
    name = f"{kind}-{digest.hexdigest()[:12]}"
    names = [element("title", title, id=name)]
    if describe:
        names.append(element("desc", describe, id=f"{name}-d"))
    return element(
        "svg",
        *names,
        *body,
        viewBox=f"0 0 {short(width)} {short(height)}",
        role="img",
        aria_labelledby=name,
        aria_describedby=f"{name}-d" if describe else None,
        class_=f"drawing {kind}",
        fill=INK,
        font_size=12,
    )


def short(number: float) -> str:
    """A coordinate to a tenth."""
    text = f"{number:.1f}"
    return text[:-2] if text.endswith(".0") else text


def words(x: float, y: float, text: str, hint: str | None = None, **attributes: object) -> Element:
    """Text at a place, and what is shown over it."""
    return element("text", element("title", hint) if hint else None, text, x=short(x), y=short(y), **attributes)


def stroke(*points: tuple[float, float], close: bool = False) -> str:
    """The path through some points, for `d`."""
    return "M" + "L".join(f"{short(x)} {short(y)}" for x, y in points) + ("Z" if close else "")


def shortened(text: str, most: int) -> str:
    """A text of at most so many characters: the middle of a longer one is left out."""
    if len(text) <= most:
        return text
    head = most // 2
    return f"{text[:head]}…{text[len(text) - (most - 1 - head) :]}"


def beyond(count: int, what: str) -> str | None:
    """What a table that was cut at `MOST_ROWS` says about the rest."""
    return f"The table has the first {MOST_ROWS:,} of {count:,} {what}." if count > MOST_ROWS else None


def sentences(*parts: str | None) -> str | None:
    """A note of the sentences that there are; None where there is none."""
    return " ".join(filter(None, parts)) or None
