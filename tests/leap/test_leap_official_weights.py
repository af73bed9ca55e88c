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

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.leap.config import UniFormerV2Config
from lego_ros.leap.official_weights import load_official
from lego_ros.leap.uniformerv2 import UniFormerV2
import pytest
from safetensors.torch import save_file
import torch

SMALL = {'frames': 4, 'resolution': 16, 'patch': 4, 'width': 24, 'layers': 2, 'heads': 2,
         'return_list': (0, 1), 'n_head': 2}


def vit_names(width, layers, grid, conv):
    """List names and shapes of CLIP's image tower, as the authors extract it."""
    yield 'class_embedding', (width,)
    yield 'positional_embedding', (grid ** 2 + 1, width)
    yield 'conv1.weight', conv
    for part in ('weight', 'bias'):
        yield f'ln_pre.{part}', (width,)
    for layer in range(layers):
        block = f'transformer.resblocks.{layer}'
        yield from attention_names(f'{block}.attn', width)
        yield from mlp_names(f'{block}.mlp', width, 4 * width)
        for norm in ('ln_1', 'ln_2'):
            for part in ('weight', 'bias'):
                yield f'{block}.{norm}.{part}', (width,)


def attention_names(name, width):
    yield f'{name}.in_proj_weight', (3 * width, width)
    yield f'{name}.in_proj_bias', (3 * width,)
    yield f'{name}.out_proj.weight', (width, width)
    yield f'{name}.out_proj.bias', (width,)


def mlp_names(name, width, hidden):
    yield f'{name}.c_fc.weight', (hidden, width)
    yield f'{name}.c_fc.bias', (hidden,)
    yield f'{name}.c_proj.weight', (width, hidden)
    yield f'{name}.c_proj.bias', (width,)


