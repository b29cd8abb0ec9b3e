"""Qiskit: circuits, results, backends and primitives <-> plain values; Aer's, and what local devices take from IBM's."""
