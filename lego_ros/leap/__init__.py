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
LEAP's recognition and anticipation of actions with the prediction of their programs.

LEAP (arXiv 2312.00055) says what goes in and what comes out: UniFormerV2 (base) with a head that
predicts the action program, programs of earlier clips aggregated for anticipation. How the head
is built, what its classes are and how programs are aggregated is not published; what stands here
is this package's own.
"""
