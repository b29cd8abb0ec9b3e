"""Pasqal's cloud: batches and jobs that a PasqalCloudClient sends <-> plain values. Importing this package imports no SDK."""
