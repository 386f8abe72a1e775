"""`rrtf quantize`: an int8 checkpoint for serving, compared with the original."""
