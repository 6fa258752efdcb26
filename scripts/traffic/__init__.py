"""Realistic users for the backend: `python -m scripts.traffic --rate 5 --seconds 60`.

They upload the repository's own Markdown, ask about it, rate what they get, and misbehave now and then, so
that every metric moves because of real work. Standard library and httpx only: it also runs in the backend's
image.
"""
