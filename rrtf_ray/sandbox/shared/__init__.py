"""What both sides of the sandbox use: messages, values that cross, and running tests.

Standard library only: the zygote's interpreter has no site-packages.
"""
