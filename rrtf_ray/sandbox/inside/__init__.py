"""What runs in the zygote and its forks only.

Standard library only: the zygote's interpreter has no site-packages.
"""
