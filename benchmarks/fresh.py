"""Runs a function in a fresh process."""

import logging
import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import ParamSpec, TypeVar

_Args = ParamSpec("_Args")
_Result = TypeVar("_Result")


def in_fresh_process(
    run: Callable[_Args, _Result], *args: _Args.args, **kwargs: _Args.kwargs
) -> _Result:
    """What `run` returns when called in a new interpreter, in which nothing has run before."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn, initializer=_quiet) as pool:
        return pool.submit(run, *args, **kwargs).result()


def _quiet() -> None:
    logging.basicConfig(level=logging.ERROR)  # libraries warn when an app is indexed
