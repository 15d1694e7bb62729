"""The object store, through boto3. The only importer of it."""

import hashlib
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from services.recorder.domain.digest import Digest, StoredObject
from services.recorder.domain.wav import MEDIA_TYPE
from services.recorder.errors import StoreFailed

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

CONNECT_SECONDS = 5
READ_SECONDS = 60
LINK_SECONDS = 300
_READ_BACK_BYTES = 1024 * 1024
_NOT_FOUND = frozenset({"404", "NoSuchKey", "NotFound"})
_NO_BUCKET = frozenset({"NoSuchBucket", "404", "NotFound"})


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
                s3={"addressing_style": "path"},
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
        return StoredObject(answer["ContentLength"], answer["Metadata"].get("sha256"), checksum)

    def put(self, key: str, parts: Iterator[bytes], digest: Digest) -> None:
        """Store one object, in several parts when the digest has several. The store checks each part's SHA-256."""
        self._make_bucket()
        with _as_store_failed():
            if len(digest.parts) > 1:
                self._put_parts(key, parts, digest)
                return
            self._client.put_object(
                Bucket=self.bucket,
                Key=key,
                Body=next(parts),
                ContentType=MEDIA_TYPE,
                ChecksumSHA256=digest.checksum,
                Metadata={"sha256": digest.sha256},
            )

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

    def link(self, key: str, file_name: str) -> str:
        """Return an address that fetches the object for LINK_SECONDS without further rights."""
        parameters = {
            "Bucket": self.bucket,
            "Key": key,
            "ResponseContentDisposition": f'attachment; filename="{file_name}"',
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
                self._client.create_bucket(Bucket=self.bucket)
        self._has_bucket = True

    def _put_parts(self, key: str, parts: Iterator[bytes], digest: Digest) -> None:
        self._drop_unfinished(key)
        upload = self._client.create_multipart_upload(
            Bucket=self.bucket,
            Key=key,
            ContentType=MEDIA_TYPE,
            ChecksumAlgorithm="SHA256",
            Metadata={"sha256": digest.sha256},
        )["UploadId"]
        sent: list[CompletedPartTypeDef] = []
        for number, (part, wanted) in enumerate(zip(parts, digest.parts, strict=True), 1):
            checksum = b64encode(wanted).decode()
            answer = self._client.upload_part(
                Bucket=self.bucket, Key=key, UploadId=upload, PartNumber=number, Body=part, ChecksumSHA256=checksum
            )
            sent.append({"PartNumber": number, "ETag": answer["ETag"], "ChecksumSHA256": checksum})
        self._client.complete_multipart_upload(
            Bucket=self.bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": sent}
        )

    def _drop_unfinished(self, key: str) -> None:
        """End what a killed try has begun: the claim says that nobody else works on this key."""
        answer = self._client.list_multipart_uploads(Bucket=self.bucket, Prefix=key)
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
    except (BotoCoreError, OSError) as error:
        raise StoreFailed(f"the object store does not answer: {type(error).__name__}") from error
