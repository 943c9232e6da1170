"""What holds for every test: the shell that pytest was started in has no say."""

from devtools import shell

shell.forget()  # before any test module is imported, in each worker of pytest-xdist too
