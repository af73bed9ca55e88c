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
Action programs written by a language model from a clip's descriptors (LEAP).

``exemplars`` are worked examples, of which ``retrieval`` finds the most similar; ``prompt`` puts
them and the query into words and ``constraint`` holds a server to the grammar. ``judging`` says
what an answer is worth, ``conversation`` what is asked next, by way of ``training.llm``.
``results`` are the files, ``report`` what came of a run; ``generate`` is the run.
"""
