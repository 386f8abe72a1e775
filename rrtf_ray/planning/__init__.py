"""`rrtf plan`: what training takes, from configuration files alone."""
