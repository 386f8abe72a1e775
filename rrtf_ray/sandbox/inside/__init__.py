"""What runs in the zygote and in the candidate's process; nothing here is imported by the supervisor.

Standard library only: the zygote's interpreter has no site-packages.
"""
