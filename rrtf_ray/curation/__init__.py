"""Problem sets kept clean: copies within one, copies of what a model is evaluated on, and what a run learns from."""
