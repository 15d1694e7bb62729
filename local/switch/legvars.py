"""The variables that the switch itself puts on a leg, in the order of the captures.

They make an event as big as a real one (6 to 12 kB), which is what readers must stand; those of them that mean
something (times, durations, disposition) are true for the simulated call.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from zlib import crc32

from local.switch.causes import Q850
from local.switch.clock import MICROSECONDS
from local.switch.variables import SharedLines

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.switch.channel import Leg

SIP_PORT = 5060

_INBOUND_NETWORK = SharedLines(
    [
        ("sip_local_network_addr", "127.0.0.1"),
        ("sip_network_ip", "127.0.0.1"),
        ("sip_received_ip", "127.0.0.1"),
        ("sip_via_protocol", "udp"),
        ("sofia_profile_name", "external"),
        ("sofia_profile_url", f"sip:mod_sofia@127.0.0.1:{SIP_PORT}"),
        ("recovery_profile_name", "external"),
        ("sip_cid_type", "pid"),
        ("sip_req_port", SIP_PORT),
        ("sip_req_host", "127.0.0.1"),
        ("sip_to_host", "127.0.0.1"),
        ("sip_contact_host", "127.0.0.1"),
        ("sip_user_agent", "simulated-phone/1"),
        ("sip_via_host", "127.0.0.1"),
        ("max_forwards", 70),
    ]
)
_CODECS = SharedLines(
    [
        ("ep_codec_string", "CORE_PCM_MODULE.PCMU@8000h@20i@64000b"),
        ("rtp_use_codec_string", "PCMU,PCMA,OPUS"),
        ("remote_video_media_flow", "inactive"),
        ("remote_text_media_flow", "inactive"),
        ("remote_audio_media_flow", "sendrecv"),
        ("audio_media_flow", "sendrecv"),
        ("rtp_audio_recv_pt", 0),
        ("rtp_use_codec_name", "PCMU"),
        ("rtp_use_codec_rate", 8000),
        ("rtp_use_codec_ptime", 20),
        ("rtp_use_codec_channels", 1),
        ("rtp_last_audio_codec_string", "PCMU@8000h@20i@1c"),
        ("read_codec", "PCMU"),
        ("original_read_codec", "PCMU"),
        ("read_rate", 8000),
        ("original_read_rate", 8000),
        ("write_codec", "PCMU"),
        ("write_rate", 8000),
        ("dtmf_type", "rfc2833"),
    ]
)
_RTP = SharedLines(
    [
        ("rtp_use_timer_name", "soft"),
        ("rtp_use_pt", 0),
        ("rtp_2833_send_payload", 101),
        ("rtp_2833_recv_payload", 101),
        ("remote_media_ip", "127.0.0.1"),
    ]
)
_OUTBOUND_PROFILE = SharedLines(
    [
        ("sip_outgoing_contact_uri", f"<sip:mod_sofia@127.0.0.1:{SIP_PORT}>"),
        ("sofia_profile_name", "internal"),
        ("recovery_profile_name", "internal"),
        ("sofia_profile_url", f"sip:mod_sofia@127.0.0.1:{SIP_PORT}"),
    ]
)


def _mark(leg: Leg, salt: str) -> int:
    """Return a number that is the leg's own but needs no dice: tags, ports, SSRCs."""
    return crc32(f"{leg.uuid}{salt}".encode())


def _port(leg: Leg) -> int:
    return 16_384 + _mark(leg, "port") % 16_000


def sdp(leg: Leg, whose: str) -> str:
    """Return a session description as long as a real phone's or the switch's."""
    number = _mark(leg, whose)
    name = "FreeSWITCH" if whose == "local" else "-"
    tail = "a=ptime:20\r\na=sendrecv\r\n" if whose == "local" else ""
    return (
        f"v=0\r\no={name} {number} {number + 1} IN IP4 127.0.0.1\r\ns={name}\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
        f"m=audio {_port(leg)} RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\n"
        f"a=fmtp:101 0-16\r\n{tail}"
    )


