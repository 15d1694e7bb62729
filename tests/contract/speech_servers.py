"""Speech servers that hear what they are told to hear, built from the public descriptions of their protocols.

They check what they get as strictly as the real ones do, and say "nothing" of silence. Each is a process of its own.
"""

import json
import subprocess
import sys
import wave
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, field
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from websockets.sync.server import ServerConnection, serve

ROOT = Path(__file__).parents[2]
RATE = 16_000
QUIET = 60
"""No sample above this is speech."""


@dataclass
class Script:
    """What is heard in any sound that is not silent."""

    words: list[str] = field(default_factory=list)
    language: str = "english"
    answer: str | None = None
    """Sent instead of any right answer."""
    status: int = 200

    def heard(self, samples: "np.ndarray[Any, np.dtype[np.int16]]") -> list[tuple[str, float, float]]:
        """Spread the words over the loud part of a sound, seconds."""
        loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > QUIET)
        if len(loud) < RATE // 10:
            return []
        edges = np.linspace(loud[0], loud[-1], len(self.words) + 1) / RATE
        return [(word, float(edges[n]), float(edges[n + 1])) for n, word in enumerate(self.words)]


def vosk_server(script: Script) -> AbstractContextManager[str]:
    """Run a server as vosk-server's websocket README describes it; give its address."""
    return _running("vosk", script)


def openai_server(script: Script) -> AbstractContextManager[str]:
    """Run a server with OpenAI's transcription endpoint; give its base address."""
    return _running("openai", script)


@contextmanager
def _running(kind: str, script: Script) -> Iterator[str]:
    command = [sys.executable, "-m", "tests.contract.speech_servers", kind, json.dumps(asdict(script))]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own command
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait(10)
        process.stdout.close()


def _serve_vosk(script: Script) -> None:
    with serve(lambda connection: _vosk(connection, script), "127.0.0.1", 0) as server:
        _tell(f"ws://127.0.0.1:{server.socket.getsockname()[1]}")
        server.serve_forever()


def _tell(address: str) -> None:
    sys.stdout.write(address + "\n")
    sys.stdout.flush()


def _vosk(connection: ServerConnection, script: Script) -> None:
    samples = bytearray()
    for message in connection:
        if script.answer is not None:
            connection.send(script.answer)
        elif isinstance(message, bytes):
            samples += message
            connection.send(json.dumps({"partial": ""}))
        elif "config" in (asked := json.loads(message)):
            assert asked["config"]["sample_rate"] == RATE
        elif asked == {"eof": 1}:
            heard = script.heard(np.frombuffer(bytes(samples), dtype="<i2"))
            result = [{"conf": 0.9, "start": start, "end": end, "word": word} for word, start, end in heard]
            text = " ".join(word for word, _, _ in heard)
            connection.send(json.dumps({"result": result, "text": text} if result else {"text": ""}))
            return


def _serve_openai(script: Script) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, answer = _openai(self.path, self.headers["Content-Type"], body, script)
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        _tell(f"http://127.0.0.1:{server.server_port}/v1")
        server.serve_forever()


def _openai(path: str, content_type: str, body: bytes, script: Script) -> tuple[int, bytes]:
    if script.answer is not None or script.status != 200:
        return script.status, (script.answer or "{}").encode()
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
    heard = script.heard(samples)
    words = [{"word": word, "start": start, "end": end} for word, start, end in heard]
    segments = [{"start": heard[0][1], "end": heard[-1][2], "text": "", "avg_logprob": -0.2}] if heard else []
    text = " ".join(word for word, _, _ in heard)
    answer = {"language": script.language, "text": text, "words": words, "segments": segments}
    return 200, json.dumps(answer).encode()


if __name__ == "__main__":
    _SERVERS = {"vosk": _serve_vosk, "openai": _serve_openai}
    _SERVERS[sys.argv[1]](Script(**json.loads(sys.argv[2])))
