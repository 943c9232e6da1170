"""Proposals as they are written: in full, inert whatever names hold, and taken by real parsers.

`python -m tests.unit.test_proposal_forms` writes the expected files anew, to be reviewed.
"""

import io
import json
import shlex
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import hcl2
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from devtools import bicep
from nsgflow_core.cli.proposals import Document
from nsgflow_core.estate.proposals import Proposal, propose
from nsgflow_core.estate.verdict import Judge
from tests.unit.test_proposals import DENY_IN, DENY_OUT, Hub, group, named

GOLDEN = Path(__file__).with_name("golden")
STRICT = Path(__file__).parents[1] / "infra" / "bicepconfig.strict.json"
FORMS = ("az", "bicep", "terraform")
WIDTHS = (80, 120)
GUID = "7c1f1d64-0000-4000-8000-00000000abcd"
HOSTILE = [
    "a'b",
    'a"b',
    "$(reboot)",
    "${reboot}",
    "%{for x in y}",
    "`reboot`",
    "new\nline",
    "cr\rlf\n*/ //",
    "back\\slash\\'",
    "\x1b[2J\u009b\u202e",
    "'''",
    "$${x}\\${y}",
    "# comment // x",
]


def groups_of(hub: Hub) -> list[Any]:
    """Denied flows of every kind that is written in its own way."""
    web: dict[str, Any] = {"nsg": hub.web, "inbound": False, "rule": "UserRule_DenyOut"}
    db: dict[str, Any] = {"nsg": hub.db, "rule": "UserRule_DenyIn"}
    return [
        *(group(["10.0.0.4", "10.0.0.5"], f"10.0.1.{host}", 1433, **web) for host in (4, 5, 6)),
        *(group(["10.0.2.4"], "10.0.1.4", 53, **db, protocol=name) for name in ("TCP", "UDP")),
        *(group(["10.0.2.4", "10.0.0.6"], "10.0.1.5", port, **db) for port in range(8000, 8004)),
        group(["10.0.2.4", "10.0.0.6"], "10.0.1.5", 22, **db),
        group(["168.63.129.16"], "10.0.1.4", 80, **db),
        group(["8.8.8.8"], "10.0.1.4", 3389, **db, outside=True),
        *(group(["9.9.9.9"], "10.0.1.4", port, **db, outside=True) for port in range(20, 30)),
        group(["10.0.2.4"], "10.0.1.6", 21, nsg=hub.db, rule="UserRule_First"),
        group(["10.9.9.9"], "10.0.1.4", 8443, nsg=GUID, rule="UserRule_Deny"),
        group(["10.0.2.4"], "10.0.1.4", None, **db, protocol="47"),
        group(["10.0.2.4"], "10.0.1.4", 445, rule="BlockHighRiskPorts"),
    ]


def found() -> Sequence[Any]:
    """What is proposed for them."""
    first = named("First", 100, "Deny", port="21")
    hub = Hub(DENY_OUT, db_rules=[first, DENY_IN])
    return propose(groups_of(hub), hub.judge())


def written(document: Document) -> str:
    """A document as it goes to stdout."""
    with redirect_stdout(io.StringIO()) as out:
        document.write()
    return out.getvalue()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("width", WIDTHS)
def test_the_whole_of_it(form: str, width: int) -> None:
    """Every line, on a terminal of this width; no comment is wider."""
    shown = written(Document(found(), form, width))
    assert shown == (GOLDEN / f"proposals.{form}.{width}.txt").read_text()
    comments = [line for line in shown.splitlines() if line.startswith(("# ", "// "))]
    assert all(len(line) <= width or " " not in line.strip("#/ ") for line in comments
               if "resource" not in line and "az deployment" not in line
               and "Microsoft." not in line)  # fmt: skip


def test_what_goes_to_no_terminal_is_not_folded() -> None:
    """A warning is a line, and so is a command."""
    shown = written(Document(found(), "az")).splitlines()
    assert all(
        line.startswith(("#", "az network nsg rule create --subscription", "")) for line in shown
    )
    assert not [line for line in shown if line.endswith("\\")]


