"""Options: none is dropped, none is another program's without a word."""

import pytest

from nsgflow_core.cli import coverages, groupings
from nsgflow_core.cli.coverage import FAILURES
from nsgflow_core.cli.options import BY, SINKS
from nsgflow_core.estate.enrich import FLOW_TYPES
from nsgflow_core.terms import KEYS
from nsgflow_core.webhooks import NAMES
from tests.cli.conftest import Store

_ENVIRON = {"PATH": "/usr/bin"}


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("flows --since 1h --since 2h", "--since is given 2 times and takes one value"),
        ("flows -o json --output csv", "--output is given 2 times"),
        ("denied --by nsg --by port", "--by is given 2 times"),
        ("why 10.0.0.1 10.0.0.2:22 --nsg A --nsg-name B", "--nsg-name is given 2 times"),
        ("dead-letters list --kind input --kind table", "--kind is given 2 times"),
        ("flows --display-minutes 3", "say --since, for example --since 3m"),
        ("denied --protocol tcp", "say --filter proto=tcp"),
        ("tail --ip2 10.0.0.1", "repeat --ip"),
        ("flows --mode=both", "NSG and VNet flow logs are both read"),
        ("flows --resource-name A", "say --nsg-name"),
        ("flows --no-output", "--aggregate"),
        ("denied --src 10.0.0.1", "say --filter src=…"),
        ("denied --rule R", "say --filter rule=…"),
        ("report -o r.html --filter action=allowed", "say 'nsgflow export' for allowed ones"),
        ("tail --since 2999-01-01", "has not come yet"),
        ("replay --since 1h --sink tables", "'tables' is not one of table, webhook"),
    ],
)
def test_wrong_options_are_told_with_the_word_that_works(
    store: Store, command: str, said: str
) -> None:
    """Status 2, and what to say instead."""
    done = store.nsgflow(command)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in " ".join(done.stderr.split())


def test_help_knows_the_words_without_what_it_must_not_import() -> None:
    """Help and completion name the same words as what reads them."""
    assert tuple(groupings.KEYS) == BY
    assert ("table", *NAMES) == SINKS
    assert set(FAILURES) < set(coverages.totals([]))
    assert KEYS["type"].words == FLOW_TYPES
