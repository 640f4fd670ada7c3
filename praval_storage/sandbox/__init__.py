"""All five backends for real, without root, Docker or a fixed port: ``with Sandbox() as dm:``."""

from praval_storage.sandbox.sandbox import Sandbox

__all__ = ["Sandbox"]
