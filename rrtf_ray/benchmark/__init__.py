"""`rrtf benchmark`: a model, or samples made elsewhere, on a public problem set under a protocol that is written down.

In: problems in any format, a protocol, and a model or files of samples. Out: a directory with the samples, a row for
each as `rrtf verify` writes it, and `benchmark.json`, written last.
"""
