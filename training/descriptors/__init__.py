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
What is seen and heard in a clip, as text: the five components from which LEAP writes programs.

``clip`` says what a clip and its descriptors are, ``rendering`` writes them down. Each source is a
module: ``narrations``, ``sounds`` and ``audio_classifier``, ``poses`` and ``odometry`` (put into
words by ``motion``), ``detections`` and ``object_detector``, ``contact``; ``kitchen`` has the
simulated kitchen's truth for all five. ``describing`` asks sources about clips, video by video.
"""
