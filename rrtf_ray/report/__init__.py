"""`rrtf report`: what a run did, in one HTML file that needs no network."""
