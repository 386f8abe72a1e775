"""vLLM's arguments, environment and watch, for every engine of this package."""
