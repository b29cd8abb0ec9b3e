"""Pulser's sequences, devices, emulators and results <-> plain values. Importing this package imports no SDK."""
