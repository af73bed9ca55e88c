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
Every way in which a query can fail, with the number that goes over the wire.

The numbers equal the constants of msg/ErrorCode.msg (a test holds them together), so that the
part without ROS can raise what the nodes report.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum


class ErrorCode(IntEnum):
    """What went wrong; the value of ``error_code`` in results, outcomes and diagnostics."""

    NONE = 0

    # The query itself.
    INVALID_QUERY = 10
    QUERY_TOO_LONG = 11
    DUPLICATE_QUERY_ID = 12
    INVALID_SETTING = 13

    # The picture it is about.
    NO_FRAME = 20
    STALE_FRAME = 21
    UNKNOWN_ENCODING = 22
    NOT_A_COLOR_IMAGE = 23
    MALFORMED_IMAGE = 24
    IMAGE_TOO_LARGE = 25

    # The course of its answer.
    NOT_ACTIVE = 30
    PREEMPTED = 31
    CANCELED = 32
    OUT_OF_MEMORY = 33
    INFERENCE_FAILED = 34

    # The model bundle.
    BUNDLE_NOT_FOUND = 40
    BUNDLE_INVALID = 41
    BUNDLE_TAMPERED = 42
    BUNDLE_UNSAFE = 43
    BUNDLE_MISMATCH = 44

    # The camera source or the recording.
    SOURCE_UNREADABLE = 50
    RECORDING_FAILED = 51

    # The action program.
    PROGRAM_INVALID = 60
    PROGRAM_UNMET = 61


class LegoError(Exception):
    """
    A failure that a caller can act on.

    :param code: the number that goes over the wire.
    :param message: what was wrong and what to do about it, in one or two sentences.
    """

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return f'{self.code.name}: {self.message}'


@contextmanager
def telling(code: ErrorCode, message: str) -> Iterator[None]:
    """
    Report what a library says of something that others made.

    :param code: of the error.
    :param message: what cannot be used; the library's reason is put after it, on one line.
    :returns: a context; the libraries are called in it.
    :raises LegoError: for whatever they raise, but a MemoryError and a LegoError stay.
    """
    try:
        yield
    except (LegoError, MemoryError):
        raise
    except Exception as error:
        # A faulty configuration makes the libraries raise anything: IndexError, and classes of
        # their own that are no ValueError, such as huggingface_hub's StrictDataclassError.
        reason = ' '.join(str(error).split())[:400] or type(error).__name__
        raise LegoError(code, f'{message}: {reason}') from error
