"""The S3 endpoint of a sandbox: moto's server in a process of its own."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import ClassVar

from praval_storage.sandbox.service import Place, Service, package_folder

_MODULE = "praval_storage.sandbox.s3_process"


class S3(Service):
    """An S3 endpoint that takes any credentials.

    Args:
        place: Where it runs.
        access_key_id: Credential that :meth:`Sandbox.environment` names.
        secret_access_key: Credential that goes with it.
    """

    name: ClassVar[str] = "s3"

    bucket = "praval-data"
    region = "us-east-1"

    def __init__(self, place: Place, access_key_id: str, secret_access_key: str) -> None:
        package_folder("moto")
        package_folder("flask")
        super().__init__(place)
        self.access_key_id = access_key_id
        self.secret_access_key = secret_access_key
        self._ready = place.run / "s3.ready"

    @property
    def endpoint_url(self) -> str:
        """What a client connects to."""
        return f"http://{self.host}:{self.port}"

    def variables(self) -> dict[str, str]:
        """``AWS_ACCESS_KEY_ID`` with its secret, ``AWS_S3_BUCKET``, ``_REGION``, ``AWS_ENDPOINT_URL``."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
            "AWS_S3_BUCKET": self.bucket,
            "AWS_REGION": self.region,
            "AWS_ENDPOINT_URL": self.endpoint_url,
        }

    def _prepare(self) -> None:
        self._ready.unlink(missing_ok=True)

    def _command(self) -> list[str]:
        settings = {
            "host": self.host,
            "port": str(self.port),
            "folder": str(self._folder),
            "bucket": self.bucket,
            "region": self.region,
            "ready": str(self._ready),
        }
        options = [f"--{name}={value}" for name, value in settings.items()]
        keep = ["--keep"] if self._place.keep else []
        return [sys.executable, "-P", "-W", "ignore", "-m", _MODULE, *options, *keep]

    def _environment(self) -> Mapping[str, str]:
        # Python may need more of the environment than we know; but moto's and AWS's settings are the user's.
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "MOTO_"))}
        # The same packages as here, wherever this process found them.
        path = os.pathsep.join(os.path.abspath(each) for each in sys.path)  # noqa: PTH100
        # Bodies moto does not keep in memory are temporary files.
        return {**inherited, "PYTHONPATH": path, "TMPDIR": str(self._place.run)}

    def _answers(self) -> bool:
        return self._ready.exists()
