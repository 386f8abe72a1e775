"""Serves a model to OpenAI's clients: a gateway (keys, limits, fill-in-the-middle, metrics) before vLLM engines.

Nothing here imports Ray or vLLM: plain functions and classes, which `rrtf_ray.deployments` runs on Ray Serve.
"""
