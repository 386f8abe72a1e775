"""Teachers: other models that answer problems, repair failing programs, and judge programs that tests cannot order.

What is asked and how replies are read is pure; `endpoint` speaks to servers. Teachers on engines of our own are in
`stages`, as all that starts engines.
"""
