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

"""Cancellation that reaches from a ROS callback into the running denoise step."""

from __future__ import annotations

import threading

from lego_ros.errors import ErrorCode, LegoError


class CancelToken:
    """
    A one-way switch shared by the one who may cancel and the loop that must stop.

    The first reason given stays: a query that was preempted is not later called cancelled.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reason: LegoError | None = None

    def cancel(self, code: ErrorCode, message: str) -> None:
        """
        Ask the holder to stop at its next check.

        :param code: CANCELED, PREEMPTED or NOT_ACTIVE.
        :param message: the reason, as the caller shall read it.
        """
        with self._lock:
            if self._reason is None:
                self._reason = LegoError(code, message)

    @property
    def canceled(self) -> bool:
        """Whether a stop was asked for."""
        return self._reason is not None

    def check(self) -> None:
        """
        Return at once, or stop the caller.

        :raises LegoError: with the code and message given to :meth:`cancel`.
        """
        if self._reason is not None:
            raise self._reason
