"""Requests to the console, asked until the router's answer is there: it waits two seconds for one, not longer."""

import urllib.error
from typing import Any
from uuid import uuid4

from local.stack.parts import ADMIN_TOKEN
from local.stack.web import post, put
from services.shared.testing.waiting import wait_until

UNAVAILABLE = 503


def ask(url: str, body: Any, *, changes: bool = False) -> Any:
    """Post (or put, where something that is there changes) under one key, and return the router's answer.

    Raises HTTPError for a refusal.
    """
    key = uuid4().hex

    def answer() -> Any:
        try:
            found = (put if changes else post)(url, body, ADMIN_TOKEN, key)
        except urllib.error.HTTPError as refused:
            if refused.code != UNAVAILABLE:
                raise
            refused.close()
            return None
        return found if found["accepted"] is not None else None

    return wait_until(answer, f"an answer of {url}")
