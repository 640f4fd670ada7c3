"""The account PostgreSQL runs as: it refuses to run as root."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Account:
    """A user and a group by number. Neither is made by us: these are there on every system."""

    user: int
    group: int

    def give(self, path: Path) -> None:
        """Make a file or folder, with what is in it, this account's."""
        for each in (path, *path.rglob("*")):
            os.chown(each, self.user, self.group, follow_symlinks=False)

    def can_run(self, *command: str) -> bool:
        """Whether the account can run a program; not when it lies in somebody's private folder."""
        try:
            done = subprocess.run(
                command,
                check=False,
                capture_output=True,
                cwd="/",
                user=self.user,
                group=self.group,
                extra_groups=[],
            )
        except PermissionError:
            return False
        return done.returncode == 0


def unprivileged_account(folder: Path) -> Account | None:
    """Whom a server runs as that refuses to be root: who owns its folder or the one above, else ``nobody``.

    ``None`` when we are not root: then it runs as we do.
    """
    if os.geteuid() != 0:
        return None
    for owner in (folder.stat(), folder.parent.stat()):
        if owner.st_uid != 0 and _has_name(owner.st_uid):
            return Account(owner.st_uid, owner.st_gid)
    nobody = pwd.getpwnam("nobody")
    return Account(nobody.pw_uid, nobody.pw_gid)


def _has_name(user: int) -> bool:
    """Whether the system knows a user by name: initdb insists on that."""
    try:
        return bool(pwd.getpwuid(user))
    except KeyError:
        return False


def copy_programs(source: Path, target: Path, names: tuple[str, ...]) -> None:
    """Copy some folders and files of a tree to the same places of another."""
    for name in names:
        if (source / name).is_dir():
            shutil.copytree(source / name, target / name, symlinks=True)
        else:
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source / name, target / name)
