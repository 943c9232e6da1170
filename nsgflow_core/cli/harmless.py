"""Text that comes from a log made harmless for whatever shows it.

Names in a log are chosen by whoever may create a rule or make Azure write a record: they must not
steer a terminal, turn the direction of writing, or run in a spreadsheet.
"""

import re

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""How a cell begins that a spreadsheet computes:
https://owasp.org/www-community/attacks/CSV_Injection"""
_ESCAPED_IN_JSON = re.compile(r"[^ -~]")


def printable(text: str) -> str:
    """Text that comes from a log without what could steer a terminal or break a line."""
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text
    )


def escaped(text: str) -> str:
    """Text with what could steer a terminal or break a line written as escapes."""
    if text.isprintable():
        return text
    return "".join(
        letter
        if letter.isprintable()
        else letter.encode("unicode_escape", "surrogatepass").decode()
        for letter in text
    )


def inert(cell: str) -> str:
    """A text as a cell of CSV: control characters as escapes, and a formula with ' before it."""
    return escaped(f"'{cell}" if cell.startswith(_FORMULA) else cell)


def json_text(text: str, encoding: str) -> str:
    """JSON text in which what is not printable, or not to be encoded, is an escape of JSON."""
    if text.isascii():
        return text.replace("\x7f", "\\u007f")
    return _ESCAPED_IN_JSON.sub(lambda found: _json_escape(found[0], encoding), text)


def _json_escape(letter: str, encoding: str) -> str:
    if letter.isprintable():
        try:
            letter.encode(encoding)
        except UnicodeEncodeError:
            pass
        else:
            return letter
    units = letter.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))
