"""Storage accounts: clients that live as long as the process, and what their errors mean."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from http import HTTPStatus
from typing import Any

from azure.core.credentials import TokenCredential
from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    DeserializationError,
    HttpResponseError,
    ServiceRequestError,
    ServiceResponseError,
)
from azure.data.tables import TableClient
from azure.storage.blob import BlobServiceClient, ExponentialRetry

from nsgflow_core.errors import RefusedError, TransientError
from nsgflow_core.model import Storage
from nsgflow_core.web import storage_transport

_TIMEOUTS = {"connection_timeout": 5, "read_timeout": 20}
_NOT_STORAGE = "the answer is not Azure Storage's: does a proxy stand in between?"
_THROTTLED = (408, 429, 500, 502, 503, 504)


@cache
def credential(client_id: str = "") -> TokenCredential:
    """The identity to sign in with: the app's own on Azure, the developer's elsewhere."""
    from azure.identity import DefaultAzureCredential, ManagedIdentityCredential  # noqa: PLC0415

    client_id = client_id or os.environ.get("AZURE_CLIENT_ID", "")
    if "IDENTITY_ENDPOINT" in os.environ:
        return ManagedIdentityCredential(client_id=client_id or None)
    return DefaultAzureCredential()


class Retry(ExponentialRetry):
    """The SDK's retries, but not for want of a token: credentials have retries of their own."""

    def increment(self, *args: Any, **more: Any) -> bool:
        """Count a try; whether there is another one."""
        if isinstance(more.get("error"), ClientAuthenticationError):
            return False
        return super().increment(*args, **more)


def blob_service(storage: Storage) -> BlobServiceClient:
    """The blob service of an account.

    The SDK's default waits 15 s before its first retry, far past what a trigger can spare.
    """
    retry = Retry(initial_backoff=1, increment_base=2, retry_total=2)
    if storage.connection_string:
        return BlobServiceClient.from_connection_string(
            storage.connection_string, retry_policy=retry, transport=storage_transport(**_TIMEOUTS)
        )
    return BlobServiceClient(
        storage.blob_url,
        credential(storage.client_id),
        retry_policy=retry,
        transport=storage_transport(**_TIMEOUTS),
    )


def table(storage: Storage, name: str) -> TableClient:
    """A table of an account."""
    if storage.connection_string:
        return TableClient.from_connection_string(
            storage.connection_string, name, retry_total=2, transport=storage_transport(**_TIMEOUTS)
        )
    return TableClient(
        storage.table_url,
        name,
        credential=credential(storage.client_id),
        retry_total=2,
        transport=storage_transport(**_TIMEOUTS),
    )


@contextmanager
def errors_of(what: str) -> Iterator[None]:
    """Turn the SDK's errors into ours, naming what was tried.

    Raises:
        TransientError: the service is busy or out of reach, or something else answered for it.
        RefusedError: it refused, and will again.
    """
    try:
        yield
    except HttpResponseError as exc:
        raise _answered(what, exc) from exc
    except (ServiceRequestError, ServiceResponseError) as exc:
        raise TransientError(f"{what}: {exc.message}") from exc
    except AzureError as exc:
        raise RefusedError(f"{what}: {exc.message}") from exc
    except AttributeError as exc:
        # azure-data-tables looks for the answer of any error; one for want of a token has none.
        if not isinstance(exc.__context__, ClientAuthenticationError):
            raise
        raise RefusedError(f"{what}: {exc.__context__.message}") from exc.__context__
    except DeserializationError as exc:  # a page of a proxy or of a network that asks to sign in
        raise TransientError(f"{what}: {_NOT_STORAGE}") from exc


def _answered(what: str, exc: HttpResponseError) -> TransientError | RefusedError:
    """Our error for an answer, or for one that broke off or was never asked for."""
    if exc.status_code is None:
        if isinstance(exc, ClientAuthenticationError):  # no token could be had
            return RefusedError(f"{what}: {exc.message}")
        # The answer broke off, for example in the middle of a download.
        return TransientError(f"{what}: {exc.message}")
    if exc.status_code < HTTPStatus.BAD_REQUEST and exc.status_code != HTTPStatus.NOT_MODIFIED:
        # A success that the SDK does not know, or a redirect: something in between answered.
        return TransientError(f"{what}: {_NOT_STORAGE}")
    message = f"{what}: {exc.status_code} {error_code(exc)}"
    if exc.status_code in _THROTTLED:
        return TransientError(message)
    return RefusedError(message)


def error_code(exc: HttpResponseError) -> str:
    """The service's own name of an error, for example `ContainerNotFound`; "" if none."""
    code = getattr(exc, "error_code", None)
    return str(getattr(code, "value", code) or "")