def hostile(name: str) -> list[Any]:
    """What is proposed for an NSG with a name, in a group with that name, denied by such a rule."""
    clean = name.replace("/", "")
    nsg = (
        f"/subscriptions/s/resourcegroups/{clean}/providers/microsoft.network/"
        f"networksecuritygroups/{clean}"
    )
    return propose([group(nsg=nsg, rule=f"UserRule_{name}"), group(nsg=name)], Judge())


def options(command: str) -> dict[str, list[str]]:
    """The options of a command, as a shell takes it apart."""
    found: dict[str, list[str]] = {}
    for word in shlex.split(command, comments=True):
        if word.startswith("--"):
            option, equals, value = word.partition("=")
            found[option] = [value] * bool(equals)
        elif found:
            found[next(reversed(found))].append(word)
    return found


NAMES = st.text(
    st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=30
)


@given(NAMES)
@example("--")
@example("--help")
@example("-x=$(reboot)")
@settings(max_examples=150, deadline=None)
def test_no_name_is_more_than_a_name_to_a_shell(name: str) -> None:
    """It is one word, without what steers a terminal; comments stay comments."""
    shown = written(Document(hostile(name), "az", 80))
    lines = shown.replace("\\\n", "").splitlines()
    assert all(line.startswith(("#", "az network nsg rule create ")) or not line for line in lines)
    assert not [letter for letter in shown if not letter.isprintable() and letter != "\n"]
    found = [options(line) for line in lines if line.startswith("az ")]
    plain = [one for one in found if one["--nsg-name"] != ["NSG-NAME"]]
    assert [len(one["--nsg-name"]) for one in plain] == [1] * len(plain)
    assert all(next(iter(one)) == "--subscription" and len(one) == 12 for one in found)


@given(NAMES)
@settings(max_examples=150, deadline=None)
def test_no_name_is_more_than_a_name_to_terraform(name: str) -> None:
    """Its grammar takes the file, and has two resources with the name as it is."""
    parsed = hcl2.loads(written(Document(hostile(name), "terraform", 80)))
    resources = [next(iter(one.values())) for one in parsed["resource"]]
    assert len(resources) == 2
    for one in resources:
        (body,) = one.values()
        assert body["direction"] == '"Inbound"'
        assert body["destination_port_range"] == '"443"'
    called = {body["network_security_group_name"] for one in resources for body in one.values()}
    assert sum(text.startswith('"') for text in called) >= 1
    for text in called:
        if text.startswith('"'):
            assert unescaped(text) == name.lower() or unescaped(text) == name


def unescaped(text: str) -> str:
    """A quoted template of HCL that evaluates nothing, as the text that it is."""
    inside = text[1:-1].replace("$${", "${").replace("%%{", "%{")
    made: list[str] = []
    letters = iter(inside)
    for letter in letters:
        if letter != "\\":
            made.append(letter)
            continue
        kind = next(letters)
        size = {"u": 4, "U": 8}.get(kind)
        made.append(chr(int("".join(next(letters) for _ in range(size)), 16)) if size else kind)
    return "".join(made)


def test_terraform_takes_all_of_it() -> None:
    """Every proposal that is no comment is a resource, and each variable that is named is there."""
    proposals = [one for one in found() if isinstance(one, Proposal)]
    active = [one for one in proposals if not (one.internet or one.no_room)]
    text = written(Document(found(), "terraform"))
    parsed = hcl2.loads(text)
    assert len(parsed["resource"]) == len(active)
    declared = {next(iter(one)).strip('"') for one in parsed["variable"]}
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    named = {line.split(" var.")[1] for line in lines if " var." in line}
    assert named == declared


def test_more_addresses_than_azure_takes_are_warned_of() -> None:
    """They are not cut off, and not widened in silence."""
    many = [f"10.0.{number // 250}.{number % 250}" for number in range(4_001)]
    shown = written(Document(propose([group(many)], Judge()), "az"))
    assert "it names 4,001 addresses, and Azure takes 4,000 a side at most" in shown
    assert "Azure takes" not in written(Document(propose([group(many[1:])], Judge()), "az"))


compiled = pytest.mark.skipif(bicep.find() is None, reason="no Bicep compiler here")


