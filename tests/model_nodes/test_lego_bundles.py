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

"""Real bundles: bad ones are refused when the node is configured, the tiny one answers."""

from __future__ import annotations

import json
from pathlib import Path
import pickle
import shutil

from lego_ros.bundle.integrity import hash_files
from lego_ros.bundle.manifest import MANIFEST_NAME, read_manifest
from lego_ros.errors import ErrorCode
from lego_ros.files import sha256_of
from lego_ros.msg import EngineInfo
from lego_ros.ros.qos import LATCHED_QOS
from lifecycle_msgs.msg import Transition
import numpy as np
import pytest
import yaml

pytestmark = pytest.mark.ros


def sign_again(bundle: Path, **changes) -> None:
    """Write a manifest that fits the files, as whoever tampers with a bundle could."""
    manifest, _ = read_manifest(bundle)
    content = yaml.safe_load((bundle / MANIFEST_NAME).read_text())
    content['files'] = {name: vars(entry) for name, entry in hash_files(bundle).items()}
    content.update(changes)
    (bundle / MANIFEST_NAME).write_text(yaml.safe_dump(content))
    assert manifest.name == content['name']


def missing(bundle):
    shutil.rmtree(bundle)


def without_manifest(bundle):
    (bundle / MANIFEST_NAME).unlink()


