"""Bundles: packs that are made for somebody else, and what came from somebody else."""
