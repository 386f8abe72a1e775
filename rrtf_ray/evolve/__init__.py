"""New problems from seeds: a teacher writes them, and running them decides whether their tests can be trusted.

    Task --a teacher writes--> Draft --read, run, tried out--> JudgedDraft --compared with all others--> the data set

What is asked, read and decided is here, without Ray; `stages.evolving` streams the rows.
"""
