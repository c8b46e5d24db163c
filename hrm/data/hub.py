"""One short request to the Hugging Face hub, so that a user without network gets a message at once."""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from http import HTTPStatus

from hrm.config.errors import DataError

TIMEOUT_SECONDS = 10.0
"""Of the request; the hub's own clients would try again for 23 s."""
OFFLINE = "HF_HUB_OFFLINE"


def check_reachable(kind: str, name: str, where: str, hint: str) -> None:
    """Check that the hub answers and has something of this name that we may read.

    Args:
        kind: `datasets` or `models`.
        name: as the hub spells it, such as allenai/c4.
        where: the option that asks for it.
        hint: what to do without it.

    Raises:
        DataError: there is no network, no such name, or no permission to read it.
    """
    if os.environ.get(OFFLINE, "").upper() in ("1", "ON", "YES", "TRUE"):
        raise DataError(where, name, f"needs the Hugging Face hub, and {OFFLINE} is set", hint)
    endpoint = os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
    request = urllib.request.Request(f"{endpoint}/api/{kind}/{name}", headers=_get_headers())
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS):
            return
    except urllib.error.HTTPError as error:
        rule = f"the Hugging Face hub answers with HTTP {error.code}"
        if error.code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND):
            rule = f"the hub has no readable {kind.removesuffix('s')} of this name (HTTP {error.code})"
            hint = "Check the name; set HF_TOKEN for what is private"
    except (OSError, ValueError) as error:
        rule = f"the Hugging Face hub cannot be reached ({getattr(error, 'reason', error)})"
    raise DataError(where, name, rule, hint)


def _get_headers() -> dict[str, str]:
    from huggingface_hub import get_token

    token = get_token()
    return {"Authorization": f"Bearer {token}"} if token else {}
