import hashlib
from typing import Final

from flask import request

from services.shared.access import Principal
from services.shared.chassis.admission import Refusal
from services.shared.chassis.problems import problem

MAX_KEY: Final = 255


def key_id(principal: Principal) -> str:
    """Return an id derived from the Idempotency-Key; empty without. Raises Refusal.

    Never that of another token, nor of another request (ADR 47): a program that uses a key twice must not be told that
    what it asks for the second time has been done, when nothing was.
    """
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return ""
    if not 0 < len(key) <= MAX_KEY:
        raise Refusal(problem(400, "bad-idempotency-key", f"An Idempotency-Key has 1 to {MAX_KEY} characters."))
    owner = f"{principal.tenant}\0{principal.role.value}\0{principal.actor}\0{key}"
    asked = f"{owner}\0{request.method} {request.full_path}\0".encode(errors="replace") + request.get_data()
    return "idem-" + hashlib.sha256(asked).hexdigest()[:40]
