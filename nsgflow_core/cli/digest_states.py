"""The states of the deployed function's digests: what people tell it is kept in each of them."""

from collections.abc import Mapping, Sequence

from nsgflow_core.cli.state import settings_of
from nsgflow_core.digests.state import DigestState, states
from nsgflow_core.errors import BadInputError
from nsgflow_core.storage import blob_service


def states_of(environ: Mapping[str, str]) -> Sequence[DigestState]:
    """The states of the digests that the settings switch on, and of those that there were.

    Raises:
        BadInputError: no webhook is for people.
        NsgflowError: the storage failed.
    """
    settings = settings_of(environ)
    names = [webhook.name for webhook in settings.webhooks if webhook.digest_schedule]
    if settings.webhooks and not names:
        raise BadInputError(
            "no webhook is for people: with NSGFLOW_WEBHOOK_FORMAT=cloudevents alerts go to a"
            " program, and NSGFLOW_WEBHOOK_FILTER says which"
        )
    host = blob_service(settings.host_storage)
    found = states(host.get_container_client(settings.state_container), names)
    if not found:
        raise BadInputError(
            "no webhook is for people: set NSGFLOW_WEBHOOK_URL and NSGFLOW_WEBHOOK_FORMAT (slack, "
            "teams or pagerduty) as the function has them"
        )
    return found
