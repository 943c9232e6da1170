"""Dead letters in real storage: what each keeps, its name, and how it goes."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from azure.storage.blob import BlobServiceClient, ContainerClient

from devtools.azurite import Azurite, azurite
from devtools.http_server import Fault
from devtools.meter import metered
from nsgflow_core.delivery import dead_letters
from nsgflow_core.delivery.dead_letters import DeadLetters, Entry, Letter, Listed, entry_of
from nsgflow_core.errors import BadInputError, RefusedError, TransientError
from nsgflow_core.model import Bad, BlobRef, Position, Storage
from nsgflow_core.sinks.sink import Item, Refusal
from nsgflow_core.storage import blob_service

REF = BlobRef("logs", "c", "resourceId=/x/y=2026/m=01/d=02/h=03/m=00/macAddress=A/PT1H.json")
STATE = "nsgflow-state"
PIECE = Bad(100, "not JSON", b"<")


@pytest.fixture(scope="module")
def storage() -> Iterator[Azurite]:
    """One emulator for all tests."""
    with azurite() as running:
        yield running


@pytest.fixture
def container(storage: Azurite) -> Iterator[ContainerClient]:
    """The state container, which does not exist."""
    with BlobServiceClient.from_connection_string(storage.connection_string) as service:
        for each in service.list_containers():
            service.delete_container(each.name)
        yield service.get_container_client(STATE)


@pytest.fixture
def letters(container: ContainerClient) -> DeadLetters:
    """The product's own over it."""
    return DeadLetters(container)


def only(letters: DeadLetters) -> tuple[Listed, Letter]:
    """The one letter that there is."""
    (listed,) = letters.list()
    return listed, letters.read(listed)


def refusal(number: int) -> Refusal:
    """A row that was refused."""
    return Refusal(Item(b"row %d" % number, Position(200, number), id=f"id {number}"), "413")


def test_a_letter_of_input_tells_where_it_is_from(letters: DeadLetters) -> None:
    """Its blob, stretch and first piece are its name; its pieces are in the blob's order."""
    letters.put_bad(REF, [Bad(300, "tuple 3", b"1,2"), PIECE], 12)
    listed, letter = only(letters)

    assert listed.name == f"deadletter/{REF}/000000000012-000000000100-input.json"
    assert letter == Letter(
        "logs",
        "c",
        REF.path,
        "input",
        [Entry(100, "not JSON", 1, "utf-8", "<"), Entry(300, "tuple 3", 3, "utf-8", "1,2")],
    )
    assert letter.ref == REF
    assert listed.size > 100
    assert abs(listed.written.timestamp() - time.time()) < 600


def test_a_letter_of_a_sink_tells_what_was_refused(letters: DeadLetters) -> None:
    """With the place behind each, and the alert's id; named by the first and the sink."""
    letters.put_refused(REF, "webhook_2", [refusal(7), refusal(9)])
    listed, letter = only(letters)

    assert listed.name == f"deadletter/{REF}/000000000200-7-webhook_2.json"
    assert letter.kind == "webhook_2"
    assert letter.entries == [
        Entry(200, "413", 5, "utf-8", f"row {number}", number, f"id {number}") for number in (7, 9)
    ]


def test_names_are_different_where_letters_are(letters: DeadLetters) -> None:
    """And the same letter written again lands on itself."""
    for _ in range(2):
        letters.put_bad(REF, [PIECE], 12)
        letters.put_bad(REF, [PIECE], 13)
        letters.put_bad(REF, [Bad(101, "x", b"")], 12)
        letters.put_bad(BlobRef("other", REF.container, REF.path), [PIECE], 12)
        letters.put_refused(REF, "table", [refusal(1)])
        letters.put_refused(REF, "table", [refusal(2)])
        letters.put_refused(REF, "webhook", [refusal(1)])
    names = [listed.name for listed in letters.list()]
    assert len(names) == 7
    assert names == sorted(names)


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        (b"", "utf-8"),
        ("ä€😀\0\x1b".encode(), "utf-8"),
        (b"\xff\xfe", "base64"),
        (b"\xc3", "base64"),
    ],
    ids=["nothing", "text", "no text", "half a letter"],
)
def test_bytes_come_back_as_they_were(letters: DeadLetters, data: bytes, encoding: str) -> None:
    """As text where they are UTF-8."""
    letters.put_bad(REF, [Bad(1, "x", data)], 0)
    (entry,) = only(letters)[1].entries
    assert (entry.content, entry.encoding, entry.size) == (data, encoding, len(data))


@pytest.mark.parametrize("data", [b"x" * 65_537, b"\xff" * 70_000], ids=["text", "no text"])
def test_huge_pieces_are_kept_in_part(letters: DeadLetters, data: bytes) -> None:
    """Their first 64 KiB, and their size; a reason is cut, too."""
    letters.put_bad(REF, [Bad(1, "y" * 1001, data)], 0)
    (entry,) = only(letters)[1].entries
    assert (entry.content, entry.size) == (data[:65_536], len(data))
    assert entry.reason == "y" * 1000
    assert entry_of(Bad(1, "x", data[:65_536])).content == data[:65_536]


def test_a_letter_holds_a_thousand_pieces_and_4_mib(letters: DeadLetters) -> None:
    """The rest is counted."""
    letters.put_bad(REF, [Bad(at, "x", b"") for at in range(1002)], 0)
    letter = only(letters)[1]
    assert (len(letter.entries), letter.omitted) == (1000, 2)
    assert letter.entries[-1].offset == 999
    letters.put_bad(REF, [Bad(at, "x", b"z" * 65_536) for at in range(70)], 0)
    letter = only(letters)[1]
    assert (len(letter.entries), letter.omitted) == (64, 6)
    letters.put_bad(REF, [*(Bad(0, "x", b"") for _ in range(1000)), Bad(0, "y", b"", 59_000)], 0)
    letter = only(letters)[1]
    assert (len(letter.entries), letter.omitted) == (1000, 59_000)
    letters.put_bad(REF, [Bad(0, "x", b"")], 0)
    assert only(letters)[1].omitted == 0


