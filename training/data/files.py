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

"""Files and folders that are there whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import os
from pathlib import Path
import shutil

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.files import sync
from safetensors import SafetensorError


@contextmanager
def replacing(folder: Path, what: str) -> Iterator[Path]:
    """
    Write a result folder's new content; it is there whole or not at all.

    :param folder: takes it when the block ends without an error; what is there is replaced.
    :param what: is written, for the message.
    :returns: a context with an empty folder to write to.
    :raises LegoError: RECORDING_FAILED: it cannot be written.
    """
    part = folder.with_name(f'.{folder.name}.part')
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        yield part
        for path in [*part.rglob('*'), part]:
            sync(path)
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(part, folder)
        sync(folder.parent)
    # A full disk is a RuntimeError to torch, and safetensors has an error of its own.
    except (OSError, RuntimeError, SafetensorError) as error:
        shutil.rmtree(part, ignore_errors=True)
        raise LegoError(
            ErrorCode.RECORDING_FAILED,
            f"{what} cannot be written to '{folder}': {error}. Make room; the same command goes "
            'on from the last checkpoint') from error


def unusable(path: Path | str, why: str) -> LegoError:
    """
    Make the error for a file without which nothing can be done.

    :param path: of the file.
    :param why: what is wrong and what to do, a clause.
    :returns: the error, SOURCE_UNREADABLE.
    """
    return LegoError(ErrorCode.SOURCE_UNREADABLE, f"'{path}': {why}")
