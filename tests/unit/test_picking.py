"""What is picked out of the bytes of a list is what a look at every tuple finds."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nsgflow_core.logs.picking import denied, denied_of

ADDRESSES = st.sampled_from(
    ("192.0.2.1", "10.5.16.4", "2001:db8::1", "fe80::abcd", "2001:DB8::A", "::D", "")
)
ODD = st.sampled_from(
    (
        "",
        "D",
        ",D",
        "nonsense",
        "a,b,c,d,e,f,g,h,i,j",
        "," * 12,
        "]",
        "[1,2,3,4,5,6,7,A]",
        "\u00e4,D",
    )
)
COUNTERS = st.sampled_from((",,,", "1,66,1,66", "0,0,0,0"))
V1 = st.builds("15421,{},{},1024,22,{},{},{}".format, ADDRESSES, ADDRESSES, *map(
    st.sampled_from, ("TU", "IO", "AAAD")
))  # fmt: skip
V2 = st.builds("{},{},{}".format, V1, st.sampled_from("BCED"), COUNTERS)
V4 = st.builds("1663145998065,{},{},1024,22,{},{},{},{},{}".format, ADDRESSES, ADDRESSES, *map(
    st.sampled_from, ((6, 17), "IO", "BBCCED", ("NX", "X", "NX_LOCAL_DST"))
), COUNTERS)  # fmt: skip
USUAL = {1: V1, 2: V2, 4: V4}
PLAIN = {
    1: "15421,192.0.2.1,10.5.16.4,1024,22,T,I,A",
    2: "15421,192.0.2.1,10.5.16.4,1024,22,T,I,A,B,1,66,1,66",
    4: "1663145998065,192.0.2.1,10.5.16.4,1024,22,6,I,B,NX,1,66,1,66",
}


@st.composite
def lists(draw: st.DrawFn) -> tuple[int, list[str]]:
    """A version and the tuples of a list: usual ones, often among many, and odd ones at times."""
    version = draw(st.sampled_from((1, 2, 4)))
    plain = PLAIN[version]
    texts = draw(st.lists(st.one_of(USUAL[version], USUAL[version], st.just(plain)), max_size=9))
    if draw(st.integers(0, 3)) == 0:
        texts += draw(st.lists(ODD, min_size=1, max_size=2))
    texts = draw(st.permutations(texts))
    return version, [plain] * draw(st.sampled_from((0, 0, 1, 12, 60))) + texts


def looked_at(version: int, texts: list[str]) -> list[tuple[int, str]]:
    """Every tuple that is denied, or may have been."""
    numbered = list(enumerate(texts))
    if texts and ",D" in texts[0] and ",D" in texts[-1]:
        return numbered
    if not any("D" in text for text in texts):
        return []
    allowed = set("BCE" if version == 4 else "A")
    return [
        (number, text)
        for number, text in numbered
        if ",D" in text or text.count(",") not in (7, 12) or text.split(",")[7] not in allowed
    ]


@given(lists(), st.sampled_from(((",", ":"), (", ", ": "))), st.integers(0, 9), st.booleans())
@settings(deadline=None, max_examples=500)
def test_picks_what_a_look_at_every_tuple_finds(
    made: tuple[int, list[str]], separators: tuple[str, str], first: int, ascii_only: bool
) -> None:
    """The number of tuples, and ordinals and texts of those that are kept."""
    version, texts = made
    raw = json.dumps(texts, separators=separators, ensure_ascii=ascii_only).encode()
    number, ordinals, kept = denied(raw, version, first)

    assert number == len(texts)
    expected = looked_at(version, texts)
    assert list(zip(ordinals, kept, strict=True)) == [(first + at, text) for at, text in expected]


@pytest.mark.parametrize("version", [1, 2, 4])
@pytest.mark.parametrize("number", [1, 40, 1000, 3000])
def test_large_lists(version: int, number: int) -> None:
    """However many of how many tuples are denied, each has its ordinal."""
    allowed = PLAIN[version]
    text = allowed.replace("I,A", "I,D").replace("I,B", "I,D")
    for every in (2, 9, 700):
        texts = [
            text if at % every == 1 else f"{allowed[0]}{at}{allowed[1:]}" for at in range(number)
        ]
        raw = json.dumps(texts, separators=(",", ":")).encode()
        found = denied(raw, version, 5)
        expected = range(1, number, every)

        assert (found[0], list(found[1])) == (number, [5 + at for at in expected])
        assert list(found[2]) == [text] * len(expected)


@pytest.mark.parametrize("element", [5, None, True, 1.5, ["D"], [], {"D": 1}, {}])
@pytest.mark.parametrize("place", [0, 30, 61])
def test_elements_that_are_no_texts_are_counted(element: object, place: int) -> None:
    """They are kept beside a denied flow, and those behind them keep their ordinals."""
    allowed = PLAIN[2]
    elements: list[object] = [*[allowed] * 30, allowed.replace("I,A", "I,D"), *[allowed] * 30]
    elements.insert(place, element)
    number, ordinals, kept = denied(json.dumps(elements, separators=(",", ":")).encode(), 2, 0)

    assert number == 62
    assert sorted([30 if place > 30 else 31, place]) == list(ordinals)
    assert json.dumps(element) in kept


@pytest.mark.parametrize("odd", ["X", "", "Deny", "AB", "AA", "TA", "AI", "OA", "EA"])
@pytest.mark.parametrize("version", [1, 2, 4])
@pytest.mark.parametrize("number", [1, 40, 3000])
def test_what_says_neither_is_kept_beside_a_denied_flow(
    number: int, version: int, odd: str
) -> None:
    """However long the list is, in bytes and in texts."""
    allowed = PLAIN[version]
    head, _, tail = allowed.rpartition("I,A" if version != 4 else "I,B")
    made = [f"{head}I,{odd}{tail}", f"{head}I,D{tail}"]
    texts = [*[allowed] * number, *made, *[allowed] * number]
    raw = json.dumps(texts, separators=(",", ":")).encode()

    for found in (denied(raw, version, 0), denied_of(texts, version, 0)):
        assert (found[0], list(found[1])) == (2 * number + 2, [number, number + 1])
        assert list(found[2]) == made


@pytest.mark.parametrize("odd", ["A", "BC", "BB", "BX", "OB"])
def test_what_vnet_logs_do_not_say_is_kept(odd: str) -> None:
    """The A of NSG logs, too, which is no state."""
    allowed = PLAIN[4]
    made = [allowed.replace("I,B", f"I,{odd}"), allowed.replace("I,B", "I,D")]
    texts = [*[allowed] * 40, *made, *[allowed] * 40]
    raw = json.dumps(texts, separators=(",", ":")).encode()

    for found in (denied(raw, 4, 0), denied_of(texts, 4, 0)):
        assert (found[0], list(found[1]), list(found[2])) == (82, [40, 41], made)