def compile_bicep(text: str, folder: Path) -> dict[str, Any]:
    """The template that a file makes, if neither compiler nor linter nor formatter objects."""
    file = folder / "rules.bicep"
    file.write_text(text)
    for words in (("build", file, "--stdout"), ("lint", file), ("lint", file, "--config", STRICT)):
        done = bicep.run(*words)
        assert (done.returncode, done.stderr) == (0, ""), (words, done.stderr, text)
        if words[0] == "build":
            template: dict[str, Any] = json.loads(done.stdout)
    assert bicep.run("format", file, "--stdout").stdout == text
    return template


@compiled
def test_bicep_takes_all_of_it(tmp_path: Path) -> None:
    """It compiles, lints and is formatted; every proposal that is no comment is a resource."""
    proposals = [one for one in found() if isinstance(one, Proposal)]
    active = [one for one in proposals if not (one.internet or one.no_room)]
    template = compile_bicep(written(Document(found(), "bicep")), tmp_path)
    rules = {one["name"]: one["properties"] for one in template["resources"]}
    assert len(rules) == len(active)
    for one in active:
        (rule,) = (rule for name, rule in rules.items() if one.rule.name in name)
        if one.rule.priority:
            assert rule["priority"] == one.rule.priority
        ports = rule.get("destinationPortRanges") or [rule["destinationPortRange"]]
        assert tuple(ports) == one.rule.destination_ports
        if not one.rule.sources[0].startswith("/"):
            prefixes = rule.get("sourceAddressPrefixes") or [rule["sourceAddressPrefix"]]
            assert tuple(prefixes) == one.rule.sources


@compiled
def test_no_name_is_more_than_a_name_to_bicep(tmp_path: Path) -> None:
    """All of them in one file: the template has each as a text, and nothing is evaluated."""
    found = [
        one
        for name in HOSTILE
        for one in hostile(name)
        if isinstance(one, Proposal) and one.nsg.startswith("/subscriptions/")
    ]
    template = compile_bicep(written(Document(found, "bicep", 80)), tmp_path)
    conditions = " ".join(template["variables"].values())
    for name in HOSTILE:
        text = name.replace("/", "").lower().replace("'", "''")
        assert f"'{text}'" in conditions, name
    assert len(template["resources"]) == len(HOSTILE)


@compiled
def test_nsgs_of_one_name_in_two_groups(tmp_path: Path) -> None:
    """Bicep takes one `existing` resource of a name: it is that of the group deployed to."""
    name = "resourceGroups/{}/providers/Microsoft.Network/networkSecurityGroups/web"
    nsgs = [f"/subscriptions/s/{name.format(one)}" for one in ("a", "b")]
    found = propose([group(["10.1.0.4"], "10.2.0.4", 80, nsg=nsg) for nsg in nsgs], Judge())
    template = compile_bicep(written(Document(found, "bicep")), tmp_path)
    conditions = {one["condition"] for one in template["resources"]}
    assert len(conditions) == len(template["resources"]) == 2


def test_rows_have_whole_files_of_their_own() -> None:
    """What is proposed for a group stands by itself, with the words beside it."""
    hub = Hub(DENY_OUT, db_rules=[DENY_IN])
    groups = groups_of(hub)
    made = propose(groups, hub.judge())
    for form in FORMS:
        rows: list[dict[str, Any]] = [{} for _ in groups]
        Document(made, form).into_rows(rows)
        assert rows[0]["proof"]["verdict"] == "allowed"
        assert rows[-1]["proposal"] == ""
        assert rows[-1]["proof"] is None
        assert "'BlockHighRiskPorts' is no rule of an NSG" in rows[-1]["warnings"][0]
        if form == "terraform":
            assert len(hcl2.loads(rows[0]["proposal"])["resource"]) == 2
        if form == "bicep":
            assert rows[0]["proposal"].count(" existing = {") == 2


if __name__ == "__main__":
    for form in FORMS:
        for width in WIDTHS:
            made = written(Document(found(), form, width))
            (GOLDEN / f"proposals.{form}.{width}.txt").write_text(made)
