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

from functools import partial

from diffusers import DDPMScheduler, UNet2DConditionModel
from lego_ros.ldm.conditioning import LegoConditioning
from lego_ros.ldm.config import tiny_size
from lego_ros.training.ldm.objective import draw_drops, LegoObjective
from lego_ros.training.ldm.variants import VARIANTS
import pytest
import torch
from torch import nn
from torch.nn import functional

N, M, D, HIDDEN, VISION = 77, 16, 32, 64, 24
SCALING = 0.5


def make(name='joint', drop=0.05, compiled=False):
    torch.manual_seed(1)
    size = tiny_size(HIDDEN, M)
    return LegoObjective(
        UNet2DConditionModel(**size.unet), LegoConditioning(**size.conditioning),
        nn.Linear(VISION, HIDDEN), torch.randn(1, N, D), VARIANTS[name], SCALING, drop,
        compiled)


def samples(count=4):
    noise = torch.Generator().manual_seed(3)

    def some(*shape):
        return torch.randn(count, *shape, generator=noise).half()

    return {'input': some(4, 8, 8), 'mean': some(4, 8, 8), 'std': some(4, 8, 8).abs(),
            'psi': some(N, D), 'vision': some(M, VISION), 'states': some(N, HIDDEN)}


def flags(*values):
    return torch.tensor(values, dtype=torch.bool)


def reference(objective, batch, target, noise, steps, no_image, no_context):
    """Compute the loss sample by sample, from the paper."""
    schedule = DDPMScheduler(
        num_train_timesteps=1000, beta_start=0.00085, beta_end=0.012,
        beta_schedule='scaled_linear')
    conditioning, total = objective.conditioning, 0.0
    for one in range(len(target)):
        z = schedule.add_noise(SCALING * target[one], noise[one], steps[one])
        x = torch.zeros_like(z) if no_image[one] else batch['input'][one].float()
        if no_context[one]:
            context = torch.cat([objective.psi_null[0], torch.zeros(M + N, D)])
        else:
            h_i = objective.projector(batch['vision'][one].float())
            h_t = batch['states'][one].float()
            context = torch.cat([
                batch['psi'][one].float(), conditioning.sigma(h_i),
                conditioning.pi(conditioning.mu(h_t)[None])[0]])
        estimate = objective.unet(torch.cat([z, x])[None], steps[one], context[None]).sample[0]
        total += ((estimate - noise[one]) ** 2).mean()
    return total / len(target)


def test_the_loss_is_the_papers():
    objective, batch = make().eval(), samples()
    target, noise = torch.randn(2, 4, 4, 8, 8)
    draws = (target, noise, torch.tensor([0, 999, 400, 7]), flags(0, 1, 0, 1), flags(0, 0, 1, 1))
    with torch.no_grad():
        found = objective.loss(batch, *draws)
        expected = reference(objective, batch, *draws)
    assert torch.allclose(found, expected, rtol=1e-4)
    # The test can fail: each of the draws has its share.
    for place, other in ((2, torch.tensor([1, 998, 401, 8])), (3, flags(1, 0, 1, 0)),
                         (4, flags(1, 1, 0, 0))):
        changed = [*draws[:place], other, *draws[place + 1:]]
        with torch.no_grad():
            assert not torch.allclose(objective.loss(batch, *changed), expected, rtol=1e-4)


def test_draws_are_as_the_paper_says(monkeypatch):
    objective, seen = make(), []
    monkeypatch.setattr(
        LegoObjective, 'loss', lambda self, batch, *draws: seen.append(draws) or torch.zeros(()))
    count = 4000
    batch = {'mean': torch.full((count, 4, 2, 2), 3.), 'std': torch.full((count, 4, 2, 2), 0.5)}
    torch.manual_seed(0)
    _loss, others = objective(batch)
    assert others == {}
    target, noise, steps, no_image, no_context = seen[0]
    assert abs(float(target.mean()) - 3) < 0.02
    assert abs(float(target.std()) - 0.5) < 0.02
    assert abs(float(noise.mean())) < 0.02
    assert abs(float(noise.std()) - 1) < 0.02
    assert abs(float(((target - 3) * noise).mean())) < 0.02
    assert int(steps.min()) <= 5
    assert int(steps.max()) >= 994
    assert torch.histc(steps.float(), 10, 0, 1000).min() > 330
    both = no_image & no_context
    for chosen in (both, no_image & ~both, no_context & ~both):
        assert 0.035 < float(chosen.float().mean()) < 0.065
    # The same seed gives the same draws: that is what resuming builds on.
    torch.manual_seed(0)
    objective(batch)
    assert all(torch.equal(*pair) for pair in zip(seen[0], seen[1], strict=True))