def set_inbound_variables(leg: Leg, port: int, sip_headers: dict[str, str]) -> None:
    """Set what an INVITE brings: about 70 variables."""
    profile, variables = leg.profile, leg.variables
    user, called = profile.caller_id_number.lstrip("+") or "anonymous", profile.destination_number
    tag = f"{_mark(leg, 'from'):08x}"
    variables.set_many(
        [
            ("direction", "inbound"),
            ("uuid", leg.uuid),
            ("call_uuid", leg.uuid),
            ("session_id", leg.session_id),
            ("sip_from_user", user),
            ("sip_from_port", port),
            ("sip_from_uri", f"{user}@127.0.0.1:{port}"),
            ("sip_from_host", "127.0.0.1"),
            ("video_media_flow", "disabled"),
            ("text_media_flow", "disabled"),
            ("channel_name", leg.name),
            ("sip_call_id", f"{leg.uuid}@phone{port}"),
        ]
    )
    variables.add_shared(_INBOUND_NETWORK)
    variables.set_many(
        [
            ("sip_network_port", port),
            ("sip_invite_stamp", profile.times.created),
            ("sip_received_port", port),
            ("sip_from_user_stripped", user),
            ("sip_from_tag", tag),
            ("sip_P-Asserted-Identity", profile.caller_id_number),
            ("sip_full_via", f"SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bK{_mark(leg, 'via'):08x}"),
            ("sip_from_display", profile.caller_id_name),
            ("sip_full_from", f'"{profile.caller_id_name}" <sip:{user}@127.0.0.1:{port}>;tag={tag}'),
            ("sip_full_to", f"<sip:{called}@127.0.0.1>"),
            ("sip_req_user", called),
            ("sip_req_uri", f"{called}@127.0.0.1:{SIP_PORT}"),
            ("sip_to_user", called),
            ("sip_to_uri", f"{called}@127.0.0.1"),
            ("sip_contact_user", user),
            ("sip_contact_port", port),
            ("sip_contact_uri", f"{user}@127.0.0.1:{port}"),
            ("sip_via_port", port),
            *((f"sip_h_{name}", value) for name, value in sip_headers.items()),
            ("switch_r_sdp", sdp(leg, "remote")),
        ]
    )
    variables.add_shared(_CODECS)
    variables.set_many(
        [
            ("remote_media_ip", "127.0.0.1"),
            ("remote_media_port", _port(leg)),
            ("endpoint_disposition", "RECEIVED"),
        ]
    )


def set_outbound_variables(leg: Leg, destination: str, own: list[tuple[str, str]]) -> None:
    """Set what an originated leg has at CHANNEL_CREATE; `own` are the command's `{variables}`."""
    variables = leg.variables
    variables.set_many(
        [
            ("direction", "outbound"),
            ("is_outbound", "true"),
            ("uuid", leg.uuid),
            ("call_uuid", leg.uuid),
            ("session_id", leg.session_id),
            ("sip_local_network_addr", "127.0.0.1"),
            ("sip_profile_name", "internal"),
            ("video_media_flow", "disabled"),
            ("text_media_flow", "disabled"),
            ("channel_name", leg.name),
            ("sip_destination_url", f"sip:{destination}"),
            *own,
            ("originate_early_media", "false" if ("ignore_early_media", "true") in own else "true"),
            ("originate_endpoint", leg.name.partition("/")[0]),
            ("rtp_use_codec_string", "PCMU,PCMA,OPUS"),
            ("local_media_ip", "127.0.0.1"),
            ("local_media_port", _port(leg)),
            ("advertised_media_ip", "127.0.0.1"),
            ("audio_media_flow", "sendrecv"),
            ("rtp_local_sdp_str", sdp(leg, "local")),
            ("sip_req_uri", destination),
            ("sip_to_host", destination.partition("@")[2]),
            ("sip_from_host", "127.0.0.1"),
        ]
    )
    variables.add_shared(_OUTBOUND_PROFILE)


