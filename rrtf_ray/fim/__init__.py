"""Fill-in-the-middle: the prompt for the code between a prefix and a suffix, and where such a middle ends.

The gateway and the sampling of infilling problems use the same functions, so a model is measured by what it serves.
"""
