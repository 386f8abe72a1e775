"""Pure functions: values in, values out. No Ray, no vLLM, no filesystem; torch only in losses, head and packing."""
