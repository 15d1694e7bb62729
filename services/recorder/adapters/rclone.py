"""Copies on other drives, through rclone: Google Drive, Dropbox, SFTP and all that it knows. The only user of it."""

import shutil
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import gevent
from gevent import subprocess

from services.recorder.errors import TryAgain

LONGEST_SECONDS = 900.0
_NOT_THERE = frozenset({3, 4})
"""rclone's exit codes for a folder and a file that are not there (rclone.org/docs, "Exit code")."""


class CopyFailed(TryAgain):
    """The other drive is away, full or refuses us."""

    outcome = "copy_failed"


class Remotes:
    """The remotes of rclone's own configuration file. Every method raises CopyFailed."""

    def __init__(self, config: Path | None, program: str = "rclone") -> None:
        self._config = config
        self._program = program

    def put(self, remote: str, key: str, pieces: Iterator[bytes], sha256: str) -> None:
        """Write an object, and believe it only when reading it back gives the same bytes."""
        code, _ = self._run(["rcat", f"{remote}:{key}"], pieces)
        if code:
            raise CopyFailed(f"the remote {remote} did not take the copy (rclone ended with {code})")
        code, told = self._run(["hashsum", "SHA-256", "--download", f"{remote}:{key}"])
        if code or told.split()[:1] != [sha256]:
            raise CopyFailed(f"the remote {remote} does not give back what was sent")

    def delete(self, remote: str, key: str) -> None:
        """Delete a copy. Harmless when there is none."""
        code, _ = self._run(["deletefile", f"{remote}:{key}"])
        if code and not self._is_gone(remote, key):
            raise CopyFailed(f"the remote {remote} did not delete the copy (rclone ended with {code})")

    def _is_gone(self, remote: str, key: str) -> bool:
        """Whether the drive answers, and says that there is no such copy."""
        code, _ = self._run(["lsf", f"{remote}:{key}"])
        return code in _NOT_THERE

    def _run(self, arguments: list[str], pieces: Iterable[bytes] = ()) -> tuple[int, str]:
        program = shutil.which(self._program)
        if program is None or self._config is None:
            raise CopyFailed("copies need rclone and RINGMASTER_RECORDER_RCLONE_CONFIG")
        # Names reach rclone behind "remote:", so none can look like an option of it.
        command = [program, "--config", str(self._config), "--quiet", "--retries", "1", *arguments]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        try:
            with gevent.Timeout(LONGEST_SECONDS):
                for piece in pieces:
                    process.stdin.write(piece)
                process.stdin.close()
                told = process.stdout.read().decode(errors="replace")
                return process.wait(), told
        except gevent.Timeout as error:
            raise CopyFailed(f"rclone took longer than {LONGEST_SECONDS:.0f} s") from error
        except OSError:  # it ended before it had read everything; its code says why
            return process.wait() or 1, ""
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            with suppress(OSError):  # what was not sent yet can't be
                process.stdin.close()
            process.stdout.close()