def truncated(bundle):
    weights = next(bundle.glob('unet/*.safetensors'))
    with weights.open('r+b') as file:
        file.truncate(weights.stat().st_size // 2)


def without_a_network(bundle):
    shutil.rmtree(bundle / 'vae')


def tampered(bundle):
    weights = next(bundle.glob('unet/*.safetensors'))
    with weights.open('r+b') as file:
        file.seek(-1, 2)
        last = file.read(1)[0]
        file.seek(-1, 2)
        file.write(bytes([last ^ 1]))


def with_a_pickle(bundle):
    (bundle / 'unet' / 'diffusion_pytorch_model.bin').write_bytes(pickle.dumps({'weight': 1}))


def with_weights_of_another_size(bundle):
    """Make the hashes right; the weights are not those of the configuration beside them."""
    path = bundle / 'conditioning' / 'config.json'
    config = json.loads(path.read_text())
    config['vllm_hidden'] *= 2
    path.write_text(json.dumps(config))
    sign_again(bundle)


def for_other_sizes(bundle):
    manifest, _ = read_manifest(bundle)
    sign_again(bundle, vllm_hidden=manifest.vllm_hidden * 2)


def of_another_class(bundle):
    path = bundle / 'vllm' / 'config.json'
    config = json.loads(path.read_text())
    config.update(model_type='gpt2', architectures=['GPT2LMHeadModel'])
    path.write_text(json.dumps(config))
    sign_again(bundle)


def of_another_format(bundle):
    sign_again(bundle, format=99)


def cut_weights_signed_again(bundle):
    """Put a broken safetensors file into a bundle whose hashes fit."""
    truncated(bundle)
    sign_again(bundle)


BAD_BUNDLES = {
    missing: (ErrorCode.BUNDLE_NOT_FOUND, ['no folder', 'lego-ros bundle make']),
    without_manifest: (ErrorCode.BUNDLE_NOT_FOUND, ['bundle.yaml']),
    truncated: (ErrorCode.BUNDLE_INVALID, ['truncated', 'copy it again']),
    without_a_network: (ErrorCode.BUNDLE_INVALID, ['missing', 'vae']),
    tampered: (ErrorCode.BUNDLE_TAMPERED, ['SHA-256', 'unet', 'do not use it']),
    with_a_pickle: (ErrorCode.BUNDLE_UNSAFE, ['pickle', 'safetensors']),
    with_weights_of_another_size: (ErrorCode.BUNDLE_INVALID, ['conditioning', 'shape']),
    for_other_sizes: (ErrorCode.BUNDLE_MISMATCH, ['vllm_hidden']),
    of_another_class: (ErrorCode.BUNDLE_MISMATCH, ['vllm', 'gpt2', 'llava']),
    of_another_format: (ErrorCode.BUNDLE_MISMATCH, ['format 99']),
    cut_weights_signed_again: (ErrorCode.BUNDLE_INVALID, ['unet']),
}


@pytest.mark.parametrize('spoil', BAD_BUNDLES, ids=lambda spoil: spoil.__name__)
def test_bad_bundle(start, tiny_bundle, tmp_path, spoil):
    """The node says why, lives on unconfigured, and loads the bundle once it is mended."""
    bundle = tmp_path / 'bundle'
    shutil.copytree(tiny_bundle, bundle)
    spoil(bundle)
    code, words = BAD_BUNDLES[spoil]
    lego = start(real=True, up=False, parameters={'bundle': str(bundle), 'device': 'cpu'})

    assert not lego.change(Transition.TRANSITION_CONFIGURE)
    assert lego.state == 'unconfigured'
    status = lego.status('models', lambda status, values: 'error_code' in values)
    assert {pair.key: pair.value for pair in status.values}['error_code'] == code.name, (
        status.message)
    assert status.level == status.ERROR
    assert all(word in status.message for word in words), status.message
    lego.expect_refused(lego.ask(), ErrorCode.NOT_ACTIVE, 'not active')
    if spoil is not missing:
        return
    shutil.copytree(tiny_bundle, bundle)
    assert lego.change(Transition.TRANSITION_CONFIGURE)
    assert lego.change(Transition.TRANSITION_ACTIVATE)
    lego.show()
    assert lego.ask(steps=1).end()[1].error_code == 0


@pytest.mark.parametrize('device', ['cuda:99', 'abacus'])
def test_device_that_is_not_there(start, tiny_bundle, device):
    lego = start(real=True, up=False, parameters={'bundle': str(tiny_bundle), 'device': device})
    assert not lego.change(Transition.TRANSITION_CONFIGURE)
    status = lego.status(
        'models', lambda status, values: values.get('error_code') == 'INVALID_SETTING')
    assert device in status.message


@pytest.fixture(scope='module')
def tiny(shared, tiny_bundle):
    """Run the real bundle, every network of it, beside nothing else."""
    lego = type(shared)(parameters={'bundle': str(tiny_bundle), 'device': 'cpu'})
    yield lego
    lego.close()


def drawn(lego, **fields):
    _status, result = lego.ask(image=lego.picture(value=None), steps=2, **fields).end()
    assert result.error_code == 0, result.error_msg
    return result.action_frame


def test_same_seed_same_answer(tiny):
    first, again, other = drawn(tiny, seed=5), drawn(tiny, seed=5), drawn(tiny, seed=6)
    # The view of the tiny bundle is the whole frame: 64 pixels high, as wide as the frame was.
    assert (first.image.width, first.image.height) == (85, 64)
    assert first.image == again.image
    assert first.description == again.description
    assert first.image.data != other.image.data


def test_answer_is_a_picture(tiny):
    pixels = np.frombuffer(drawn(tiny, seed=1).image.data, np.uint8)
    assert pixels.std() > 0


def test_answer_names_its_bundle(tiny, tiny_bundle):
    source = drawn(tiny, seed=5).provenance
    assert (source.bundle, source.trained, source.backend) == ('tiny', False, 'torch')
    assert source.bundle_sha256 == sha256_of(tiny_bundle / MANIFEST_NAME)
    assert (source.seed, source.steps, source.precision) == (5, 2, 'float32')
    heard = []
    tiny.client.create_subscription(
        EngineInfo, 'lego_node/engine_info', heard.append, LATCHED_QOS)
    tiny.wait(lambda: heard)
    info = heard[0]
    assert (info.fingerprint, info.bundle_sha256) == (source.fingerprint, source.bundle_sha256)
    manifest, _ = read_manifest(tiny_bundle)
    for name in ('image_tokens', 'text_tokens', 'conditioning_channels', 'steps', 'image_scale',
                 'text_scale', 'trained', 'training_data'):
        assert getattr(info, name) == getattr(manifest, name)
    assert info.height == info.width == manifest.resolution
    assert info.parameters > 0
    assert info.load_time.sec + info.load_time.nanosec > 0


@pytest.mark.parametrize('stage', ['describe', 'depict'])
def test_cancel_reaches_the_networks(tiny, stage):
    """In the middle of the real decode loop and of the real denoising."""
    tiny.show()
    goal = tiny.ask(steps=1000)
    tiny.wait(lambda: any(m.stage == stage and m.step > 0 for m in goal.feedback))
    goal.cancel()
    status, result = goal.end()
    assert (status, result.error_code) == (5, ErrorCode.CANCELED)
    assert max(m.step for m in goal.feedback if m.stage == stage) < 999
    assert drawn(tiny, seed=5).image.height == 64
