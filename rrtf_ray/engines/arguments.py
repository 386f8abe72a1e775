"""vLLM's engine arguments from a model's settings, for sampling and for serving alike."""

from __future__ import annotations

from typing import Any

from rrtf_ray.config import EngineArguments


def engine_arguments(config: EngineArguments) -> dict[str, Any]:
    """vLLM's engine arguments for a model configuration, for sampling and for serving alike."""
    from vllm.platforms import current_platform

    arguments: dict[str, Any] = {
        "dtype": config.dtype,
        "max_model_len": config.max_model_len,
        "tensor_parallel_size": config.tensor_parallel_size,
        "worker_extension_cls": "rrtf_ray.engines.watch.WatchActor",
    }
    if config.kv_cache_memory_bytes:
        arguments["kv_cache_memory_bytes"] = config.kv_cache_memory_bytes
    if current_platform.is_cpu():
        # A seeded request whose prompt is computed in pieces kills the engine: CPU generators cannot be rewound
        # ("CPU Generator does not use offset"). Whole prompts need a step that holds the longest of them.
        arguments |= {
            "enable_chunked_prefill": False,
            "max_num_batched_tokens": max(4096, config.max_model_len),
        }
        if config.tensor_parallel_size == 1:
            # A worker process of its own would make the engine's process spin on a second core while it waits for it,
            # and "uni" is turned back into that on CPU. OMP_NUM_THREADS, which Ray sets from num_cpus, reaches it here.
            arguments["distributed_executor_backend"] = "vllm.v1.executor.uniproc_executor.UniProcExecutor"
    return arguments | config.engine
