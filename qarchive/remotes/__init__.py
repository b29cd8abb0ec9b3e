"""Remotes: places outside of the archive that hold sealed packs. `spec/remotes.md` is the contract."""
