"""Keys as telephone events (RFC 4733) in the capture format that SIPp plays: one file a key and place in the call."""

import struct
from pathlib import Path

PAYLOAD_TYPE = 101
KEYS = "129"
"""Those that caller.xml can choose from: SIPp takes no name of a capture from the callers' file."""
_STEP = 160
"""Samples in 20 ms."""
_STEPS = 6
_END_COPIES = 3
_VOLUME = 10
_ETHERNET = 1


def write_events(folder: Path) -> None:
    """Write events-<place>-<key>.pcap. The places differ in their timestamps, for that is what tells two keys apart."""
    for place in (1, 2):
        for key in KEYS:
            (folder / f"events-{place}-{key}.pcap").write_bytes(capture(int(key), place))


def capture(event: int, place: int) -> bytes:
    """Return one key press of 120 ms: growing durations, the last one three times with the end mark (RFC 4733 2.5)."""
    durations = [(step * _STEP, False) for step in range(1, _STEPS)]
    durations += [(_STEPS * _STEP, True)] * _END_COPIES
    packets = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65_535, _ETHERNET)]
    for number, (duration, is_last) in enumerate(durations):
        payload = struct.pack("!BBH", event, _VOLUME | (0x80 if is_last else 0), duration)
        marker = 0x80 if number == 0 else 0
        sequence, timestamp = 30_000 + 100 * place + number, 1_000_000 * place
        rtp = struct.pack("!BBHII", 0x80, PAYLOAD_TYPE | marker, sequence, timestamp, 0x52494E47) + payload
        frame = _frame(rtp)
        microseconds = number * 20_000
        packets.append(struct.pack("<IIII", 0, microseconds, len(frame), len(frame)) + frame)
    return b"".join(packets)


def _frame(payload: bytes) -> bytes:
    """Wrap in UDP, IP and Ethernet; SIPp puts in addresses and sums of its own."""
    udp = struct.pack("!HHHH", 9, 9, 8 + len(payload), 0) + payload
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, bytes(4), bytes(4))
    return bytes(12) + b"\x08\x00" + ip + udp
