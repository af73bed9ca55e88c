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
from lego_ros.leap.config import LeapConfig, UniFormerV2Config
from lego_ros.leap.uniblocks import DropPath, from_volume, GlobalUniBlock, LocalMHRA, to_volume
from lego_ros.leap.uniformerv2 import UniFormerV2
import numpy as np
from pydantic import ValidationError
import pytest
import torch
import torch.nn.functional as nnf

SMALL = {'frames': 4, 'resolution': 12, 'patch': 4, 'width': 8, 'layers': 2, 'heads': 2,
         'return_list': (0, 1), 'n_head': 4, 'mlp_factor': 2.0}


def ruled(shape, seed, name=''):
    """Make values by rule, so that those of another implementation can be the same."""
    values = 0.5 * np.sin(0.7 * np.arange(int(np.prod(shape))) + seed)
    if name.endswith('running_var'):
        values = np.abs(values) + 0.5
    return torch.from_numpy(values.reshape(tuple(shape))).float()


# What the authors' slowfast/models/uniformerv2_model.py gives (commit ea60a26) for these weights
# and frames, with its classifier the identity.
GOLDEN = [
    ({'no_lmhra': True}, 65,
     [-0.68371, 0.53788, 0.30565, 0.103, 0.03912, -0.58819, -0.666, -0.42135]),
    ({'no_lmhra': False, 'temporal_downsample': True}, 105,
     [-0.66957, 0.51591, 0.44316, 0.25575, -0.44291, 0.0674, -1.00998, -0.4102]),
    ({'no_lmhra': False, 'double_lmhra': False}, 85,
     [-0.70326, 0.14445, 0.29426, 0.27618, -0.06855, -0.42207, -1.07267, -0.47179])]


@pytest.mark.parametrize(('options', 'count', 'expected'), GOLDEN)
def test_gives_the_numbers_of_the_authors_implementation(options, count, expected):
    network = UniFormerV2(UniFormerV2Config(**SMALL, **options)).eval()
    state = network.state_dict()
    names = sorted(name for name in state if not name.endswith('num_batches_tracked'))
    assert len(names) == count
    network.load_state_dict({
        **state, **{name: ruled(state[name].shape, number, name)
                    for number, name in enumerate(names)}})
    with torch.no_grad():
        pooled = network(ruled((1, 3, 4, 12, 12), 100)).pooled
    np.testing.assert_allclose(pooled[0].numpy(), expected, atol=2e-5)


def test_sizes():
    for config in (UniFormerV2Config.kitchen(),
                   UniFormerV2Config(**{**SMALL, 'temporal_downsample': True})):
        side = config.resolution
        with torch.inference_mode():
            features = UniFormerV2(config).eval()(torch.zeros(2, 3, config.frames, side, side))
        assert features.pooled.shape == (2, config.width)
        assert features.tokens.shape == (2, config.steps_in_time, config.width)
    kitchen = UniFormerV2(UniFormerV2Config.kitchen())
    assert 1e6 < sum(each.numel() for each in kitchen.parameters()) < 3e6


def frame_wise_vit(network, frames):
    """Run CLIP's ViT on each frame by itself, by torch's functions alone: its class tokens."""
    config = network.config
    state = {name.removeprefix('transformer.resblocks.'): each
             for name, each in network.named_parameters()}
    batch, _, time = frames.shape[:3]
    pictures = frames.transpose(1, 2).flatten(0, 1)
    patches = nnf.conv2d(pictures, network.conv1.weight[:, :, 0], stride=config.patch)
    tokens = torch.cat([network.class_embedding.expand(len(pictures), 1, -1),
                        patches.flatten(2).transpose(1, 2)], dim=1)
    tokens = nnf.layer_norm(tokens + network.positional_embedding, (config.width,),
                            network.ln_pre.weight, network.ln_pre.bias)

    def norm(name, values):
        return nnf.layer_norm(values, (config.width,), state[f'{name}.weight'],
                              state[f'{name}.bias'])

    for layer in range(config.layers):
        q, k, v = (
            each.unflatten(-1, (config.heads, -1)).transpose(1, 2)
            for each in nnf.linear(
                norm(f'{layer}.ln_1', tokens), state[f'{layer}.attn.in_proj_weight'],
                state[f'{layer}.attn.in_proj_bias']).chunk(3, dim=-1))
        weights = (q @ k.transpose(2, 3) / q.shape[-1] ** 0.5).softmax(-1)
        tokens = tokens + nnf.linear(
            (weights @ v).transpose(1, 2).flatten(2), state[f'{layer}.attn.out_proj.weight'],
            state[f'{layer}.attn.out_proj.bias'])
        hidden = nnf.linear(norm(f'{layer}.ln_2', tokens), state[f'{layer}.mlp.c_fc.weight'],
                            state[f'{layer}.mlp.c_fc.bias'])
        tokens = tokens + nnf.linear(
            hidden * (1.702 * hidden).sigmoid(), state[f'{layer}.mlp.c_proj.weight'],
            state[f'{layer}.mlp.c_proj.bias'])
    return tokens[:, 0].unflatten(0, (batch, time))