def test_without_a_container_there_are_none(letters: DeadLetters) -> None:
    """And other blobs of it are none."""
    assert list(letters.list()) == []


def test_a_container_is_made_by_whoever_is_first(
    letters: DeadLetters, container: ContainerClient
) -> None:
    """Two may be it at once."""
    upload = container.upload_blob
    calls: list[int] = []

    def late(*args: Any, **options: Any) -> Any:
        if not calls:
            calls.append(1)
            try:
                return upload(*args, **options)
            finally:
                container.create_container()  # the other worker
        return upload(*args, **options)

    container.upload_blob = late  # type: ignore[method-assign]
    letters.put_bad(REF, [PIECE], 0)
    container.upload_blob = upload  # type: ignore[method-assign]
    container.get_blob_client("deadlette").upload_blob(b"other")
    container.get_blob_client("digest/state.json").upload_blob(b"other")
    assert only(letters)[1].entries == [entry_of(PIECE)]


def test_what_storage_refuses_is_said_in_words(letters: DeadLetters, storage: Azurite) -> None:
    """By what was tried; nothing is taken for gone."""
    letters.put_bad(REF, [PIECE], 0)
    listed, letter = only(letters)
    with metered(storage) as meter:
        meter.blobs.faults = lambda _: Fault(status=403)
        service = blob_service(Storage(meter.connection_string))
        refused = DeadLetters(service.get_container_client(STATE))
        for what, tried in (
            ("write a dead letter", lambda: refused.put_bad(REF, [PIECE], 0)),
            ("list the dead letters", lambda: list(refused.list())),
            ("read a dead letter", lambda: refused.read(listed)),
            ("settle a dead letter", lambda: refused.settle(listed, letter, [])),
        ):
            with pytest.raises(RefusedError, match=f"^{what}: 403"):
                tried()
    assert only(letters) == (listed, letter)


def test_a_letter_goes_when_nothing_is_left_of_it(letters: DeadLetters) -> None:
    """What is left stays, and so does one that more did not fit into."""
    letters.put_bad(REF, [PIECE, Bad(300, "x", b"y")], 0)
    listed, letter = only(letters)
    letters.settle(listed, letter, letter.entries[1:])
    listed, smaller = only(letters)
    assert smaller == Letter("logs", "c", REF.path, "input", letter.entries[1:])
    letters.settle(listed, smaller, [])
    assert list(letters.list()) == []

    letters.put_bad(REF, [Bad(at, "x", b"") for at in range(1001)], 0)
    listed, letter = only(letters)
    letters.settle(listed, letter, [])
    _, empty = only(letters)
    assert (empty.entries, empty.omitted) == ([], 1)


@pytest.mark.parametrize("left", [0, 1])
def test_a_letter_that_was_written_meanwhile_stays_as_it_is(
    letters: DeadLetters, left: int
) -> None:
    """Somebody has found more in the stretch."""
    letters.put_bad(REF, [PIECE], 0)
    listed, letter = only(letters)
    letters.put_bad(REF, [PIECE, Bad(300, "x", b"y")], 0)
    with pytest.raises(TransientError, match=r"^the dead letter was written in the meantime$"):
        letters.settle(listed, letter, letter.entries[:left])
    assert len(only(letters)[1].entries) == 2


def test_letters_that_are_none_are_named_so(
    letters: DeadLetters, container: ContainerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever may write there does not get them read for another log, nor anything huge."""
    letters.put_bad(REF, [PIECE], 0)
    listed, _ = only(letters)
    blob = container.get_blob_client(listed.name)
    whole = json.loads(blob.download_blob().readall())
    for content, said in (
        (b"\xff", "the dead letter cannot be read: "),
        (b"[]", "the dead letter cannot be read: "),
        (b"{", "the dead letter cannot be read: "),
        (json.dumps(whole | {"path": REF.path + "x"}).encode(), "the dead letter is of another"),
        (json.dumps(whole | {"account": "log"}).encode(), "the dead letter is of another"),
    ):
        blob.upload_blob(content, overwrite=True)
        with pytest.raises(BadInputError, match=f"^{said}"):
            letters.read(listed)
    blob.delete_blob()
    with pytest.raises(BadInputError, match=r"^the dead letter is gone$"):
        letters.read(listed)
    letters.put_bad(REF, [PIECE], 0)
    listed, letter = only(letters)
    monkeypatch.setattr(dead_letters, "_MAX_LETTER", listed.size)
    assert letters.read(listed) == letter
    monkeypatch.setattr(dead_letters, "_MAX_LETTER", listed.size - 1)
    with pytest.raises(BadInputError, match=f"^the dead letter has {listed.size} bytes, which"):
        letters.read(listed)


@pytest.mark.parametrize(
    ("encoding", "data"),
    [("base64", "?"), ("base64", "YQ=\n="), ("utf-8", "\ud800")],
    ids=["no base64", "a line break", "half a letter"],
)
def test_an_entry_that_is_malformed_is_said_so(encoding: str, data: str) -> None:
    """It was not written by us."""
    with pytest.raises(BadInputError, match=r"^an entry of the dead letter is malformed$"):
        _ = Entry(1, "x", 1, encoding, data).content
