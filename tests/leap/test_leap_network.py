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

import json
import shutil

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.leap.config import LeapConfig
from lego_ros.leap.network import LeapNetwork
from lego_ros.leap.prediction import context_of, probabilities, ProgramPrediction
from lego_ros.leap.targets import stack, targets_of
from lego_ros.programs.parsing import parse
from lego_ros.training.leap.losses import leap_loss, LossWeights
import pytest
import torch

PROGRAM = parse('objects knife, cucumber, board\ninitially on(cucumber, board), '
                'in_hand(knife, right)\nreach(cucumber, right)\ncut(cucumber, knife, right)\n')


def programs_of(network, clips):
    with torch.no_grad():
        return probabilities(network(clips).program)


def random_programs(classes, seed):
    """Make predictions that differ more than those of a network that has learnt nothing."""
    rng = torch.Generator().manual_seed(seed)
    steps = [(5 * torch.randn(2, 4, count + 1, generator=rng)).softmax(-1)
             for count in (len(classes.sub_verbs), *[len(classes.objects)] * 2)]
    facts = [(5 * torch.randn(2, len(classes.predicates), generator=rng)).sigmoid()
             for _ in range(2)]
    return ProgramPrediction(*steps, *facts)


def test_sizes(tiny, clips, classes):
    output = tiny()(clips())
    verbs, objects = len(classes.sub_verbs) + 1, len(classes.objects) + 1
    assert [tuple(each.shape) for each in output] == [
        (2, 3), (2, 3), (2, 4), (2, 4, verbs), (2, 4, objects), (2, 4, objects), (2, 9), (2, 9)]
    likely = probabilities(output.program)
    torch.testing.assert_close(likely.sub_verb.sum(-1), torch.ones(2, 4))
    assert ((likely.pre > 0) & (likely.pre < 1)).all()


def test_the_gradient_reaches_every_parameter(tiny, clips, classes):
    network = tiny(aggregated_clips=2).train()
    earlier = context_of([programs_of(network, clips(seed=2))])
    targets = stack([targets_of(PROGRAM, classes, 4)] * 2, [(2, 2), (1, 1)], classes, 4)
    leap_loss(network(clips(), earlier), targets, LossWeights()).total.backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


def test_at_first_the_past_has_no_effect(tiny, clips):
    network = tiny(stirred=False, aggregated_clips=3)
    earlier = context_of([programs_of(network, clips(seed=seed)) for seed in (2, 3)])
    with torch.no_grad():
        torch.testing.assert_close(network(clips(), earlier).verb, network(clips()).verb)


def test_the_past_tells_on_the_action_and_its_order_counts(tiny, clips, classes):
    network = tiny(aggregated_clips=3)
    past = [random_programs(classes, seed) for seed in (2, 3)]
    with torch.no_grad():
        alone = network(clips())
        after = network(clips(), context_of(past))
        turned = network(clips(), context_of(past[::-1]))
    for one, other in ((alone, after), (after, turned)):
        assert (one.action - other.action).abs().max() > 1e-3
        # What is seen is what is seen.
        assert torch.equal(one.sub_verb, other.sub_verb)


def test_what_is_not_present_may_hold_anything(tiny, clips, classes):
    network = tiny(aggregated_clips=3)
    past = [random_programs(classes, seed) for seed in (2, 3)]
    present = torch.tensor([[False, True], [True, True]])
    context = context_of(past, present)
    poisoned = context._make(each.clone() for each in context)
    for each in poisoned[:-1]:
        each[0, 0] = torch.nan
    with torch.no_grad():
        found = network(clips(), context)
        for one, other in zip(found, network(clips(), poisoned), strict=True):
            assert torch.equal(one, other)
        # A clip that is not present is as one that is not given.
        shorter = network(clips()[:1], context_of(
            [past[1]._make(each[:1] for each in past[1])]))
    torch.testing.assert_close(found.action[:1], shorter.action)


