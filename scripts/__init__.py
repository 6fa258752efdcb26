"""The commands behind the Makefile, each a module or a package to run with `python -m scripts.NAME`."""
