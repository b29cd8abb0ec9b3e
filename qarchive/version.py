"""The version of qarchive."""

__version__ = "0.1.0"
