"""Where only denied flows are wanted: how much is judged that is allowed, or neither."""

import pytest

from tests.unit.test_flows_bad import V2, nsg, read


@pytest.mark.parametrize("odd", ["bad,1", V2.replace(",D,", ",X,"), V2.replace(",D,", ",Deny,"), 5])
def test_a_log_of_another_form_does_not_look_quiet(odd: object) -> None:
    """Of a usual update every tuple is judged, whether or not one is denied; of more the first."""
    found, bad = read(nsg([odd] * 30), denied_only=True)
    assert (found, len(bad)) == ([], 30)

    lists = [{"rule": "r", "flows": [{"flowTuples": [odd] * 30}]}] * 100
    document = nsg([]) | {"properties": {"Version": 2, "flows": lists}}
    found, bad = read(document, denied_only=True)
    assert not found
    assert len(bad) >= 90


def test_an_allowed_tuple_that_makes_no_sense_is_told() -> None:
    """It may be the first of many."""
    allowed = V2.replace(",D,", ",A,")
    found, bad = read(nsg([allowed, allowed.replace("443", "70000"), allowed]), denied_only=True)
    assert (found, [piece.data for piece in bad]) == (
        [],
        [allowed.replace("443", "70000").encode()],
    )
