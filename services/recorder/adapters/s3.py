"""The object store, through boto3. The only importer of it."""

import hashlib
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, cast

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

from services.recorder.domain.digest import Digest, StoredObject
from services.recorder.errors import RecorderError, StoreFailed, StoreLied

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

CONNECT_SECONDS = 5
READ_SECONDS = 60
LINK_SECONDS = 300
_READ_BACK_BYTES = 1024 * 1024
_SEND_BYTES = 64 * 1024
_NOT_FOUND = frozenset({"404", "NoSuchKey", "NotFound"})
_NO_BUCKET = frozenset({"NoSuchBucket", "404", "NotFound"})
_BUCKET_MADE = frozenset({"BucketAlreadyOwnedByYou", "BucketAlreadyExists"})
_STORED_AS = {"audio/wav": "audio/vnd.wave"}
"""RFC 2361's own name for it. SeaweedFS zips what is called audio/wav: a seventh of its work on a recording, and who
listens from the middle on waits until it has unpacked what is before. A company that wants it small says FLAC."""
_NOT_KNOWN = frozenset({"NotImplemented", "MethodNotAllowed"})


@dataclass(frozen=True, slots=True)
class Kind:
    """What an object is, and how the store encrypts it: by "", "AES256" (SSE-S3) or "aws:kms" (SSE-KMS)."""

    media_type: str
    encryption: str = ""
    kms_key_id: str = ""

    def arguments(self) -> dict[str, str]:
        """Return what S3 wants to be told of it."""
        found = {"ContentType": _STORED_AS.get(self.media_type, self.media_type)}
        if self.encryption:
            found["ServerSideEncryption"] = self.encryption
        if self.encryption == "aws:kms" and self.kms_key_id:
            found["SSEKMSKeyId"] = self.kms_key_id
        return found


class Part(Protocol):
    """Bytes that are read while they are sent."""

    def __len__(self) -> int:
        """How many they are."""

    def __iter__(self) -> Iterator[memoryview]:
        """Yield all of them, each good until the next. What it raises, `put` raises."""


