"""The Ray cluster: connecting, resources, and Ray's errors."""
