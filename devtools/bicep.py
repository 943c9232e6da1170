"""The Bicep compiler, as the gate and the docs use it: compiled templates, predicted deployments.

The compiler is what BICEP names, or shared/tools/bicep/bicep beside the checkout, or bicep on PATH,
or where az and azd put it.
A snapshot evaluates a deployment with no Azure at all: nested templates, loops, conditions, names.
What only Azure knows stays an expression in brackets.
"""

import atexit
import json
import os
import shutil
import subprocess
import threading
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
INFRA = ROOT / "infra"
SUBSCRIPTION = "00000000-0000-0000-0000-000000000000"
TENANT = "99999999-9999-9999-9999-999999999999"

_BESIDE = Path("shared", "tools", "bicep", "bicep")
_asking = threading.Lock()


class BicepError(Exception):
    """The compiler's or the evaluation's own words."""


def find() -> Path | None:
    """The compiler, or None where there is none.

    Raises:
        BicepError: BICEP names none.
    """
    if named := os.environ.get("BICEP"):
        if (path := shutil.which(named)) is None:
            raise BicepError(f"BICEP: {named} is not there")
        return Path(path)
    on_path = shutil.which("bicep")
    places = [folder / _BESIDE for folder in (ROOT.parent, ROOT.parent.parent)]
    places += [Path(on_path)] if on_path else []
    places += [Path.home() / folder / "bin" / "bicep" for folder in (".azure", ".azd")]
    return next((path for path in places if path.is_file()), None)


def run(*words: str | Path) -> "subprocess.CompletedProcess[str]":
    """Run the compiler's command line; what it says of the source goes to stderr.

    Raises:
        BicepError: there is no compiler.
    """
    return subprocess.run([_needed(), *words], capture_output=True, text=True, check=False)


@cache
def template(path: Path) -> dict[str, Any]:
    """A file's compiled template.

    Raises:
        BicepError: it does not compile, or the compiler has something to say.
    """
    done = run("build", path, "--stdout")
    if done.returncode or done.stderr:
        raise BicepError(done.stderr)
    compiled: dict[str, Any] = json.loads(done.stdout)
    return compiled


@cache
def snapshot(parameters: Path) -> dict[str, Any]:
    """What a deployment of a .bicepparam file makes: `predictedResources` and `outputs`.

    Raises:
        BicepError: the deployment cannot be evaluated, or not without a warning.
    """
    metadata = {
        "tenantId": TENANT,
        "subscriptionId": SUBSCRIPTION,
        "location": "westeurope",
        "deploymentName": "nsgflow",
    }
    answer = _ask("bicep/getSnapshot", {"path": str(parameters.resolve()), "metadata": metadata})
    predicted: dict[str, Any] = json.loads(answer["snapshot"])
    if predicted["diagnostics"]:
        raise BicepError("\n".join(map(str, predicted["diagnostics"])))
    return predicted


def _needed() -> Path:
    compiler = find()
    if compiler is None:
        raise BicepError("the Bicep CLI is needed: az bicep install, or name it in BICEP")
    return compiler


@cache
def _server() -> "subprocess.Popen[bytes]":
    """One compiler for many questions, until this process ends."""
    process = subprocess.Popen(
        [_needed(), "jsonrpc", "--stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    atexit.register(_stop, process)
    return process


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    with process:  # closes its pipes and waits for it
        pass


def _ask(method: str, parameters: object) -> dict[str, Any]:
    """A request of JSON-RPC 2.0, framed as the Language Server Protocol frames it."""
    question = {"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}
    body = json.dumps(question).encode()
    with _asking:
        process = _server()
        stdin, stdout = process.stdin, process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        stdin.flush()
        length = 0
        while header := stdout.readline().strip():
            name, _, value = header.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        answer = json.loads(stdout.read(length) or b"{}")
    if "result" not in answer:
        raise BicepError(answer.get("error", {}).get("message", "the compiler is gone"))
    result: dict[str, Any] = answer["result"]
    return result
