"""Specola's reference backend: a small RAG chat service whose every metric is caused by real work."""

__version__ = "0.1.0"
