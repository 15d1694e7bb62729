"""Speech servers that hear what they are told to hear, built from the public descriptions of their protocols.

They check what they get as strictly as the real ones do, and say "nothing" of silence.
"""

import json
import threading
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import Any

import numpy as np
from websockets.sync.server import Server, ServerConnection, serve

RATE = 16_000
QUIET = 60
"""No sample above this is speech."""


@dataclass
class Script:
    """What is heard in any sound that is not silent, and what was asked."""

    words: list[str] = field(default_factory=list)
    language: str = "english"
    answer: bytes | None = None
    """Sent instead of any right answer."""
    status: int = 200
    asked: list[dict[str, Any]] = field(default_factory=list)

    def heard(self, samples: "np.ndarray[Any, np.dtype[np.int16]]") -> list[tuple[str, float, float]]:
        """Spread the words over the loud part of a sound, seconds."""
        loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > QUIET)
        if len(loud) < RATE // 10:
            return []
        edges = np.linspace(loud[0], loud[-1], len(self.words) + 1) / RATE
        return [(word, float(edges[n]), float(edges[n + 1])) for n, word in enumerate(self.words)]


@contextmanager
def vosk_server(script: Script) -> Iterator[str]:
    """Run a server as vosk-server's websocket README describes it; yield its address."""
    server = serve(lambda connection: _vosk(connection, script), "127.0.0.1", 0)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"ws://127.0.0.1:{_port(server)}"
    finally:
        server.shutdown()
        thread.join(5)


def _port(server: Server) -> int:
    return int(server.socket.getsockname()[1])


def _vosk(connection: ServerConnection, script: Script) -> None:
    samples = bytearray()
    for message in connection:
        if script.answer is not None:
            connection.send(script.answer.decode())
        elif isinstance(message, bytes):
            samples += message
            connection.send(json.dumps({"partial": ""}))
        elif "config" in (asked := json.loads(message)):
            assert asked["config"]["sample_rate"] == RATE
            script.asked.append(asked)
        elif asked == {"eof": 1}:
            heard = script.heard(np.frombuffer(bytes(samples), dtype="<i2"))
            result = [{"conf": 0.9, "start": start, "end": end, "word": word} for word, start, end in heard]
            text = " ".join(word for word, _, _ in heard)
            connection.send(json.dumps({"result": result, "text": text} if result else {"text": ""}))
            script.asked.append({"samples": len(samples) // 2})
            return


@contextmanager
def openai_server(script: Script) -> Iterator[str]:
    """Run a server with OpenAI's transcription endpoint; yield its base address."""

    class Handler(BaseHTTPRequestHandler):
        """One request."""

        def do_POST(self) -> None:
            """Answer it."""
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, answer = _openai(self.path, self.headers["Content-Type"], body, script)
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def _openai(path: str, content_type: str, body: bytes, script: Script) -> tuple[int, bytes]:
    if script.answer is not None or script.status != 200:
        return script.status, script.answer or b"{}"
    fields: dict[str, list[bytes]] = {}
    form = message_from_bytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
    for part in form.get_payload():
        name = str(part.get_param("name", header="content-disposition"))  # type: ignore[union-attr]
        fields.setdefault(name, []).append(part.get_payload(decode=True))  # type: ignore[union-attr, arg-type]
    language = fields.get("language", [b""])[0].decode()
    if path != "/v1/audio/transcriptions" or not {"file", "model"} <= set(fields) or language == "xx":
        return 400, b'{"error": {"message": "Invalid value"}}'
    with wave.open(BytesIO(fields["file"][0])) as file:
        assert (file.getframerate(), file.getnchannels()) == (RATE, 1)
        samples = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")
    script.asked.append({name: values for name, values in fields.items() if name != "file"})
    heard = script.heard(samples)
    words = [{"word": word, "start": start, "end": end} for word, start, end in heard]
    segments = [{"start": heard[0][1], "end": heard[-1][2], "text": "", "avg_logprob": -0.2}] if heard else []
    text = " ".join(word for word, _, _ in heard)
    answer = {"language": script.language, "text": text, "words": words, "segments": segments}
    return 200, json.dumps(answer).encode()