def test_of_more_clips_than_it_knows_the_newest_count(tiny, clips, classes):
    network = tiny(aggregated_clips=2)
    past = [random_programs(classes, seed) for seed in (2, 3)]
    with torch.no_grad():
        assert torch.equal(network(clips(), context_of(past)).verb,
                           network(clips(), context_of(past[1:])).verb)
        one = tiny(aggregated_clips=1)
        assert torch.equal(one(clips(), context_of(past)).verb, one(clips()).verb)


def test_recognition_does_without_the_past(tiny, clips):
    network = tiny()
    with torch.no_grad():
        past = context_of([programs_of(network, clips(seed=2))])
        assert torch.equal(network(clips(), past).verb, network(clips()).verb)


def test_a_folder_gives_the_network_back(tiny, clips, tmp_path):
    network = tiny(aggregated_clips=2, task='anticipation')
    # What batch normalisation has seen belongs to it.
    network.train()(clips())
    network.eval().save(tmp_path / 'leap')
    again = LeapNetwork.load(tmp_path / 'leap')
    assert again.config == network.config
    assert again.classes == network.classes
    assert not again.training
    assert all(parameter.requires_grad for parameter in again.parameters())
    with torch.no_grad():
        for one, other in zip(network(clips()), again(clips()), strict=True):
            assert torch.equal(one, other)
    assert sorted(path.name for path in tmp_path.rglob('*')) == [
        'classes.json', 'config.json', 'leap', 'model.safetensors']


def test_saving_again_replaces_and_a_kill_in_between_loses_nothing(tiny, clips, tmp_path):
    folder = tmp_path / 'leap'
    first, second = tiny(), tiny(stirred=False)
    first.save(folder)
    # As a kill would leave it: before the new folder is whole, and between the two renamings.
    shutil.copytree(folder, tmp_path / '.leap.part')
    (tmp_path / '.leap.part' / 'model.safetensors').write_bytes(b'torn')
    folder.rename(tmp_path / '.leap.old')
    with torch.no_grad():
        assert torch.equal(LeapNetwork.load(folder).verb.weight, first.verb.weight)
    second.save(folder)
    assert torch.equal(LeapNetwork.load(folder).verb.weight, second.verb.weight)
    first.save(folder)
    assert torch.equal(LeapNetwork.load(folder).verb.weight, first.verb.weight)
    assert [path.name for path in tmp_path.iterdir()] == ['leap']


def test_a_folder_that_cannot_be_written_is_told(tiny, tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(LegoError, match='cannot be written') as caught:
        tiny().save(tmp_path / 'file' / 'leap')
    assert caught.value.code is ErrorCode.RECORDING_FAILED


@pytest.mark.parametrize(('name', 'content', 'code'), [
    ('config.json', None, ErrorCode.SOURCE_UNREADABLE),
    ('config.json', b'{', ErrorCode.SOURCE_UNREADABLE),
    ('config.json', b'{"max_steps": 0}', ErrorCode.INVALID_SETTING),
    ('config.json', b'{"surplus": 0}', ErrorCode.INVALID_SETTING),
    ('config.json', b'[]', ErrorCode.INVALID_SETTING),
    ('config.json', b'{}', ErrorCode.SOURCE_UNREADABLE),
    # 52 GB, if somebody took it at its word.
    ('config.json', b'{"backbone": {"width": 4096, "layers": 64, "heads": 64, "n_head": 64}}',
     ErrorCode.SOURCE_UNREADABLE),
    ('classes.json', None, ErrorCode.SOURCE_UNREADABLE),
    ('classes.json', b'{}', ErrorCode.INVALID_SETTING),
    ('model.safetensors', None, ErrorCode.SOURCE_UNREADABLE),
    ('model.safetensors', b'torn', ErrorCode.SOURCE_UNREADABLE)])
def test_a_damaged_folder_is_told(tiny, tmp_path, name, content, code):
    tiny().save(tmp_path / 'leap')
    path = tmp_path / 'leap' / name
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    with pytest.raises(LegoError) as caught:
        LeapNetwork.load(tmp_path / 'leap')
    assert caught.value.code is code


def test_the_configuration_goes_through_json():
    config = LeapConfig(task='anticipation', aggregated_clips=3)
    assert LeapConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    assert config.backbone.return_list == (3, 4, 5)
