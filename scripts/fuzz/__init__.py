"""Malformed requests and broken uploads, against a backend that is started for them."""
