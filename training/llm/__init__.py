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
A language model behind any OpenAI-compatible server, asked about many things at once.

``client`` asks, by way of ``transport``; ``journal`` keeps each answer at once; ``asking`` does it
for all of them; ``prices`` tells the cost. What is asked and what answers are worth is the
caller's: ``training.curation`` and ``training.programs``.
"""
