"""Drills: each alert fired by a real fault, followed to where it is delivered, and back to silence."""