def added_names(width, layers, stages, local, classes):
    """List names and shapes of what the authors' UniFormerV2 has beside the ViT."""
    for layer in range(layers if local else 0):
        for which in ('lmhra1', 'lmhra2'):
            name = f'transformer.resblocks.{layer}.{which}.pos_embed'
            reduced = int(width // 1.5)
            for part in ('weight', 'bias', 'running_mean', 'running_var'):
                yield f'{name}.0.{part}', (width,)
            yield f'{name}.0.num_batches_tracked', ()
            yield f'{name}.1.weight', (reduced, width, 1, 1, 1)
            yield f'{name}.1.bias', (reduced,)
            yield f'{name}.2.weight', (reduced, 1, 3, 1, 1)
            yield f'{name}.2.bias', (reduced,)
            yield f'{name}.3.weight', (width, reduced, 1, 1, 1)
            yield f'{name}.3.bias', (width,)
    yield 'transformer.temporal_cls_token', (1, 1, width)
    yield 'transformer.balance', (width,)
    for stage in range(stages):
        yield f'transformer.dpe.{stage}.weight', (width, 1, 3, 3, 3)
        yield f'transformer.dpe.{stage}.bias', (width,)
        yield from attention_names(f'transformer.dec.{stage}.attn', width)
        yield from mlp_names(f'transformer.dec.{stage}.mlp', width, 4 * width)
        for norm in ('ln_1', 'ln_2', 'ln_3'):
            for part in ('weight', 'bias'):
                yield f'transformer.dec.{stage}.{norm}.{part}', (width,)
    for part in ('weight', 'bias'):
        yield f'transformer.proj.0.{part}', (width,)
    yield 'transformer.proj.2.weight', (classes, width)
    yield 'transformer.proj.2.bias', (classes,)


def numbered(names):
    """Give each tensor a number of its own, without taking memory for it."""
    return {name: (torch.tensor(number) if not shape
                   else torch.full((1,) * len(shape), float(number)).expand(shape))
            for number, (name, shape) in enumerate(names, start=1)}


def video_state(local=False, span=1, width=24, layers=2, grid=4, patch=4, stages=2, classes=400):
    return numbered([*vit_names(width, layers, grid, (width, 3, span, patch, patch)),
                     *added_names(width, layers, stages, local, classes)])


def assert_all_loaded(backbone, state):
    for name, tensor in backbone.state_dict().items():
        assert torch.equal(tensor, state[name].to(tensor.dtype).expand_as(tensor)), name


@pytest.mark.parametrize(('config', 'options'), [
    (UniFormerV2Config.base(), {'stages': 4}),
    # exp/sthv2/ssv2_b16_f16x224
    (UniFormerV2Config(frames=16, temporal_downsample=True, no_lmhra=False,
                       return_list=(4, 5, 6, 7, 8, 9, 10, 11)),
     {'local': True, 'span': 3, 'stages': 8, 'classes': 174})], ids=['k400', 'ssv2'])
def test_the_authors_base_weights_load_by_name(tmp_path, config, options):
    state = video_state(width=768, layers=12, grid=14, patch=16, **options)
    path = tmp_path / 'uniformerv2_b16.pyth'
    torch.save({f'backbone.{name}': tensor for name, tensor in state.items()}, path)
    with torch.device('meta'):
        backbone = UniFormerV2(config)
    backbone.to_empty(device='cpu')
    report = load_official(backbone, path)
    assert set(report.dropped) == {'transformer.proj.2.weight', 'transformer.proj.2.bias'}
    assert report.fresh == ()
    if config.no_lmhra:
        # The authors' model zoo gives 115 M with their 400 classes.
        assert sum(tensor.numel() for tensor in state.values()) == pytest.approx(115e6, rel=0.01)
    assert {*report.loaded, *report.dropped} == set(state)
    assert_all_loaded(backbone, state)


@pytest.mark.parametrize('wrapped', [
    lambda state: state,
    lambda state: {'model_state': state, 'epoch': 3},
    lambda state: {'state_dict': {f'module.backbone.{name}': tensor
                                  for name, tensor in state.items()}}])
def test_wrappers_and_prefixes_are_taken_off(tmp_path, wrapped):
    state = video_state()
    torch.save(wrapped(state), tmp_path / 'weights.pth')
    backbone = UniFormerV2(UniFormerV2Config(**SMALL))
    load_official(backbone, tmp_path / 'weights.pth')
    assert_all_loaded(backbone, state)


def test_safetensors_load_too(tmp_path):
    state = video_state()
    save_file({name: tensor.contiguous() for name, tensor in state.items()},
              tmp_path / 'weights.safetensors')
    backbone = UniFormerV2(UniFormerV2Config(**SMALL))
    load_official(backbone, tmp_path / 'weights.safetensors')
    assert_all_loaded(backbone, state)


def test_clips_image_tower_is_inflated_and_what_is_added_stays_without_effect(tmp_path):
    towers = [*vit_names(24, 2, 4, (24, 3, 4, 4)), ('ln_post.weight', (24,)),
              ('ln_post.bias', (24,)), ('proj', (24, 16))]
    state = numbered(towers)
    torch.save({**{f'visual.{name}': tensor for name, tensor in state.items()},
                'token_embedding.weight': torch.zeros(4, 2)}, tmp_path / 'clip.pt')
    torch.manual_seed(0)
    backbone = UniFormerV2(UniFormerV2Config(**SMALL, temporal_downsample=True, no_lmhra=False))
    before = {name: tensor.clone() for name, tensor in backbone.state_dict().items()}
    report = load_official(backbone, tmp_path / 'clip.pt')
    assert set(report.dropped) == {'ln_post.weight', 'ln_post.bias', 'proj'}
    assert {*report.loaded, *report.dropped} == set(state)
    after = backbone.state_dict()
    number = state['conv1.weight'][0, 0, 0, 0]
    assert torch.equal(after['conv1.weight'][:, :, 1], number.expand(24, 3, 4, 4))
    assert not after['conv1.weight'][:, :, [0, 2]].any()
    for name in report.fresh:
        assert torch.equal(after[name], before[name])
        assert any(part in name for part in ('lmhra', 'dpe', 'dec', 'proj', 'temporal', 'balance'))
    assert not after['transformer.resblocks.1.lmhra2.pos_embed.3.weight'].any()


@pytest.mark.parametrize(('change', 'told'), [
    (lambda state: state.pop('transformer.dec.1.ln_3.bias'),
     'missing: transformer.dec.1.ln_3.bias'),
    (lambda state: state.update({'transformer.dec.2.ln_3.bias': torch.zeros(24)}),
     'unknown: transformer.dec.2.ln_3.bias'),
    (lambda state: state.update({'positional_embedding': torch.zeros(10, 24)}),
     r'of another size: positional_embedding \(10, 24\) instead of \(17, 24\)'),
    (lambda state: state.update({'conv1.weight': torch.zeros(24, 3, 3, 4, 4)}),
     r'conv1.weight \(24, 3, 3, 4, 4\) instead of \(24, 3, 1, 4, 4\)'),
    (lambda state: state.update({'transformer.balance': torch.full((24,), torch.nan)}),
     'not finite: transformer.balance'),
    (lambda state: state.update({'positional_embedding': 'text'}), 'no state dict')])
def test_what_does_not_fit_is_told_and_nothing_is_loaded(tmp_path, change, told):
    state = video_state()
    change(state)
    torch.save(state, tmp_path / 'weights.pth')
    backbone = UniFormerV2(UniFormerV2Config(**SMALL))
    before = {name: tensor.clone() for name, tensor in backbone.state_dict().items()}
    with pytest.raises(LegoError, match=told) as caught:
        load_official(backbone, tmp_path / 'weights.pth')
    assert caught.value.code is ErrorCode.SOURCE_UNREADABLE
    for name, tensor in backbone.state_dict().items():
        assert torch.equal(tensor, before[name])


class Harmful:
    def __reduce__(self):
        return print, ('run',)


def test_a_file_that_is_none_runs_nothing(tmp_path, capsys):
    torch.save({'conv1.weight': Harmful()}, tmp_path / 'harmful.pth')
    (tmp_path / 'torn.pth').write_bytes(b'PK\x03\x04 and no more')
    (tmp_path / 'torn.safetensors').write_bytes(b'no')
    (tmp_path / 'empty.pth').write_bytes(b'')
    backbone = UniFormerV2(UniFormerV2Config(**SMALL))
    for name in ('harmful.pth', 'torn.pth', 'torn.safetensors', 'empty.pth', 'missing.pth'):
        with pytest.raises(LegoError, match=name) as caught:
            load_official(backbone, tmp_path / name)
        assert caught.value.code is ErrorCode.SOURCE_UNREADABLE
    assert capsys.readouterr().out == ''
