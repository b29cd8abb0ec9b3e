"""Replay: past jobs answer for those that a script would run."""
