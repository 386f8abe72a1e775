"""Public problem formats, one file each: rows as they are published to `Problem` records."""
