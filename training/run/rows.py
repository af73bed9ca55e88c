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
Numbered arrays of one shape that are computed once and then read from the disk.

They lie in chunks, each a ``.npy`` file that is there whole or not at all, so that a run that was
broken off goes on after its last whole chunk. Reading maps the files into memory: what the system
has room for stays there, for all processes together.
"""

from __future__ import annotations

from collections.abc import Callable
import io
import json
from pathlib import Path

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.files import commit, write_whole
from lego_ros.training.data.files import unusable
from lego_ros.training.run.loop import Interrupted
import numpy as np
from tqdm import tqdm

IDENTITY = 'identity.json'
Share = tuple[int, int]
"""Number of a process, and how many there are: each computes every so-manieth chunk."""
ALL: Share = (0, 1)


class Rows:
    """
    Arrays 0 to ``count - 1``.

    :param folder: of the chunks; made where it is missing.
    :param identity: JSON values that the arrays depend on; a folder with others is refused.
    :param count: how many arrays there are.
    :param shape: of each.
    :param chunk: arrays per file.
    :raises LegoError: INVALID_SETTING: the folder holds arrays of another identity, named in the
        message; SOURCE_UNREADABLE: it cannot be read; RECORDING_FAILED: it cannot be made.
    """

    def __init__(self, folder: Path, identity: dict, count: int, shape: tuple[int, ...],
                 chunk: int = 1024) -> None:
        self._folder, self._count, self._shape, self._chunk = folder, count, shape, chunk
        self._maps: dict[int, np.ndarray] = {}
        self.identity = json.loads(json.dumps(
            {**identity, 'count': count, 'shape': shape, 'chunk': chunk}))
        self._claim()

    def __len__(self) -> int:
        """Give the number of arrays."""
        return self._count

    def __getitem__(self, index: int) -> np.ndarray:
        """
        Read an array.

        :param index: 0 to ``count - 1``.
        :returns: float16 of the shape, read-only and on the disk as long as nobody looks at it.
        :raises LegoError: SOURCE_UNREADABLE: its file is missing or damaged.
        """
        number, place = divmod(index, self._chunk)
        if number not in self._maps:
            self._maps[number] = self._open(number)
        return self._maps[number][place]

    def __getstate__(self) -> dict:
        """Leave the mapped files out: pickled, they would travel with all their content."""
        return {**self.__dict__, '_maps': {}}

    def fill(self, make: Callable[[range], np.ndarray], what: str,
             stop: Callable[[], bool] = lambda: False, share: Share = ALL) -> None:
        """
        Compute what is not there yet.

        :param make: computes the arrays of a range, (len(range), *shape).
        :param what: for the progress bar and messages.
        :param stop: asked after each chunk.
        :param share: of the chunks that are this process's.
        :raises Interrupted: ``stop`` said so.
        :raises LegoError: RECORDING_FAILED: a chunk cannot be written; INFERENCE_FAILED: a value
            has no finite float16, naming the array's number.
        """
        first, step = share
        mine = range(first, -(-self._count // self._chunk), step)
        missing = [number for number in mine if not self._path(number).is_file()]
        total, left = (sum(len(self._range(number)) for number in some)
                       for some in (mine, missing))
        with tqdm(total=total, initial=total - left, desc=what, unit='row', dynamic_ncols=True,
                  disable=not missing or first > 0) as bar:
            for number in missing:
                span = self._range(number)
                self._write(number, self._checked(make(span), span, what))
                bar.update(len(span))
                if stop() and number != missing[-1]:
                    raise Interrupted(int(bar.n))

    def _claim(self) -> None:
        path = self._folder / IDENTITY
        try:
            found = json.loads(path.read_text(encoding='utf-8'))
        except FileNotFoundError:
            found = None
        except (OSError, ValueError) as error:
            raise unusable(path, f'it cannot be read: {error}. Remove the folder to make it anew'
                           ) from error
        if found is None:
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
                write_whole(path, (json.dumps(self.identity, indent=1) + '\n').encode())
            except OSError as error:
                raise self._unwritten(path, error) from error
        elif found != self.identity:
            keys = sorted({*found, *self.identity}) if isinstance(found, dict) else ['everything']
            differ = [key for key in keys
                      if not isinstance(found, dict) or found.get(key) != self.identity.get(key)]
            raise LegoError(
                ErrorCode.INVALID_SETTING,
                f"'{self._folder}' was computed for another {', '.join(differ)}: remove it, or "
                'name another folder')

    def _open(self, number: int) -> np.ndarray:
        path = self._path(number)
        try:
            rows = np.load(path, mmap_mode='r', allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise unusable(path, f'it cannot be read: {error}. Remove it; it is then made anew'
                           ) from error
        wanted = (len(self._range(number)), *self._shape)
        if rows.shape != wanted or rows.dtype != np.float16:
            raise unusable(path, f'it holds {rows.dtype} {rows.shape}, not float16 {wanted}. '
                           'Remove it; it is then made anew')
        return rows

    def _write(self, number: int, rows: np.ndarray) -> None:
        path = self._path(number)
        part = path.with_name(f'.{path.name}.part')
        # Straight to a file NumPy writes past Python, and a full disk can go unnoticed.
        content = io.BytesIO()
        np.save(content, rows, allow_pickle=False)
        try:
            part.write_bytes(content.getbuffer())
            commit(part, path)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise self._unwritten(path, error) from error

    def _checked(self, rows: np.ndarray, span: range, what: str) -> np.ndarray:
        if rows.shape != (len(span), *self._shape):
            raise ValueError(f'expected {(len(span), *self._shape)}, got {rows.shape}')
        with np.errstate(over='ignore'):
            small = rows.astype(np.float16)
        bad = ~np.isfinite(small).reshape(len(span), -1).all(axis=1)
        if bad.any():
            raise LegoError(
                ErrorCode.INFERENCE_FAILED,
                f'{what}: row {span[int(bad.argmax())]} holds values that are not finite or '
                'beyond 65504; the weights are damaged or not trained for this')
        return small

    @staticmethod
    def _unwritten(path: Path, error: OSError) -> LegoError:
        return LegoError(
            ErrorCode.RECORDING_FAILED,
            f"'{path}' cannot be written: {error}. Make room; the same command goes on from there")

    def _range(self, number: int) -> range:
        return range(number * self._chunk, min((number + 1) * self._chunk, self._count))

    def _path(self, number: int) -> Path:
        return self._folder / f'rows-{number:06}.npy'
