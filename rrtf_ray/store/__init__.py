"""Files, rows, run directories and model folders: what is kept, on any filesystem."""
