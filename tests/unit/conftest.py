"""What tests of reading share."""

from collections.abc import Iterator

import pytest

from nsgflow_core.logs import groups


@pytest.fixture(scope="module", params=[0, groups.JUDGED], ids=["picked", "judged"])
def picked_or_judged(request: pytest.FixtureRequest) -> Iterator[None]:
    """Read as behind the beginning of a long update, where denied tuples are picked, and as in it.

    Of a usual update every tuple is judged.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(groups, "JUDGED", request.param)
        yield
