"""What strangers may write, made by a machine: one target for each family of decoders, and what alters their inputs.

A target is called with the bytes of a file of its corpus (`tests/data/fuzz/<target>/`), altered or not, and raises only where a
promise is broken. `tools/fuzz` looks for new ones with atheris, and `tests/test_fuzz.py` goes through the corpora.
"""
