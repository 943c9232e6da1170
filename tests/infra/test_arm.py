"""The hooks' way to Azure, on a bad day: throttling, resets, odd answers, tokens that run out."""

from collections import deque
from typing import Any

import pytest
from nsgflow_hooks.arm import MANAGEMENT, Azure
from nsgflow_hooks.errors import AzureError

from devtools.http_server import Fault, Response
from tests.infra.azure_world import TOKEN, World, ok, refusal

THING = "/subscriptions/1/resourceGroups/rg/providers/Microsoft.X/things/a b"


@pytest.fixture
def thing(world: World) -> World:
    """A world with one resource, whose name has to be quoted."""
    world.has(THING, kind="x")
    return world


def test_what_passes_is_asked_again(thing: World) -> None:
    """429 is waited for as told, 5xx and a reset connection a little longer each time."""
    thing.server.faults = deque(
        [Fault(status=429, headers={"Retry-After": "7"}), Fault(status=503), Fault(reset=True)]
    )

    assert thing.azure().get(THING, "1")["kind"] == "x"
    assert thing.slept == 7 + 4 + 8


@pytest.mark.parametrize("after", ["9999", "soon", "-1", "nan", "inf"])
def test_a_wait_has_its_limits(thing: World, after: str) -> None:
    """Nobody is put to sleep for hours, or before now."""
    thing.server.faults = deque([Fault(status=429, headers={"Retry-After": after})])
    thing.azure().get(THING, "1")

    assert 0 <= thing.slept <= 60


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (Fault(status=500, body=b"<h1>oops</h1>"), "500: <h1>oops</h1>"),
        (Fault(reset=True), "no answer: Connection"),
        (Fault(status=429, body=b'{"error":{"code":"TooMany","message":"slow"}}'), "TooMany: slow"),
        (Fault(status=500, body=b'["odd"]'), "500: "),
        (Fault(status=500), "500: Internal Server Error"),
    ],
)
def test_what_does_not_pass_is_told(thing: World, fault: Fault, told: str) -> None:
    """In Azure's words, or in those of the connection."""
    thing.server.faults = lambda _: fault
    with pytest.raises(AzureError) as stopped:
        thing.azure().get(THING, "1")

    assert told in str(stopped.value)
    assert thing.server.requests == 4


def test_a_refusal_is_not_asked_again(thing: World) -> None:
    """403 stays 403; the innermost reason is told."""
    inner = {"code": "LinkedAuthorizationFailed", "message": "no right to join"}
    thing.answer("GET", THING, refusal(403, "Forbidden", "outer", details=[inner, inner]))
    with pytest.raises(AzureError, match=r"Forbidden: no right to join$"):
        thing.azure().get(THING, "1")

    assert thing.server.requests == 1


class Renewed:
    """Tokens of which the first has run out."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, bool]] = []

    def token(self, resource: str, *, fresh: bool = False) -> str:
        """The old one until a fresh one is asked for."""
        self.asked.append((resource, fresh))
        return TOKEN if fresh else "old"


def test_a_token_that_ran_out_is_renewed_once(thing: World) -> None:
    """Waiting takes longer than some tokens live."""
    tokens = Renewed()
    azure = Azure(tokens, thing.server.url, thing.server.url, thing.sleep)

    assert azure.get(THING, "1")["kind"] == "x"
    assert tokens.asked == [(MANAGEMENT, False), (MANAGEMENT, True)]
    with pytest.raises(AzureError, match="InvalidAuthenticationToken"):
        Azure(Bad(), thing.server.url, thing.server.url, thing.sleep).get(THING, "1")


class Bad:
    """Tokens that nobody takes."""

    def token(self, resource: str, *, fresh: bool = False) -> str:
        """A wrong one."""
        return "wrong"


@pytest.mark.parametrize("body", [b"[]", b"{}", b'{"value": 1}', b"null", b"\xff"])
def test_a_list_of_another_shape(thing: World, body: bytes) -> None:
    """It is an error of Azure's, and no traceback."""
    thing.answer("GET", THING, Response(200, body))
    with pytest.raises(AzureError):
        list(thing.azure().pages(THING, "1"))


@pytest.mark.parametrize(
    "body", [b"[]", b"{}", b'{"tables":[]}', b'{"tables":[{"columns":[{}],"rows":[]}]}']
)
def test_rows_of_another_shape(thing: World, body: bytes) -> None:
    """As for lists."""
    thing.answer("POST", f"/v1{THING}/query", Response(200, body))
    thing.answer("POST", "/providers/Microsoft.ResourceGraph/resources", Response(200, body))
    with pytest.raises(AzureError):
        thing.azure().query_logs(THING, "x")
    with pytest.raises(AzureError):
        thing.azure().graph("x")


def test_a_list_that_never_ends(thing: World) -> None:
    """A server that always names a next page does not keep us for ever."""
    page: dict[str, Any] = {
        "value": [],
        "nextLink": f"{thing.server.url}{THING.replace(' ', '%20')}",
    }
    thing.answer("GET", THING, ok(page))
    with pytest.raises(AzureError, match="did not end"):
        list(thing.azure().pages(THING, "1"))


def test_what_is_deleted_is_waited_for(thing: World) -> None:
    """Azure deletes behind a 202; what was gone already is deleted, too."""
    still = ok({"id": THING})
    thing.answer("DELETE", THING, Response(202))
    thing.answer("GET", THING, still, still, refusal(404, "ResourceNotFound", "gone"))
    thing.azure().delete(THING, "1")
    assert thing.slept == 10

    thing.answer("DELETE", THING, refusal(404, "ResourceNotFound", "gone"))
    thing.azure().delete(THING, "1")
    thing.answer("DELETE", THING, Response(202))
    thing.answer("GET", THING, still)
    with pytest.raises(AzureError, match="still there"):
        thing.azure().delete(THING, "1")
