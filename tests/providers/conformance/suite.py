"""The whole suite for objects of one process."""

from .reading import Reading
from .recording import Recording
from .repeating import Repeating
from .safety import Safety


class Conformance(Recording, Reading, Repeating, Safety):
    """What every provider promises. A subclass says what `Offering` asks."""
