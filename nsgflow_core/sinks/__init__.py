"""Where flows go."""
