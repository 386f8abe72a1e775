"""`rrtf problems audit`: whether the tests of a problem set can be trusted, tried out in the sandbox.

In: problems, and samples if there are any. Out: findings and a score for each problem, and a filtered copy.
"""
