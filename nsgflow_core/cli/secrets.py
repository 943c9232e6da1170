"""Keys and signatures that were put where they do not belong: they are never repeated."""

import re

_SECRET = re.compile(
    r"""(?ix) (?P<name>\b(?:sig|accountkey|sharedaccesskey|sharedaccesssignature|password|secret)=)
    [^&;\s'"]+ | (?P<begin>\bwhsec_) [a-z0-9+/=]+"""
)


def redacted(text: str) -> str:
    """Text with … for what in it may be a key, a signature or a password."""
    return _SECRET.sub(lambda found: f"{found['name'] or found['begin']}…", text)