class ObjectStore:
    """One bucket. Every method raises StoreFailed when the store is away, refuses or fails."""

    def __init__(self, endpoint: str, bucket: str, access_key: str, secret_key: str, region: str) -> None:
        self.bucket = bucket
        self._has_bucket = False
        self._client: S3Client = boto3.client(
            "s3",
            endpoint_url=endpoint or None,
            aws_access_key_id=access_key,
            aws_secret_access_key=secret_key,
            region_name=region,
            config=Config(
                signature_version="s3v4",
                connect_timeout=CONNECT_SECONDS,
                read_timeout=READ_SECONDS,
                # Retries are the dispatcher's: with back-off per recording, and counted.
                retries={"total_max_attempts": 1},
                max_pool_connections=32,
                # The signed checksum says of which bytes it is, and the store computes it: a second hash of them all,
                # here and there, would prove nothing more.
                s3={"addressing_style": "path", "payload_signing_enabled": False},
                parameter_validation=False,  # the parameters are ours
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )

    def describe(self, key: str) -> StoredObject | None:
        """Return what the store says of an object, None when there is none."""
        with _as_store_failed():
            try:
                answer = self._client.head_object(Bucket=self.bucket, Key=key, ChecksumMode="ENABLED")
            except ClientError as error:
                if error.response.get("Error", {}).get("Code") in _NOT_FOUND:
                    return None
                raise
        checksum = answer.get("ChecksumSHA256") or None
        encryption = answer.get("ServerSideEncryption") or ""
        return StoredObject(answer["ContentLength"], answer["Metadata"].get("sha256"), checksum, encryption)

    def put(self, key: str, parts: Iterator[Part], digest: Digest, kind: Kind) -> StoredObject | None:
        """Store one object, in several parts when the digest has several. The store checks each part's SHA-256.

        Returns what the store says that it holds, where its answer proves that; None = it has to be asked. Only the
        answer to a single request tells the checksum of the whole object as the store computed it.
        """
        self._make_bucket()
        with _as_store_failed():
            if len(digest.parts) > 1:
                self._put_parts(key, parts, digest, kind)
                return None
            answer = self._client.put_object(
                Bucket=self.bucket,
                Key=key,
                Body=next(parts),  # type: ignore[arg-type] # the HTTP client sends what is iterated; the stubs know files
                ChecksumSHA256=digest.checksum,
                Metadata={"sha256": digest.sha256},
                **kind.arguments(),  # type: ignore[arg-type] # the stubs know these texts as literals only
            )
        checksum = answer.get("ChecksumSHA256")
        if not checksum:
            return None
        return StoredObject(digest.size_bytes, digest.sha256, checksum, answer.get("ServerSideEncryption") or "")

    def read_back(self, key: str) -> str:
        """Fetch an object and return the hex SHA-256 of what came."""
        found = hashlib.sha256()
        with _as_store_failed():
            body = self._client.get_object(Bucket=self.bucket, Key=key)["Body"]
            for piece in body.iter_chunks(_READ_BACK_BYTES):
                found.update(piece)
        return found.hexdigest()

    def fetch(self, key: str) -> Iterator[bytes]:
        """Yield an object's bytes."""
        with _as_store_failed():
            yield from self._client.get_object(Bucket=self.bucket, Key=key)["Body"].iter_chunks(_READ_BACK_BYTES)

    def read_range(self, key: str, first: int, last: int) -> Iterator[bytes]:
        """Yield an object's bytes from first to last, both included."""
        with _as_store_failed():
            body = self._client.get_object(Bucket=self.bucket, Key=key, Range=f"bytes={first}-{last}")["Body"]
        try:
            with _as_store_failed():
                yield from body.iter_chunks(_SEND_BYTES)
        finally:
            body.close()

    def delete(self, key: str) -> None:
        """Delete an object with all its versions and what was begun of it, and believe it only when nothing is left.

        Harmless without one.
        """
        with _as_store_failed():
            self._drop_unfinished(key)
            for version in self._versions(key):
                self._client.delete_object(Bucket=self.bucket, Key=key, VersionId=version)
            self._client.delete_object(Bucket=self.bucket, Key=key)
            is_left = bool(self._versions(key, only_sound=True))
        if is_left or self.describe(key) is not None:
            raise StoreLied("the store still has what it was told to delete")

    def _versions(self, key: str, *, only_sound: bool = False) -> list[str]:
        """Return the versions of an object, and unless `only_sound` the marks of deletions.

        What was stored before versions were on, or while they are off, is the one that is called null.
        """
        kinds = ("Versions",) if only_sound else ("Versions", "DeleteMarkers")
        try:
            pages = self._client.get_paginator("list_object_versions").paginate(Bucket=self.bucket, Prefix=key)
            rows = [
                row for page in cast("Iterator[dict[str, Any]]", pages) for kind in kinds for row in page.get(kind, ())
            ]
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") in _NO_BUCKET | _NOT_KNOWN:
                return []
            raise
        return [row["VersionId"] for row in rows if row["Key"] == key]

    def link(self, key: str, file_name: str, media_type: str) -> str:
        """Return an address that fetches the object for LINK_SECONDS without further rights."""
        parameters = {
            "Bucket": self.bucket,
            "Key": key,
            "ResponseContentDisposition": f'attachment; filename="{file_name}"',
            "ResponseContentType": media_type,
        }
        with _as_store_failed():
            return self._client.generate_presigned_url("get_object", Params=parameters, ExpiresIn=LINK_SECONDS)

    def _make_bucket(self) -> None:
        if self._has_bucket:
            return
        with _as_store_failed():
            try:
                self._client.head_bucket(Bucket=self.bucket)
            except ClientError as error:
                if error.response.get("Error", {}).get("Code") not in _NO_BUCKET:
                    raise
                self._create_bucket()
        self._has_bucket = True

    def _create_bucket(self) -> None:
        """Make the bucket, unless another recorder has made it since we looked."""
        try:
            self._client.create_bucket(Bucket=self.bucket)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") not in _BUCKET_MADE:
                raise

    def _put_parts(self, key: str, parts: Iterator[Part], digest: Digest, kind: Kind) -> None:
        self._drop_unfinished(key)
        upload = self._client.create_multipart_upload(
            Bucket=self.bucket,
            Key=key,
            ChecksumAlgorithm="SHA256",
            Metadata={"sha256": digest.sha256},
            **kind.arguments(),  # type: ignore[arg-type] # as above
        )["UploadId"]
        sent: list[CompletedPartTypeDef] = []
        for number, (part, wanted) in enumerate(zip(parts, digest.parts, strict=True), 1):
            checksum = b64encode(wanted).decode()
            answer = self._client.upload_part(
                Bucket=self.bucket,
                Key=key,
                UploadId=upload,
                PartNumber=number,
                Body=part,  # type: ignore[arg-type] # as above
                ChecksumSHA256=checksum,
            )
            sent.append({"PartNumber": number, "ETag": answer["ETag"], "ChecksumSHA256": checksum})
        self._client.complete_multipart_upload(
            Bucket=self.bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": sent}
        )

    def _drop_unfinished(self, key: str) -> None:
        """End what a killed try has begun: the claim says that nobody else works on this key, or it is to go."""
        try:
            answer = self._client.list_multipart_uploads(Bucket=self.bucket, Prefix=key)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") in _NO_BUCKET | _NOT_KNOWN:
                return
            raise
        for upload in answer.get("Uploads", ()):
            if upload["Key"] == key:
                self._client.abort_multipart_upload(Bucket=self.bucket, Key=key, UploadId=upload["UploadId"])


@contextmanager
def _as_store_failed() -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        details = error.response.get("Error", {})
        raise StoreFailed(f"the object store answered {details.get('Code', 'an error')}") from error
    except HTTPClientError as error:
        cause = error.kwargs.get("error")  # the library packs up what a part has raised
        if isinstance(cause, RecorderError):
            raise cause from error
        raise StoreFailed(f"the object store does not answer: {type(error).__name__}") from error
    except (BotoCoreError, OSError) as error:
        raise StoreFailed(f"the object store does not answer: {type(error).__name__}") from error
