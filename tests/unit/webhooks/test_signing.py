import base64
import time
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from services.webhooks.domain.signing import BadSecret, DatedSecret, SigningKey, in_force, parse_secret, signatures

KEYS = st.binary(min_size=24, max_size=64)


def whsec(key: bytes) -> str:
    return "whsec_" + base64.b64encode(key).decode()


@given(key=KEYS, payload=st.text().map(str.encode), delivery_id=st.from_regex(r"[A-Za-z0-9._:-]{1,80}", fullmatch=True))
def test_an_independent_library_verifies_what_is_signed(key: bytes, payload: bytes, delivery_id: str) -> None:
    now = int(time.time())
    headers = {
        "webhook-id": delivery_id,
        "webhook-timestamp": str(now),
        "webhook-signature": signatures((parse_secret(whsec(key)),), delivery_id, now, payload),
    }
    Webhook(whsec(key)).verify(payload, headers, json_parse=False)
    with pytest.raises(WebhookVerificationError):
        Webhook(whsec(key)).verify(payload + b" ", headers, json_parse=False)
    with pytest.raises(WebhookVerificationError):
        Webhook(whsec(key)).verify(payload, headers | {"webhook-id": delivery_id + "x"}, json_parse=False)


@given(old=KEYS, new=KEYS)
def test_during_a_rotation_either_secret_verifies(old: bytes, new: bytes) -> None:
    now = int(time.time())
    signed = signatures((parse_secret(whsec(new)), parse_secret(whsec(old))), "evt-1.crm", now, b"{}")
    headers = {"webhook-id": "evt-1.crm", "webhook-timestamp": str(now), "webhook-signature": signed}
    for key in (old, new):
        Webhook(whsec(key)).verify(b"{}", headers)


def test_the_example_of_the_standard_webhooks_specification_is_reproduced() -> None:
    secret = parse_secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    signed = signatures((secret,), "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize(
    "text",
    [
        "",
        "whsec_",
        "secret",
        "whsec_!!!!",
        "whsec_" + "A" * 8,
        "whsec_" + "A" * 200,
        "whsk_" + "A" * 32,
        "whsk_" + "A" * 86,
        "whpk_" + "A" * 43,
        "whsec_é",
    ],
)
def test_what_is_no_secret_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(BadSecret) as refused:
        parse_secret(text)
    assert text.removeprefix("whsec_") not in str(refused.value) or len(text) <= len("whsec_")


def test_a_secret_is_not_in_its_own_text() -> None:
    assert "0123456789abcdef" not in repr(parse_secret(whsec(b"0123456789abcdef01234567")))


SVIX_PAIR = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="


def test_the_published_vector_of_the_asymmetric_scheme_is_reproduced() -> None:
    secret = parse_secret(SVIX_PAIR)
    signed = signatures((secret,), "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert signed == "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="


@given(seed=st.binary(min_size=32, max_size=32), payload=st.binary(), number=st.integers(0, 2**33))
def test_an_asymmetric_signature_is_verified_with_the_public_key_alone(
    seed: bytes, payload: bytes, number: int
) -> None:
    secret = parse_secret("whsk_" + base64.b64encode(seed).decode())
    assert isinstance(secret, SigningKey)
    version, _, encoded = signatures((secret,), "evt-1.crm", number, payload).partition(",")
    public = Ed25519PublicKey.from_public_bytes(base64.b64decode(secret.public.removeprefix("whpk_")))
    signed = b"evt-1.crm." + str(number).encode() + b"." + payload
    assert version == "v1a"
    public.verify(base64.b64decode(encoded), signed)
    with pytest.raises(InvalidSignature):
        public.verify(base64.b64decode(encoded), signed + b"x")


def test_both_schemes_sign_side_by_side_and_the_reference_library_takes_its_own() -> None:
    now = int(time.time())
    both = (parse_secret(SVIX_PAIR), parse_secret(whsec(b"k" * 24)))
    headers = {
        "webhook-id": "evt-1.crm",
        "webhook-timestamp": str(now),
        "webhook-signature": signatures(both, "evt-1.crm", now, b"{}"),
    }
    Webhook(whsec(b"k" * 24)).verify(b"{}", headers)


def test_an_old_secret_signs_until_its_end_and_not_after() -> None:
    new, old = parse_secret(whsec(b"n" * 24)), parse_secret(whsec(b"o" * 24))
    rotation = (DatedSecret(new), DatedSecret(old, until=1000.0))
    assert in_force(rotation, 999.9) == (new, old)
    assert in_force(rotation, 1000.0) == (new,)


def test_the_receiver_that_the_page_shows_beside_a_new_secret_verifies_what_we_sign() -> None:
    secret = whsec(b"k" * 32)
    page = (Path(__file__).resolve().parents[3] / "services" / "webhooks" / "page" / "webhooks.js").read_text()
    shown = page.split("const SAMPLE = `")[1].split("`;")[0].replace("SECRET", secret)
    program: dict[str, Any] = {"__name__": "receiver"}
    exec(shown, program)  # noqa: S102 - it is our own page's
    client, body, now = program["app"].test_client(), b'{"type":"call.ended"}', int(time.time())
    headers = {"webhook-id": "evt-1.crm", "webhook-timestamp": str(now)}
    headers["webhook-signature"] = signatures((parse_secret(secret),), "evt-1.crm", now, body)
    assert client.post("/events", data=body, headers=headers).status_code == 204
    assert client.post("/events", data=body + b" ", headers=headers).status_code == 400
