"""Records as objects in an S3 bucket, on AWS or any server that speaks S3.

``settings`` says which bucket, ``connection`` sends requests (and asks for fresh credentials), ``explained``
says what went wrong. ``store`` reads, writes and lists records; ``headers`` is how metadata travels with an
object, ``upload`` sends bodies.
"""

from praval_storage.providers.s3.provider import S3Provider
from praval_storage.providers.s3.settings import S3Settings

__all__ = ["S3Provider", "S3Settings"]