@pytest.mark.parametrize('drop', [0.0, 1 / 3])
def test_drops_at_their_limits(drop):
    no_image, no_context = draw_drops(3000, drop, torch.device('cpu'))
    both = (no_image & no_context).float().mean()
    assert float((no_image | no_context).float().mean()) == (1.0 if drop else 0.0)
    assert abs(float(both) - drop) < 0.03


def test_dropped_tokens_are_exact_zeros_after_the_projections():
    objective = make().eval()
    nn.init.constant_(objective.conditioning.sigma.bias, 2.0)
    with torch.no_grad():
        context = objective.context(samples(), flags(0, 1, 0, 1))
    assert torch.equal(context[1, N:], torch.zeros(M + N, D))
    assert torch.equal(context[3, :N], objective.psi_null[0])
    assert bool((context[0, N:] != 0).all(dim=1).all())
    assert torch.equal(context[0, :N], samples()['psi'][0].float())


def test_dropped_frames_are_zero_latents(monkeypatch):
    objective, seen = make().eval(), []
    plain = objective.unet.forward
    monkeypatch.setattr(
        objective.unet, 'forward', lambda sample, *rest, **more: seen.append(sample) or plain(
            sample, *rest, **more))
    target, noise = torch.randn(2, 4, 4, 8, 8)
    objective.loss(samples(), target, noise, torch.tensor([9] * 4), flags(1, 0, 1, 0),
                   flags(0, 0, 0, 0))
    assert not seen[0][[0, 2], 4:].any()
    assert torch.equal(seen[0][[1, 3], 4:], samples()['input'][[1, 3]].float())


@pytest.mark.parametrize(('name', 'tokens'), [
    ('labels', N), ('description', N), ('image', N + M), ('text', 2 * N), ('joint', 2 * N + M),
    ('joint_untuned', 2 * N + M)])
def test_each_variant_has_its_context_and_trains_what_it_uses(name, tokens):
    objective, variant = make(name), VARIANTS[name]
    batch = {key: value for key, value in samples().items()
             if (key != 'vision' or variant.image) and (key != 'states' or variant.text)}
    assert objective.context(batch, flags(0, 0, 1, 0)).shape == (4, tokens, D)
    assert variant.context_tokens(N, M) == tokens
    loss, _ = objective(batch)
    loss.backward()
    for part, used in (('sigma', variant.image), ('mu', variant.text), ('pi', variant.text)):
        for weight in getattr(objective.conditioning, part).parameters():
            assert weight.requires_grad is used
            assert (weight.grad is not None and bool(weight.grad.any())) is used
    assert all(weight.grad is not None for weight in objective.unet.parameters())
    if objective.projector is not None:
        assert not any(weight.requires_grad for weight in objective.projector.parameters())


def test_variants_are_those_of_the_tables():
    assert VARIANTS['labels'].words == 'label'
    assert not VARIANTS['labels'].enriched
    assert {name for name, variant in VARIANTS.items() if variant.enriched} == {
        'description', 'image', 'text', 'joint', 'joint_untuned'}
    assert [name for name, variant in VARIANTS.items() if not variant.tuned] == ['joint_untuned']


def test_half_precision_comes_close():
    objective, batch = make().eval(), samples()
    target, noise = torch.randn(2, 4, 4, 8, 8)
    draws = (target, noise, torch.tensor([0, 999, 400, 7]), flags(0, 1, 0, 1), flags(0, 0, 1, 1))
    with torch.no_grad():
        full = objective.loss(batch, *draws)
        with torch.autocast('cpu', torch.bfloat16):
            half = objective.loss(batch, *draws)
    assert half.dtype == torch.float32
    assert float(functional.l1_loss(half, full)) < 0.02 * float(full)


def test_compiled_in_training_alone(monkeypatch):
    """The graph is captured as ever, and run as it is: generating code for it takes a minute."""
    graphs = []

    def keep(graph, inputs):
        graphs.append(graph)
        return graph

    monkeypatch.setattr(torch, 'compile', partial(torch.compile, backend=keep))
    plain, compiled, batch = make(), make(compiled=True), samples()
    target, noise = torch.randn(2, 4, 4, 8, 8)
    draws = (target, noise, torch.tensor([0, 999, 400, 7]), flags(0, 1, 0, 1), flags(0, 0, 1, 1))
    losses = []
    for objective in (plain, compiled):
        torch.manual_seed(5)
        loss = objective.train().loss(batch, *draws)
        loss.backward()
        losses.append((loss, objective.unet.conv_in.weight.grad,
                       objective.conditioning.sigma.weight.grad))
    assert graphs
    for one, other in zip(*losses, strict=True):
        assert torch.allclose(one, other, rtol=1e-5, atol=1e-7)
    assert compiled.state_dict().keys() == plain.state_dict().keys()
    before = len(graphs)
    with torch.no_grad():
        compiled.eval().loss({key: value[:2] for key, value in batch.items()},
                             *(each[:2] for each in draws))
    assert len(graphs) == before
