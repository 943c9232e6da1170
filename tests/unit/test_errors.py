"""The error tree: what may be retried, what needs a person, what is bad input."""

from nsgflow_core import errors


def test_tree() -> None:
    """Each error is under the one that says what to do about it, all under NsgflowError."""
    assert issubclass(errors.TransientError, errors.NsgflowError)
    assert issubclass(errors.RefusedError, errors.NsgflowError)
    assert issubclass(errors.DataRefusedError, errors.RefusedError)
    assert issubclass(errors.BadInputError, errors.NsgflowError)
    assert issubclass(errors.ConfigError, errors.BadInputError)
    assert not issubclass(errors.RefusedError, errors.TransientError)


def test_transient_error_carries_the_wait() -> None:
    """The wait that a service asked for goes with the error; 0 when it named none."""
    assert errors.TransientError("busy").retry_after == 0
    assert errors.TransientError("busy", retry_after=7.5).retry_after == 7.5


def test_config_error_lists_its_problems() -> None:
    """Every problem is in the message and in `problems`."""
    error = errors.ConfigError(["A: wrong", "B: missing"])

    assert error.problems == ("A: wrong", "B: missing")
    assert str(error) == "settings: A: wrong; B: missing"
