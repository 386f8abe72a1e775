"""The gateway and the engines on Ray Serve."""