def test_what_is_added_gives_nothing_at_first():
    torch.manual_seed(0)
    network = UniFormerV2(UniFormerV2Config(**SMALL, no_lmhra=False)).eval()
    frames = torch.randn(2, 3, 4, 12, 12)
    with torch.no_grad():
        features = network(frames)
        tokens = frame_wise_vit(network, frames)
        # The video token is 0, the class token's mean has weight sigmoid(0).
        pooled = nnf.layer_norm(0.5 * tokens.mean(1), (8,))
    torch.testing.assert_close(features.tokens, tokens, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(features.pooled, pooled, atol=1e-5, rtol=1e-5)


def test_local_mhra_is_a_weight_per_channel_and_distance_in_time():
    torch.manual_seed(0)
    local = LocalMHRA(UniFormerV2Config(**SMALL, dw_reduction=2.0)).eval()
    norm, first, tube, last = local.pos_embed
    for parameter in local.parameters():
        torch.nn.init.normal_(parameter)
    norm.running_mean.normal_()
    norm.running_var.uniform_(0.5, 2)
    volume = torch.randn(1, 8, 4, 2, 2)
    with torch.no_grad():
        found = local(volume)[0].numpy()
    values, weights = volume[0].double().numpy(), {
        name: each.detach().double().numpy() for name, each in local.state_dict().items()}
    expected = np.zeros_like(values)
    scale = weights['pos_embed.0.weight'] / np.sqrt(
        weights['pos_embed.0.running_var'] + norm.eps)
    for row, column in np.ndindex(2, 2):
        # (D, T): no other place of the frames has a say.
        track = (values[:, :, row, column] - weights['pos_embed.0.running_mean'][:, None]
                 ) * scale[:, None] + weights['pos_embed.0.bias'][:, None]
        v = weights['pos_embed.1.weight'][:, :, 0, 0, 0] @ track \
            + weights['pos_embed.1.bias'][:, None]
        affinity = weights['pos_embed.2.weight'][:, 0, :, 0, 0]
        mixed = np.zeros_like(v)
        for time in range(4):
            for other in range(max(time - 1, 0), min(time + 2, 4)):
                mixed[:, time] += affinity[:, other - time + 1] * v[:, other]
        mixed += weights['pos_embed.2.bias'][:, None]
        expected[:, :, row, column] = (
            weights['pos_embed.3.weight'][:, :, 0, 0, 0] @ mixed
            + weights['pos_embed.3.bias'][:, None])
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert tube.groups == tube.in_channels == first.out_channels == 4
    assert last.out_channels == 8


def test_global_mhra_is_cross_attention_of_one_query():
    torch.manual_seed(0)
    block = GlobalUniBlock(UniFormerV2Config(**SMALL), 0.0).eval()
    for parameter in block.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    query, tokens = torch.randn(2, 1, 8), torch.randn(2, 40, 8)
    with torch.no_grad():
        found = block(query, tokens)
        w, b = block.attn.in_proj_weight, block.attn.in_proj_bias
        seen = nnf.layer_norm(tokens, (8,), block.ln_3.weight, block.ln_3.bias)
        asked = nnf.layer_norm(query, (8,), block.ln_1.weight, block.ln_1.bias)
        parts = [nnf.linear(x, w[i * 8:i * 8 + 8], b[i * 8:i * 8 + 8])
                 .unflatten(-1, (4, 2)).transpose(1, 2)
                 for i, x in enumerate((asked, seen, seen))]
        read = nnf.scaled_dot_product_attention(*parts).transpose(1, 2).flatten(2)
        expected = query + block.attn.out_proj(read)
        hidden = block.mlp.c_fc(nnf.layer_norm(expected, (8,), block.ln_2.weight,
                                               block.ln_2.bias))
        expected = expected + block.mlp.c_proj(hidden * (1.702 * hidden).sigmoid())
    torch.testing.assert_close(found, expected)


def test_tokens_go_to_their_places_and_back():
    tokens = torch.arange(2 * 3 * 4 * 5).view(2, 3, 4, 5)
    volume = to_volume(tokens, 2)
    assert volume.shape == (2, 5, 3, 2, 2)
    assert torch.equal(volume[1, :, 2, 1, 0], tokens[1, 2, 2])
    assert torch.equal(from_volume(volume), tokens)


def test_a_clips_features_do_not_depend_on_the_others_of_its_batch():
    torch.manual_seed(0)
    network = UniFormerV2(UniFormerV2Config(**SMALL, no_lmhra=False)).eval()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    frames = torch.randn(2, 3, 4, 12, 12)
    with torch.no_grad():
        alone, both = network(frames[:1]), network(frames)
        turned = network(frames.flip(2))
    torch.testing.assert_close(both.pooled[:1], alone.pooled)
    # The order of the frames matters.
    assert (turned.pooled - both.pooled).abs().max() > 1e-3


def test_a_branch_is_left_out_of_whole_clips_and_its_mean_stays():
    torch.manual_seed(0)
    drop = DropPath(0.25).train()
    branch = drop(torch.ones(4000, 2, 3))
    kept = branch[:, 0, 0] > 0
    assert torch.equal(branch, torch.where(kept, 4 / 3, 0.0)[:, None, None].expand(-1, 2, 3))
    assert kept.float().mean() == pytest.approx(0.75, abs=0.03)
    assert torch.equal(drop.eval()(branch), branch)


@pytest.mark.parametrize('wrong', [
    {'resolution': 225}, {'heads': 5}, {'return_list': (11, 10)}, {'return_list': (12,)},
    {'return_list': ()}, {'frames': 7, 'temporal_downsample': True}, {'width': 0},
    {'cls_dropout': 1.0}, {'drop_path_rate': float('nan')}])
def test_sizes_that_cannot_be_are_refused(wrong):
    with pytest.raises(ValidationError):
        UniFormerV2Config(**wrong)
    with pytest.raises(LegoError, match='backbone') as caught:
        LeapConfig.from_dict({'backbone': wrong})
    assert caught.value.code is ErrorCode.INVALID_SETTING
