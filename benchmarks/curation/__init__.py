"""Figures of problem sets: a module each, with `measure(...)` and `GOALS`."""