def set_reached_variables(leg: Leg, destination: str, port: int) -> None:
    """Set what the called phone's first answer brings: about 30 variables."""
    user, _, host = destination.partition("@")
    profile, tag = leg.profile, f"{_mark(leg, 'to'):08x}"
    via = f"SIP/2.0/UDP 127.0.0.1;rport;branch=z9hG4bK{_mark(leg, 'via'):08x}"
    own = f"{profile.orig_caller_id_number}@127.0.0.1"
    leg.variables.set_many(
        [
            ("sip_reply_host", "127.0.0.1"),
            ("sip_reply_port", port),
            ("sip_network_ip", "127.0.0.1"),
            ("sip_network_port", port),
            ("sip_user_agent", "simulated-phone/1"),
            ("sip_recover_contact", f"<sip:{destination}>"),
            ("sip_full_via", via),
            ("sip_recover_via", via),
            ("sip_from_display", profile.orig_caller_id_name),
            ("sip_full_from", f'"{profile.orig_caller_id_name}" <sip:{own}>;tag={_mark(leg, "from"):08x}'),
            ("sip_full_to", f"<sip:{destination}>;tag={tag}"),
            ("sip_from_user", profile.orig_caller_id_number),
            ("sip_from_uri", own),
            ("sip_from_host", "127.0.0.1"),
            ("sip_to_user", user),
            ("sip_to_port", port),
            ("sip_to_uri", destination),
            ("sip_to_host", host),
            ("sip_contact_user", user),
            ("sip_contact_port", port),
            ("sip_contact_uri", destination),
            ("sip_contact_host", host),
            ("sip_to_tag", tag),
            ("sip_from_tag", f"{_mark(leg, 'from'):08x}"),
            ("sip_cseq", _mark(leg, "cseq") % 200_000_000),
            ("sip_call_id", f"{leg.uuid}-out"),
        ]
    )


def answered_variables(leg: Leg) -> Iterator[tuple[str, object]]:
    """Yield what the answer adds: media addresses, and the dialog's tags on an inbound leg."""
    if leg.direction == "outbound":
        yield "switch_r_sdp", sdp(leg, "remote")
        leg.variables.add_shared(_CODECS)
    else:
        yield "rtp_local_sdp_str", sdp(leg, "local")
    yield "local_media_ip", "127.0.0.1"
    yield "local_media_port", _port(leg) + 2
    yield "advertised_media_ip", "127.0.0.1"
    leg.variables.add_shared(_RTP)
    yield "rtp_use_ssrc", _mark(leg, "ssrc")
    yield "remote_media_port", _port(leg)
    if leg.direction == "inbound":
        yield "sip_to_tag", f"{_mark(leg, 'to'):08x}"
        yield "sip_cseq", 1
        yield "sip_full_to", f"<sip:{leg.profile.destination_number}@127.0.0.1>;tag={_mark(leg, 'to'):08x}"


_STAMPS = ("start", "profile_start", "answer", "bridge", "progress", "progress_media", "end")


