"""What runs the gateway and the engines on Ray Serve."""
