"""The hooks that azd runs around nsgflow's deployment, with nothing but Python's own library.

They run on Python 3.9, which is what macOS brings, and on every system that azd runs on. Each of
them comes by here first, so this file is such as every Python can read.
"""

import sys

if sys.version_info < (3, 9):  # noqa: UP036 - an older one is told so, not shown a traceback
    sys.exit(
        "nsgflow: the hooks need Python 3.9 or newer, and this is Python "
        + sys.version.split()[0]
        + ". Have a newer one found first on PATH: azd makes its virtual environment with that."
    )
