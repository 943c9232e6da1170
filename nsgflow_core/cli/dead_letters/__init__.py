"""The commands below `nsgflow dead-letters`, and what they share of finding letters."""
