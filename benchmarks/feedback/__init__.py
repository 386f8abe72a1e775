"""Figures of feedback: votes, the page, and teachers."""
