"""Bytes ↔ values, one module per dialect; no sockets and no models in here."""
