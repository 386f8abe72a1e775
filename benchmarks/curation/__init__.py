"""Figures of the curation of problems: a module each, with `measure(...)` and `GOALS`."""
