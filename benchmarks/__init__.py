"""What nsgflow must reach, measured: `python -m benchmarks`. README.md explains the figures."""
