"""What the caller's shell happens to have set, and nothing here may depend on.

The tests, the demo, the benchmarks and the generated docs forget it before anything else.
Works on Python 3.9 too, on which the hooks of the deployment are tested.
"""

import os
import time
from collections.abc import Mapping

# Compared in lower case: proxies are read in both, and Windows knows no difference.
_BEGINNINGS = (
    "nsgflow_",
    "flowlogs",  # with what follows an account's name: FlowLogs__blobServiceUri
    "azurewebjobs",
    "azurefunctionsjobhost",
    "functions_",
    "website_",
    "applicationinsights_",
    "azure_",
    "azurite_",
    "identity_",
    "imds_",
    "msi_",
    "_typer_",
)
_NAMES = frozenset(
    (
        "storage_account_key",
        # requests, and all that is built on it
        *("http_proxy", "https_proxy", "all_proxy", "no_proxy"),
        *("requests_ca_bundle", "curl_ca_bundle", "ssl_cert_file", "ssl_cert_dir", "netrc"),
        # Rich and Typer; GITHUB_ACTIONS makes the latter take a pipe for a terminal
        *("no_color", "force_color", "py_colors", "term", "colorterm", "github_actions"),
        *("columns", "lines", "terminal_width", "tty_compatible", "tty_interactive"),
        # Python
        *("tz", "lang", "language", "lc_all", "lc_ctype", "lc_time", "lc_numeric"),
        *("pythonioencoding", "pythonutf8", "pythonwarnings", "pythonoptimize"),
    )
)


def is_forgotten(name: str) -> bool:
    """Whether a variable of this name is one that changes what the product or a tool does."""
    name = name.lower()
    return name in _NAMES or name.startswith(_BEGINNINGS)


def without(environ: Mapping[str, str]) -> "dict[str, str]":
    """An environment for a child process, without what the shell has set."""
    return {name: value for name, value in environ.items() if not is_forgotten(name)}


def forget() -> None:
    """Take it out of this process and of all that it starts."""
    for name in filter(is_forgotten, list(os.environ)):
        del os.environ[name]
    # Where pytest loads readline, that sets these for children behind the back of os.environ.
    for name in ("COLUMNS", "LINES"):
        os.unsetenv(name)
    if hasattr(time, "tzset"):  # not on Windows
        time.tzset()
