"""Single environment variables: read, and what is wrong with them noted among the problems.

`env` holds the variables that are not empty. A problem begins with the variable's name, and shows
its value unless that may be a secret.
"""

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from nsgflow_core.errors import BadInputError
from nsgflow_core.filter import Filter, compile_terms

_MAX_DIGITS = 10
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_REFERENCE = "@microsoft.keyvault("


def is_unresolved(value: str) -> bool:
    """Whether a value is a Key Vault reference that App Service has not put a secret in place of.

    So it is while the app's identity may not read the secret yet, or the vault cannot be reached:
    https://learn.microsoft.com/azure/app-service/app-service-key-vault-references.
    """
    return value.lower().startswith(_REFERENCE)


def filter_terms(env: Mapping[str, str], key: str, problems: list[str]) -> Filter:
    """A filter, of denied flows by default."""
    try:
        return compile_terms(env.get(key, "action=denied"))
    except BadInputError as exc:
        problems.append(f"{key}: {exc}")
        return compile_terms("action=denied")


def choice(env: Mapping[str, str], key: str, choices: tuple[str, ...], problems: list[str]) -> str:
    """One of some values, the first by default."""
    value = env.get(key, choices[0])
    if value not in choices:
        problems.append(f"{key}: {value!r} is not one of {', '.join(filter(None, choices))}")
    return value


def text(
    env: Mapping[str, str], key: str, default: str, form: tuple[str, str], problems: list[str]
) -> str:
    """A text of a form: a pattern for the whole of it, and what that is called."""
    value = env.get(key, default)
    pattern, description = form
    if not re.fullmatch(pattern, value):
        problems.append(f"{key}: {value!r} is not {description}")
    return value


def number(
    env: Mapping[str, str], key: str, default: int, limits: tuple[int, int], problems: list[str]
) -> int:
    """A whole number between two, both included."""
    value = env.get(key, str(default))
    first, last = limits
    if not (
        value.isascii()
        and value.isdigit()
        and len(value) < _MAX_DIGITS
        and first <= int(value) <= last
    ):
        problems.append(f"{key}: {value!r} is not a whole number from {first} to {last}")
        return default
    return int(value)


def check_url(
    key: str, url: str, problems: list[str], *, secret_url: bool = False, loopback: bool = True
) -> None:
    """Ask for https, or http to this machine; a webhook's URL is a secret and is not shown.

    Without `loopback` http is never good enough: what gets a token must speak TLS.
    """
    # What stands before @ or behind ? of any URL may be a secret.
    shown = "its value" if secret_url or "@" in url else repr(re.sub(r"\?.*", "?…", url))
    try:
        parts = urlsplit(url)
        host, scheme = parts.hostname, parts.scheme
        _ = parts.port
    except ValueError:
        problems.append(f"{key}: {shown} is no URL")
        return
    if not host or re.search(r"\s", host) or scheme not in ("https", "http"):
        problems.append(f"{key}: {shown} is no https URL")
    elif scheme == "http" and not (loopback and host in _LOOPBACK):
        problems.append(f"{key}: {shown} must be https (http only for this machine)")
