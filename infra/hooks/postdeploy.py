"""Subscribes the app to the events: see nsgflow_hooks/postdeploy.py."""

import sys

from nsgflow_hooks import postdeploy
from nsgflow_hooks.start import start

if __name__ == "__main__":
    start(lambda: postdeploy.main(sys.argv[1:]))
