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

"""The C library's allocator, set for a process that handles camera frames."""

from __future__ import annotations

import ctypes
import platform

# mallopt(3)
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
# The largest threshold that glibc takes on 64 bits: a frame of 8K in rgb8 is three times as big.
_MMAP_FROM = 32 * 2**20
_KEEP = 64 * 2**20


def keep_freed_memory() -> None:
    """
    Keep memory that was freed for the next frame, instead of giving it back to the kernel.

    glibc gives back some MiB at once, and taking a frame copies it several times. With every
    frame the kernel would have to map and clear its pages anew: 2000 page faults for 1280x720,
    which take longer than all the rest of it. At most 64 MiB at the end of each arena are kept.
    """
    if _is_glibc():
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_THRESHOLD, _MMAP_FROM)
        libc.mallopt(_M_TRIM_THRESHOLD, _KEEP)


def give_back_freed_memory() -> None:
    """
    Give all freed memory back to the kernel, as after a model was dropped.

    glibc does so by itself at the ends of its arenas only. Of the shipped bundle's weights and
    buffers it would keep some 180 MB.
    """
    if _is_glibc():
        ctypes.CDLL(None).malloc_trim(0)


def _is_glibc() -> bool:
    return platform.libc_ver()[0] == 'glibc'
