"""`rrtf ablate`: objectives in regimes with seeds, on the same problems, samples and budget."""
