"""The file of the keys: JSON, readable by its owner alone, replaced as a whole, read anew when it changes."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import msgspec

from voxengine.errors import ConfigurationError
from voxengine.gateway.auth.keys import Key

__all__ = ["KeyFile"]

logger = logging.getLogger(__name__)

#: Seconds between two looks at whether the file has changed.
LOOK_EVERY = 1.0
#: A file that is longer is none of ours.
MAX_BYTES = 16 << 20
#: What tells one version of the file from another: its inode, its size and the time of its last change.
_Version = tuple[int, int, int]


class _Content(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    keys: list[Key] = []
    version: int = 1


class KeyFile:
    """The keys in a file, by their ids.

    Raises:
        ConfigurationError: the file is there and cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._keys: Mapping[str, Key] = MappingProxyType({})
        self._version: _Version | None = None
        self._looked_at = float("-inf")
        self._complaint = ""
        self._read()

    @property
    def keys(self) -> Mapping[str, Key]:
        """The keys that were read last."""
        return self._keys

    def fresh(self, now: float) -> Mapping[str, Key]:
        """The keys, read anew if the file has changed; it is looked at once in a second. `now` is monotonic.

        A file that cannot be used, or is gone, leaves the keys as they were, and is reported in the log.
        """
        if now - self._looked_at >= LOOK_EVERY:
            self._looked_at = now
            self.reload()
        return self._keys

    def reload(self) -> None:
        """Read the file anew if it has changed; on failure the keys stay as they were."""
        try:
            changed = self._read()
        except ConfigurationError as failure:
            if str(failure) != self._complaint:  # said once, not once a second
                self._complaint = str(failure)
                logger.error("the keys stay as they were: %s", failure)
        else:
            if changed:
                self._complaint = ""
                logger.info("%d keys were read from %s", len(self._keys), self.path)

    @contextlib.contextmanager
    def changing(self) -> Iterator[dict[str, Key]]:
        """A dict of the keys to change; at the end of the block it is written. One program at a time.

        Raises:
            ConfigurationError: the file cannot be read or written.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            lock = os.open(
                self.path.with_name(f"{self.path.name}.lock"), os.O_CREAT | os.O_RDWR, 0o600
            )
        except OSError as failure:
            raise self._unusable(failure) from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._version = (
                None  # whatever was read before: what is written has to begin with what is there
            )
            self._read()
            keys = dict(self._keys)
            yield keys
            self._write(keys)
        finally:
            os.close(lock)

    def _read(self) -> bool:
        """Read the file if it is another one than before; whether it was."""
        try:
            with self.path.open("rb") as file:
                status = os.fstat(file.fileno())
                version = (status.st_ino, status.st_size, status.st_mtime_ns)
                if version == self._version:
                    return False
                # Also when it turns out to be unusable: it is not parsed again before it has changed.
                self._version = version
                data = file.read(MAX_BYTES + 1)
        except FileNotFoundError:
            if self._version is not None:
                self._version = None
                raise ConfigurationError(f"the file of the keys, {self.path}, is gone") from None
            return False
        except OSError as failure:
            raise self._unusable(failure) from None
        if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise ConfigurationError(
                f"the file of the keys, {self.path}, can be written by others; chmod 600 {self.path}"
            )
        self._keys = MappingProxyType(self._parse(data))
        return True

    def _parse(self, data: bytes) -> dict[str, Key]:
        try:
            if len(data) > MAX_BYTES:
                raise msgspec.ValidationError("it is too long")
            content = msgspec.json.decode(data, type=_Content)
        except (msgspec.DecodeError, UnicodeDecodeError) as failure:
            raise ConfigurationError(
                f"the file of the keys, {self.path}, cannot be read: {failure}"
            ) from None
        keys = {key.id: key for key in content.keys}
        if content.version != 1 or len(keys) != len(content.keys):
            what = "an id is in it twice" if content.version == 1 else "it is of another version"
            raise ConfigurationError(f"the file of the keys, {self.path}, cannot be read: {what}")
        return keys

    def _write(self, keys: Mapping[str, Key]) -> None:
        text = msgspec.json.format(msgspec.json.encode(_Content(list(keys.values()))), indent=2)
        draft = self.path.with_name(f"{self.path.name}.{os.getpid()}.new")
        try:
            with contextlib.suppress(FileNotFoundError):
                draft.unlink()
            opened = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            with os.fdopen(opened, "wb") as file:
                file.write(text + b"\n")
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self.path)
        except OSError as failure:
            raise self._unusable(failure) from None
        self._read()

    def _unusable(self, failure: OSError) -> ConfigurationError:
        reason = failure.strerror or type(failure).__name__
        return ConfigurationError(f"the file of the keys, {self.path}, cannot be used: {reason}")
