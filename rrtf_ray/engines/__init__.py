"""vLLM's arguments, environment and watch, for all of this package's engines."""
