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
The quality of service of every topic, by what the topic is for.

Images from a camera are best effort and only the newest counts; answers must arrive; what a node
has loaded is latched, so that a late listener still hears it. A reliable subscriber never hears a
best-effort publisher, so image subscribers ask for best effort and image publishers offer
reliable: together they match everything.
"""

from __future__ import annotations

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSPolicyKind, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions


def _keep_last(depth: int, reliability: ReliabilityPolicy = ReliabilityPolicy.RELIABLE,
               durability: DurabilityPolicy = DurabilityPolicy.VOLATILE) -> QoSProfile:
    return QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=depth, reliability=reliability,
                      durability=durability)


IMAGE_QOS = _keep_last(1, ReliabilityPolicy.BEST_EFFORT)
"""For subscribers of camera images."""

IMAGE_PUBLISHER_QOS = _keep_last(1)
"""For publishers of images."""

QUERY_QOS = _keep_last(10)
"""For questions."""

RESULT_QOS = _keep_last(10)
"""For answers and outcomes."""

LATCHED_QOS = _keep_last(1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
"""For what a late listener must hear too."""


def overridable() -> QoSOverridingOptions:
    """
    Let parameters change the profile: ``qos_overrides.<topic>.<subscription>.<policy>``.

    :returns: the options for ``create_publisher`` and ``create_subscription``.
    """
    return QoSOverridingOptions([
        QoSPolicyKind.HISTORY,
        QoSPolicyKind.DEPTH,
        QoSPolicyKind.RELIABILITY,
        QoSPolicyKind.DURABILITY,
    ])
