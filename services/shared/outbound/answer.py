"""Reading an answer of a server that nobody vouches for. llhttp parses it and refuses what is ambiguous."""

from geventhttpclient._parser import HTTPParseError, HTTPResponseParser

# What is longer than this is not read to its end, and its connection is closed.
MAX_ANSWER_BYTES = 64 * 1024
MAX_HEADER_BYTES = 16 * 1024
_FINAL = 200


class NoAnswer(Exception):
    """No status came back. The message is one sentence of ours for a person; trying again may help."""


class AnswerParser(HTTPResponseParser):
    """Keeps of an answer what matters: status, Retry-After, the first `keep_bytes` of the body, whether it is whole."""

    def __init__(self, keep_bytes: int = 0) -> None:
        super().__init__()
        self.status = 0
        self.retry_after = ""
        self.is_complete = False
        self.size = 0
        self._kept: list[bytes] = []
        self._room = keep_bytes
        self._field = ""
        self._in_value = False
        self._header_bytes = 0

    @property
    def body(self) -> bytes:
        """The beginning of the body."""
        return b"".join(self._kept)

    def _on_message_begin(self) -> None:
        if self.is_complete:
            raise HTTPParseError("a second answer to one request", 0)
        self.retry_after = ""

    def _on_status(self, _text: str) -> None:
        """Ignore the reason phrase."""

    def _on_header_field(self, text: str) -> None:
        if self._in_value:
            self._field, self._in_value = "", False
        self._count_header(text)
        self._field += text

    def _on_header_value(self, text: str) -> None:
        self._in_value = True
        self._count_header(text)
        if self._field.lower() == "retry-after":
            self.retry_after += text

    def _on_headers_complete(self) -> bool:
        status = self.get_code()
        self.status = status if status >= _FINAL else 0
        return False

    def _on_body(self, data: bytes) -> None:
        self.size += len(data)
        if self._room > 0:
            self._kept.append(data[: self._room])
            self._room -= len(data)

    def _on_message_complete(self) -> None:
        # An interim answer (1xx) is followed by the true one.
        self.is_complete = self.status != 0

    def _on_chunk_header(self, *_ignored: object) -> None:
        """Ignore a chunk's size and extensions."""

    def _on_chunk_complete(self, *_ignored: object) -> None:
        """Have nothing to do at a chunk's end."""

    def _count_header(self, text: str) -> None:
        self._header_bytes += len(text)
        if self._header_bytes > MAX_HEADER_BYTES:
            raise HTTPParseError("headers without end", 0)
