"""`rrtf compare`: what two or more models reached on the same problems, paired, and what of it can be believed."""
