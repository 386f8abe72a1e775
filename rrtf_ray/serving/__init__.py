"""Serves a model to OpenAI's clients: a gateway (keys, limits, fill-in-the-middle, metrics) before vLLM engines.

Nothing here imports Ray or vLLM: the modules are plain functions and classes, and `stages.serve` joins them.
"""
