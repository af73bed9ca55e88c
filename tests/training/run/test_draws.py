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

"""Which samples a step sees."""

from hypothesis import given, strategies
from lego_ros.training.run.draws import mix, StepSampler


@given(samples=strategies.integers(1, 40), share=strategies.integers(1, 6),
       processes=strategies.integers(1, 3), begin=strategies.integers(0, 30))
def test_portions_of_all_processes_make_up_the_epochs(samples, share, processes, begin):
    batch = share * processes
    steps = range(begin, begin + 5)
    parts = [list(StepSampler(samples, batch, 1, 7, steps, rank, processes))
             for rank in range(processes)]
    assert all(len(part) == len(steps) * share for part in parts)
    drawn = [parts[rank][step * share + place][0].index
             for step in range(len(steps)) for rank in range(processes) for place in range(share)]
    whole = [draws[0].index
             for draws in StepSampler(samples, 1, 1, 7, range((begin + 5) * batch))]
    assert drawn == whole[begin * batch:]
    for epoch in range(len(whole) // samples):
        assert sorted(whole[epoch * samples:(epoch + 1) * samples]) == list(range(samples))


def test_a_sample_draws_anew_in_each_epoch():
    seeds = {}
    for draws in StepSampler(5, 5, 5, 1, range(4)):
        for draw in draws:
            seeds.setdefault(draw.index, set()).add(draw.seed)
    assert {len(values) for values in seeds.values()} == {4}


def test_seeds_differ_with_each_number_and_their_order():
    assert len({mix(1, 2), mix(2, 1), mix(1, 2, 0), mix(12)}) == 4
    assert all(0 <= mix(n) < 2**63 for n in range(100))
