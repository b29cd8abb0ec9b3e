"""Provenance: what jobs are cited, signed, audited and handed on by."""
