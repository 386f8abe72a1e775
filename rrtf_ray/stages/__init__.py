"""The line: problems to candidates, verdicts, rankings, checkpoint and evaluation, on Ray."""
