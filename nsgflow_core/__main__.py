"""`nsgflow`, or `python -m nsgflow_core`: the command line."""

import os
import signal
import sys


def main() -> None:
    """Run the command line, which is an extra of the package."""
    # A command says what becomes of an interrupt. Before one runs, and while its threads end, an
    # interrupt ends the process, without a traceback.
    raises = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if raises:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    if sys.version_info < (3, 11):  # noqa: UP036 - said in words, before an import fails
        sys.exit(f"nsgflow needs Python 3.11 or newer, and this is {sys.version.split()[0]}")
    try:
        import typer as _  # noqa: PLC0415, F401 - only to see that it is there
    except ModuleNotFoundError:
        sys.exit("nsgflow: the command line is an extra, install it: pip install 'nsgflow[cli]'")
    if os.environ.get("_NSGFLOW_COMPLETE"):
        # A shell asks what may follow. With rich, typer would break what a word means into lines,
        # each of which a shell takes for a word; the import lets it know the shells there are.
        sys.modules["rich"] = None  # type: ignore[assignment]
        from typer.completion import get_completion_inspect_parameters  # noqa: PLC0415

        get_completion_inspect_parameters()
    from nsgflow_core.cli.main import app  # noqa: PLC0415
    from nsgflow_core.cli.streams import take_anything  # noqa: PLC0415

    take_anything()  # help has letters, too
    try:
        try:
            if raises:
                signal.signal(signal.SIGINT, signal.default_int_handler)
            app(prog_name="nsgflow")
        finally:
            if raises:
                signal.signal(signal.SIGINT, signal.SIG_DFL)
            # Here, because Python tells of what fails at exit in a way of its own.
            if sys.stdout is not None:
                sys.stdout.flush()
    except ImportError as exc:
        sys.exit(_missing(exc))
    except OSError as exc:
        from nsgflow_core.cli.session import unwritable  # noqa: PLC0415 - help needs none of it

        sys.exit(unwritable(exc))


def _missing(error: ImportError) -> str:
    """What to say of a package that is not there, whole or not.

    Raises:
        ImportError: it is none that is installed with nsgflow.
    """
    wanting = error if isinstance(error, ModuleNotFoundError) else error.__cause__
    name = str(getattr(wanting, "name", None) or "")
    if not name or name.startswith("nsgflow_core"):
        raise error
    return (
        f"nsgflow: the package that has {name} is not installed: pip install 'nsgflow[cli]' "
        "installs what is missing"
    )


if __name__ == "__main__":
    main()
