"""How many things a number in a blob may call for. It costs its writer nothing, and its reader a list of so many items."""

from typing import Any

from ..errors import BadInput

MOST = 1 << 20  # qubits, places, parameters of one object
MOST_TEXT = 1 << 30  # characters that are padded to a width that a number says


def number_of(number: Any, what: str, most: int = MOST) -> int:
    """`number`, how many `what` there are. Raises BadInput for what is no such number, and for one beyond `most`."""
    if type(number) is not int or not 0 <= number <= most:
        raise BadInput("a value of this job", f"says that there are {str(number)[:40]} {what}, and at most {most:,} are made")
    return number
