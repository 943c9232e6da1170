"""What is known of the network besides the logs, where it comes from and where it is kept."""
