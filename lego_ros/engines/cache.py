# Copyright 2026 The lego_ros Authors
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""
A folder of built engines: found by what they were built from, never loaded unless unharmed.

A damaged or foreign engine can crash the library that reads it, so hashes are compared before any
library sees a path. They guard against damage and mix-ups; who may write the folder can run code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime, timezone
import errno
import fcntl
import hashlib
import logging
import os
from pathlib import Path
import shutil
import tempfile
import time

from lego_ros.engines.cache_record import Entry, Key, read_entry, RECORD
from lego_ros.errors import ErrorCode, LegoError
from lego_ros.files import hash_file, sync

_LOG = logging.getLogger(__name__)
_BUILD = "build it with 'lego-ros engine build'"


def default_folder() -> Path:
    """
    Tell where engines are kept.

    :returns: ``lego_ros/engines`` in the user's cache folder (XDG Base Directory Specification,
        by which a relative XDG_CACHE_HOME does not count).
    """
    base = Path(os.environ.get('XDG_CACHE_HOME', ''))
    return (base if base.is_absolute() else Path.home() / '.cache') / 'lego_ros' / 'engines'


class EngineCache:
    """
    The engines of a machine. Any number of processes may use it at the same time.

    :param folder: that holds them; made when something is put into it.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or default_folder()
        self._entries = self.folder / 'entries'
        self._parts = self.folder / 'parts'

    def get(self, key: Key) -> Entry:
        """
        Find an entry and hash all its files.

        :param key: see :meth:`find`.
        :returns: an entry that may be loaded.
        :raises LegoError: of :meth:`find` and :meth:`verify`.
        """
        entry = self.find(key)
        self.verify(entry)
        return entry

    def find(self, key: Key) -> Entry:
        """
        Find an entry; its files are not looked at.

        :param key: what it must have been made from; it may have been built for more
            architectures.
        :returns: the entry. Before a library reads it: :meth:`verify` or :meth:`read`.
        :raises LegoError: BUNDLE_NOT_FOUND: there is none; BUNDLE_MISMATCH: there is one of the
            same network, but of another version or for another device; BUNDLE_INVALID: its record
            is damaged.
        """
        exact = self._entries / key.folder_name
        if exact.is_dir():
            return read_entry(exact)
        others = [entry for entry in self.entries()[0]
                  if entry.key.onnx_sha256 == key.onnx_sha256
                  and entry.key.backend == key.backend]
        for entry in others:
            if (set(key.architectures) <= set(entry.key.architectures)
                    and replace(entry.key, architectures=key.architectures) == key):
                return entry
        what = f"'{key.description.name}' for {key.backend} {key.version}".rstrip()
        wanted = f'{what}{_for(key)}'
        if others:
            found = ', '.join(sorted(
                f'{entry.key.version}{_for(entry.key)}'.strip() for entry in others))
            raise LegoError(
                ErrorCode.BUNDLE_MISMATCH,
                f"the network {wanted} is not in '{self.folder}', only that of {found[:300]}, "
                f'which does not run here; {_BUILD}')
        raise LegoError(
            ErrorCode.BUNDLE_NOT_FOUND,
            f"the network {wanted} is not in '{self.folder}'; {_BUILD}")

    def verify(self, entry: Entry) -> None:
        """
        Compare all of an entry's files with its record.

        :param entry: of this cache.
        :raises LegoError: BUNDLE_TAMPERED: a file is not the one that was put in, is missing, is
            a link or does not belong there.
        """
        try:
            present = {path.name for path in entry.folder.iterdir()} - {RECORD}
            for name in sorted(present ^ set(entry.files)):
                raise _tampered(entry, name, 'does not belong there' if name in present
                                else 'is missing')
            for name, wanted in entry.files.items():
                path = entry.folder / name
                if path.is_symlink() or not path.is_file():
                    raise _tampered(entry, name, 'is not a file')
                size = path.stat().st_size
                if size != wanted.size:
                    raise _tampered(entry, name, f'has {size} bytes instead of {wanted.size}')
                if hash_file(path) != wanted:
                    raise _tampered(entry, name, 'has another SHA-256 than when it was built')
        except OSError as error:
            raise _tampered(entry, 'it', f'cannot be read: {error}') from error

    def read(self, entry: Entry, name: str) -> bytes:
        """
        Read a file and hash the very bytes that are given.

        :param entry: of this cache.
        :param name: of one of its files.
        :returns: its content.
        :raises LegoError: BUNDLE_TAMPERED: it is not the one that was put in.
        """
        wanted, path = entry.files[name], entry.folder / name
        try:
            # Memory is set aside for what the record says only when there is that much.
            if path.is_symlink() or not path.is_file() or path.stat().st_size != wanted.size:
                raise _tampered(entry, name, f'is not a file of {wanted.size} bytes')
            with open(path, 'rb') as file:
                data = file.read(wanted.size)
        except OSError as error:
            raise _tampered(entry, name, f'cannot be read: {error}') from error
        if len(data) != wanted.size or hashlib.sha256(data).hexdigest() != wanted.sha256:
            raise _tampered(entry, name, 'is not the one that was built')
        return data

    def put(self, make: Callable[[Path], Key]) -> Entry:
        """
        Make an entry; it is there whole or not at all, whatever happens meanwhile.

        :param make: writes the files into the empty folder that it gets, and tells what they
            are; what it raises is passed on.
        :returns: the entry. If another process was faster with the same one, that stays; if a
            damaged one was there, it is replaced.
        :raises LegoError: RECORDING_FAILED: the disk is full, or refuses.
        """
        try:
            with self.workspace() as part:
                folder = part / 'entry'
                folder.mkdir()
                start = time.monotonic()
                key = make(folder)
                seconds = time.monotonic() - start
                files = {path.name: hash_file(path) for path in sorted(folder.iterdir())}
                now = datetime.now(timezone.utc).isoformat(timespec='seconds')
                entry = Entry(folder, key, files, seconds, now)
                entry.save()
                for path in [*folder.iterdir(), folder]:
                    sync(path)
                return self._install(entry, part)
        except OSError as error:
            raise LegoError(
                ErrorCode.RECORDING_FAILED,
                f"an engine cannot be written to '{self.folder}': {error}. Make room, remove "
                "engines with 'lego-ros engine prune', or name another folder") from error

    def entries(self) -> tuple[list[Entry], list[LegoError]]:
        """
        List what is there; files are not looked at.

        :returns: the entries, sorted by folder, and what is wrong with those that are none.
        """
        found, problems = [], []
        for folder in sorted(self._entries.glob('*')):
            try:
                found.append(read_entry(folder))
            except LegoError as error:
                problems.append(error)
        return found, problems

    def prune(self, keep: Callable[[Entry], bool]) -> list[Path]:
        """
        Remove entries, and with them what cannot be read or was left by a killed process.

        :param keep: tells which stay.
        :returns: the folders that are gone.
        :raises LegoError: RECORDING_FAILED: one cannot be removed.
        """
        kept = {entry.folder for entry in self.entries()[0] if keep(entry)}
        gone = [folder for folder in sorted(self._entries.glob('*')) if folder not in kept]
        if not self.folder.is_dir():
            return []
        try:
            with self.workspace() as part:
                for folder in gone:
                    # Another process may be removing it too.
                    with suppress(FileNotFoundError):
                        os.rename(folder, part / folder.name)
        except OSError as error:
            raise LegoError(
                ErrorCode.RECORDING_FAILED,
                f"engines in '{self.folder}' cannot be removed: {error}") from error
        return gone

    @contextmanager
    def workspace(self) -> Iterator[Path]:
        """
        Give a folder to work in, on the same disk; those of processes that died are removed.

        :returns: a context with a new folder, which is removed at its end.
        :raises OSError: the disk refuses.
        """
        self._parts.mkdir(parents=True, exist_ok=True)
        # Only one at a time looks for the dead: a new folder is not locked from its first moment.
        with open(self._parts / 'lock', 'w') as gate:
            fcntl.flock(gate, fcntl.LOCK_EX)
            for other in self._parts.iterdir():
                if other.is_dir() and not _is_alive(other):
                    shutil.rmtree(other, ignore_errors=True)
            part = Path(tempfile.mkdtemp(dir=self._parts))
            lock = open(part / 'lock', 'w')  # noqa: SIM115 - held until the end of the block
            fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield part
        finally:
            shutil.rmtree(part, ignore_errors=True)
            lock.close()

    def _install(self, entry: Entry, part: Path) -> Entry:
        """Give a finished entry its place, unless there is a sound one."""
        self._entries.mkdir(parents=True, exist_ok=True)
        target = self._entries / entry.key.folder_name
        for attempt in range(8):
            try:
                os.rename(entry.folder, target)
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
            else:
                sync(self._entries)
                return replace(entry, folder=target)
            try:
                there = read_entry(target)
                self.verify(there)
                return there
            except LegoError as error:
                _LOG.warning('%s: it is replaced', error.message)
                with suppress(FileNotFoundError):
                    os.rename(target, part / f'damaged-{attempt}')
        raise OSError(errno.EBUSY, 'other processes keep changing it', str(target))


def _is_alive(part: Path) -> bool:
    """Tell whether the process that works in a folder still does: its lock goes with it."""
    try:
        with open(part / 'lock') as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False


def _for(key: Key) -> str:
    return f" on {', '.join(key.architectures)}" if key.architectures else ''


def _tampered(entry: Entry, name: str, what: str) -> LegoError:
    return LegoError(
        ErrorCode.BUNDLE_TAMPERED,
        f"'{name}' in '{entry.folder}' {what}; do not use it: remove the folder, and {_BUILD}")
