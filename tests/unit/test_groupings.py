"""Values of many groups in words are those of each."""

from hypothesis import given
from hypothesis import strategies as st

from nsgflow_core.cli.groupings import KEYS, Value, all_in_words, in_words
from nsgflow_core.model import Flow, Group, Record

ACLS = ("/x/networksecuritygroups/web", "unspecified", "00000000-0000-0000-0000-000000000000", "")
RULES = ("DenyAll", "unspecified", "PlatformRule", "")


def flow(acl: str, rule: str, protocol: str, encryption: str) -> Flow:
    """A denied flow of a VNet flow log."""
    group = Group(Record(0, 1, "", 4, ""), acl, "", rule, "")
    ends = ("10.0.0.1", "10.0.0.2", 1, 0)
    return Flow(1, *ends, protocol, "I", "D", encryption, group=group)


FLOWS = st.builds(
    flow,
    st.sampled_from(ACLS),
    st.sampled_from(RULES),
    st.sampled_from(("6", "17", "1", "50", "58", "132", "T")),
    st.sampled_from(("NX", "X", "")),
)
VALUES = st.sampled_from((None, 0, 443, "", "0", "TCP", "50", "WEB"))


@given(st.sampled_from(sorted(KEYS)), st.lists(st.tuples(VALUES, FLOWS), max_size=4))
def test_as_each_alone(key: str, found: list[tuple[Value, Flow]]) -> None:
    """Whatever stands between them."""
    if key == "protocol":  # which is the flow's own
        found = [(flow.protocol, flow) for _, flow in found]
    values, flows = [value for value, _ in found], [flow for _, flow in found]
    assert all_in_words(key, values, flows) == [in_words(key, *one) for one in found]
