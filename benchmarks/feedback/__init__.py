"""Figures of the feedback: a module each, with `measure(...)` and `GOALS`."""
