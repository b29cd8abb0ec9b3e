"""`python -m qarchive` is `qarchive`."""

from .cli import main

main()
