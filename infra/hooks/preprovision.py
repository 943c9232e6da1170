"""Looks before anything is made: see nsgflow_hooks/preprovision.py."""

from nsgflow_hooks import preprovision
from nsgflow_hooks.start import start

if __name__ == "__main__":
    start(preprovision.main)
