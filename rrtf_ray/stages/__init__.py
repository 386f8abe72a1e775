"""The stages on Ray: the only place that imports ray, vllm and deepspeed."""
