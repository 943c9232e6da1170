"""Notes what lies outside the resource group: see nsgflow_hooks/removal.py."""

from nsgflow_hooks import removal
from nsgflow_hooks.start import start

if __name__ == "__main__":
    start(removal.before)
