"""Repacking: what nothing refers to leaves the packs, and what stays is put together anew so that it takes less room."""

from .run import Repacked, repack

__all__ = ["Repacked", "repack"]
