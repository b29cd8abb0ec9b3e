"""Checking packs: what `qarchive verify --deep` does to every byte, on as many cores as there are."""
