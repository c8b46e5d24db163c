"""The Hugging Face hub, asked once and briefly: whoever has no network learns it at once."""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from http import HTTPStatus

from hrm.config.errors import DataError

SECONDS = 10.0
"""Patience with the one request; the hub's own clients would try again for 23 s."""
OFFLINE = "HF_HUB_OFFLINE"
_TRUE = ("1", "ON", "YES", "TRUE")


def check_reachable(kind: str, name: str, where: str, hint: str) -> None:
    """Makes sure that the hub answers and has something of this name that we may read.

    Args:
        kind: `datasets` or `models`.
        name: as the hub spells it, such as allenai/c4.
        where: the option that asks for it.
        mend: what to do without it.

    Raises:
        DataError: there is no network, no such name, or it is not ours to read.
    """
    if os.environ.get(OFFLINE, "").upper() in _TRUE:
        raise DataError(where, name, f"needs the Hugging Face hub, and {OFFLINE} is set", hint)
    endpoint = os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
    request = urllib.request.Request(f"{endpoint}/api/{kind}/{name}", headers=_headers())
    try:
        with urllib.request.urlopen(request, timeout=SECONDS):
            return
    except urllib.error.HTTPError as error:
        if error.code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND):
            rule = (
                f"the hub has no {kind.removesuffix('s')} of this name that may be read (HTTP {error.code})"
            )
            raise DataError(where, name, rule, "Check the name; set HF_TOKEN for what is private") from None
        rule = f"the Hugging Face hub answers with HTTP {error.code}"
        raise DataError(where, name, rule, hint) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        rule = f"the Hugging Face hub cannot be reached ({reason})"
        raise DataError(where, name, rule, hint) from None


def _headers() -> dict[str, str]:
    from huggingface_hub import get_token

    token = get_token()
    return {"Authorization": f"Bearer {token}"} if token else {}
