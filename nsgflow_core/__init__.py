"""nsgflow: which NSG, which rule, which port, seconds after Azure wrote the flow."""

__version__ = "0.1.0"
"""As pyproject.toml has it; asking what is installed takes a third as long as the command line."""
