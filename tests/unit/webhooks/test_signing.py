import base64
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from services.webhooks.domain.signing import BadSecret, Secret, signatures

KEYS = st.binary(min_size=24, max_size=64)


def whsec(key: bytes) -> str:
    return "whsec_" + base64.b64encode(key).decode()


@given(key=KEYS, payload=st.text().map(str.encode), delivery_id=st.from_regex(r"[A-Za-z0-9._:-]{1,80}", fullmatch=True))
def test_an_independent_library_verifies_what_is_signed(key: bytes, payload: bytes, delivery_id: str) -> None:
    now = int(time.time())
    headers = {
        "webhook-id": delivery_id,
        "webhook-timestamp": str(now),
        "webhook-signature": signatures((Secret.parse(whsec(key)),), delivery_id, now, payload),
    }
    Webhook(whsec(key)).verify(payload, headers, json_parse=False)
    with pytest.raises(WebhookVerificationError):
        Webhook(whsec(key)).verify(payload + b" ", headers, json_parse=False)
    with pytest.raises(WebhookVerificationError):
        Webhook(whsec(key)).verify(payload, headers | {"webhook-id": delivery_id + "x"}, json_parse=False)


@given(old=KEYS, new=KEYS)
def test_during_a_rotation_either_secret_verifies(old: bytes, new: bytes) -> None:
    now = int(time.time())
    signed = signatures((Secret.parse(whsec(new)), Secret.parse(whsec(old))), "evt-1.crm", now, b"{}")
    headers = {"webhook-id": "evt-1.crm", "webhook-timestamp": str(now), "webhook-signature": signed}
    for key in (old, new):
        Webhook(whsec(key)).verify(b"{}", headers)


def test_the_example_of_the_standard_webhooks_specification_is_reproduced() -> None:
    secret = Secret.parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    signed = signatures((secret,), "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize(
    "text",
    ["", "whsec_", "secret", "whsec_!!!!", "whsec_" + "A" * 8, "whsec_" + "A" * 200, "whsk_" + "A" * 32, "whsec_é"],
)
def test_what_is_no_secret_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(BadSecret) as refused:
        Secret.parse(text)
    assert text.removeprefix("whsec_") not in str(refused.value) or len(text) <= len("whsec_")


def test_a_secret_is_not_in_its_own_text() -> None:
    assert "0123456789abcdef" not in repr(Secret.parse(whsec(b"0123456789abcdef01234567")))
