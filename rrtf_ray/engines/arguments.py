"""vLLM's engine arguments, for sampling and serving alike."""

from __future__ import annotations

from typing import Any

from rrtf_ray.config import EngineArguments


def engine_arguments(config: EngineArguments) -> dict[str, Any]:
    """The engine arguments for a model's settings; `config.engine` wins over all of them."""
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
        # A seeded request whose prompt is computed in chunks kills the engine: CPU generators cannot be rewound
        # ("CPU Generator does not use offset"). Whole prompts need a step that holds the longest one.
        arguments |= {
            "enable_chunked_prefill": False,
            "max_num_batched_tokens": max(4096, config.max_model_len),
        }
        if config.tensor_parallel_size == 1:
            # With a worker process the engine's process would spin on a second core while it waits for it, and on CPU
            # vLLM turns "uni" into that. OMP_NUM_THREADS, which Ray sets from num_cpus, applies to this executor.
            arguments["distributed_executor_backend"] = "vllm.v1.executor.uniproc_executor.UniProcExecutor"
    return arguments | config.engine