def report_variables(leg: Leg) -> Iterator[tuple[str, object]]:
    """Yield what the end adds: cause, digits, stamps, epochs and durations (CHANNEL_HANGUP_COMPLETE, truth 21)."""
    cause = leg.hangup_cause or "NORMAL_CLEARING"
    yield "hangup_cause", cause
    yield "hangup_cause_q850", Q850.get(cause, 16) if Q850.get(cause, 16) < 128 else 16  # noqa: PLR2004 - Q.850 ends
    yield "digits_dialed", leg.digits_dialed or "none"
    times = leg.profile.times
    instants = {
        "start": times.created,
        "profile_start": times.profile_created,
        "answer": times.answered,
        "bridge": times.bridged,
        "progress": times.progress,
        "progress_media": times.progress_media,
        "end": times.hungup,
    }
    for name in _STAMPS:
        if instants[name]:
            stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(instants[name] // MICROSECONDS))
            yield f"{name}_stamp", stamp
    if leg.hold_spans:
        yield "hold_events", "{" + ",".join(f"{{{begin},{end}}}" for begin, end in reversed(leg.hold_spans)) + "}"
    for name in ("start", "profile_start", "answer", "bridge"):
        yield from _epochs(name, instants[name])
    yield from _epochs("last_hold", times.last_hold)
    yield from (("hold_accum_seconds", times.hold_accum // MICROSECONDS), ("hold_accum_usec", times.hold_accum))
    yield "hold_accum_ms", times.hold_accum // 1000
    for name in ("resurrect", "progress", "progress_media", "end"):
        yield from _epochs(name, instants.get(name, 0))
    yield "last_app", leg.variables.get("current_application") or ""
    yield "caller_id", f'"{leg.profile.caller_id_name}" <{leg.profile.caller_id_number}>'
    yield from _durations(instants)


def _epochs(name: str, instant_us: int) -> Iterator[tuple[str, object]]:
    yield f"{name}_epoch", instant_us // MICROSECONDS
    yield f"{name}_uepoch", instant_us


def _durations(instants: dict[str, int]) -> Iterator[tuple[str, object]]:
    """Yield the same nine spans in seconds, milliseconds and microseconds."""
    start, end = instants["start"], instants["end"]

    def span(begin: int, finish: int) -> int:
        return max(0, finish - begin) if begin and finish else 0

    spans = [
        ("duration", span(start, end)),
        ("billsec", span(instants["answer"], end)),
        ("progresssec", span(start, instants["progress"])),
        ("answersec", span(start, instants["answer"])),
        ("waitsec", span(start, instants["bridge"])),
        ("progress_mediasec", span(start, instants["progress_media"])),
        ("flow_billsec", span(start, end)),
    ]
    for name, microseconds in spans:
        # Whole seconds are differences of whole seconds on the switch, so they may be one more than the span.
        whole = end // MICROSECONDS - (end - microseconds) // MICROSECONDS
        yield name, whole if microseconds else 0
    for name, microseconds in spans:
        yield f"{_prefixed(name, 'm')}", microseconds // 1000
    for name, microseconds in spans:
        yield f"{_prefixed(name, 'u')}", microseconds


def _prefixed(name: str, unit: str) -> str:
    return f"{unit}duration" if name == "duration" else name.removesuffix("sec") + f"{unit}sec"


def set_statistics(leg: Leg) -> None:
    """Set the stream statistics of the end: as many packets as the talk was long."""
    if not leg.answered:
        return
    packets = max(0, leg.profile.times.hungup - leg.profile.times.answered) // 20_000
    leg.variables.set_many(
        [
            ("rtp_audio_in_raw_bytes", packets * 172),
            ("rtp_audio_in_media_bytes", packets * 172),
            ("rtp_audio_in_packet_count", packets),
            ("rtp_audio_in_media_packet_count", packets),
        ]
    )
    leg.variables.add_shared(_STATISTICS)
    leg.variables.set_many(
        [
            ("rtp_audio_out_raw_bytes", packets * 172),
            ("rtp_audio_out_media_bytes", packets * 172),
            ("rtp_audio_out_packet_count", packets),
            ("rtp_audio_out_media_packet_count", packets),
        ]
    )


_STATISTICS = SharedLines(
    [
        *((f"rtp_audio_in_{name}_packet_count", 0) for name in ("skip", "jitter", "dtmf", "cng", "flush")),
        ("rtp_audio_in_largest_jb_size", 0),
        ("rtp_audio_in_jitter_min_variance", "0.01"),
        ("rtp_audio_in_jitter_max_variance", "4.70"),
        ("rtp_audio_in_jitter_loss_rate", "0.00"),
        ("rtp_audio_in_jitter_burst_rate", "0.00"),
        ("rtp_audio_in_mean_interval", "20.01"),
        ("rtp_audio_in_flaw_total", 0),
        ("rtp_audio_in_quality_percentage", "100.00"),
        ("rtp_audio_in_mos", "4.50"),
        *((f"rtp_audio_out_{name}_packet_count", 0) for name in ("skip", "dtmf", "cng")),
        ("rtp_audio_rtcp_packet_count", 0),
        ("rtp_audio_rtcp_octet_count", 0),
    ]
)
