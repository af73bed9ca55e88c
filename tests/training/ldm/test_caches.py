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

import pickle
import resource
import shutil

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.ldm.inputs import image_batch
from lego_ros.ldm.view import View
from lego_ros.training.data.dataset import PairDataset
from lego_ros.training.ldm.latents import INPUT, Latents, MEAN, STD
from lego_ros.training.ldm.texts import TextEncodings
from lego_ros.training.run.loop import Interrupted
from lego_ros.training.run.rows import Rows
import numpy as np
from PIL import Image
import pytest
import torch

SIDE = 64


def numbers(span):
    return np.stack([np.full((2, 3), number, np.float32) for number in span])


def test_rows_come_back_and_only_missing_chunks_are_made(tmp_path):
    made = []

    def make(span):
        made.append(span)
        return numbers(span)

    rows = Rows(tmp_path, {'of': 'a'}, 10, (2, 3), chunk=4)
    rows.fill(make, 'numbers')
    assert made == [range(0, 4), range(4, 8), range(8, 10)]
    (tmp_path / 'rows-000001.npy').unlink()
    again = pickle.loads(pickle.dumps(Rows(tmp_path, {'of': 'a'}, 10, (2, 3), chunk=4)))
    again.fill(make, 'numbers')
    assert made[3:] == [range(4, 8)]
    assert [float(again[index][1, 2]) for index in range(10)] == list(range(10))
    assert again[9].dtype == np.float16
    # Mapped, not read: and a row cannot be changed by mistake.
    assert isinstance(again[0], np.memmap)
    assert not again[0].flags.writeable


def test_rows_stop_between_chunks_and_go_on(tmp_path):
    rows = Rows(tmp_path, {}, 10, (2, 3), chunk=4)
    with pytest.raises(Interrupted):
        rows.fill(numbers, 'numbers', stop=lambda: True)
    assert len(list(tmp_path.glob('*.npy'))) == 1
    rows.fill(numbers, 'numbers')
    assert float(rows[9][0, 0]) == 9


def test_processes_share_the_work(tmp_path):
    shares = [[], []]
    for process, spans in enumerate(shares):
        rows = Rows(tmp_path, {}, 10, (2, 3), chunk=4)
        rows.fill(lambda span, spans=spans: spans.append(span) or numbers(span), 'numbers',
                  share=(process, 2))
    assert shares == [[range(0, 4), range(8, 10)], [range(4, 8)]]


def test_rows_of_another_identity_are_refused(tmp_path):
    Rows(tmp_path, {'vae': 'a', 'view': 'whole'}, 10, (2, 3))
    with pytest.raises(LegoError, match='another vae:') as error:
        Rows(tmp_path, {'vae': 'b', 'view': 'whole'}, 10, (2, 3))
    assert error.value.code is ErrorCode.INVALID_SETTING
    with pytest.raises(LegoError, match='another count'):
        Rows(tmp_path, {'vae': 'a', 'view': 'whole'}, 11, (2, 3))
    (tmp_path / 'identity.json').write_text('[')
    with pytest.raises(LegoError, match=r'identity\.json'):
        Rows(tmp_path, {'vae': 'a', 'view': 'whole'}, 10, (2, 3))


@pytest.mark.parametrize('content', [b'', b'rubbish', 'short'])
def test_a_damaged_chunk_is_named(tmp_path, content):
    rows = Rows(tmp_path, {}, 3, (2, 3))
    rows.fill(numbers, 'numbers')
    path = tmp_path / 'rows-000000.npy'
    if content == 'short':
        np.save(path, numbers(range(2)).astype(np.float16))
    else:
        path.write_bytes(content)
    with pytest.raises(LegoError, match=r'rows-000000\.npy.*Remove it') as error:
        rows[0]
    assert error.value.code is ErrorCode.SOURCE_UNREADABLE


@pytest.mark.parametrize('value', [np.nan, 1e6])
def test_a_value_that_cannot_be_kept_is_named(tmp_path, value):
    def make(span):
        rows = numbers(span)
        rows[2, 0, 0] = value
        return rows

    with pytest.raises(LegoError, match='row 6') as error:
        Rows(tmp_path, {}, 8, (2, 3), chunk=4).fill(
            lambda span: make(span) if span.start else numbers(span), 'numbers')
    assert error.value.code is ErrorCode.INFERENCE_FAILED


def test_a_full_disk_keeps_the_chunks_before(tmp_path):
    rows = Rows(tmp_path, {}, 600, (2, 3), chunk=500)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def make(span):
        if span.start:
            # A limit on the size of files stands in for a full disk.
            resource.setrlimit(resource.RLIMIT_FSIZE, (200, hard))
        return numbers(span)

    try:
        with pytest.raises(LegoError, match=r'rows-000001\.npy') as error:
            rows.fill(make, 'numbers')
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert error.value.code is ErrorCode.RECORDING_FAILED
    assert {path.name for path in tmp_path.iterdir()} == {'identity.json', 'rows-000000.npy'}
    rows.fill(numbers, 'numbers')
    assert float(rows[599][0, 0]) == 599


@pytest.mark.parametrize('flipped', [False, True])
def test_latents_are_those_of_the_auto_encoder(world, tmp_path, flipped):
    vae = world.pipeline.vae
    latents = Latents(tmp_path, world.pairs, vae, View.WHOLE, SIDE, flip=True)
    latents.fill(vae)
    pair = world.pairs[5]
    frames = [np.asarray(Image.open(path).convert('RGB'))
              for path in (pair.input_path, pair.target_path)]
    if flipped:
        frames = [np.ascontiguousarray(frame[:, ::-1]) for frame in frames]
    with torch.no_grad():
        before, after = (vae.encode(image_batch(frame, 8)).latent_dist for frame in frames)
    row = latents.read(5, flipped).astype(np.float32)
    for part, expected in ((INPUT, before.mode()), (MEAN, after.mean), (STD, after.std)):
        assert np.allclose(row[part], expected[0].numpy(), rtol=1e-3, atol=1e-4)
    # The pipeline conditions on the same numbers.
    if not flipped:
        seen = world.pipeline.encode_frames(image_batch(frames[0], 8))[-1].detach()
        assert np.allclose(row[INPUT], seen.numpy(), rtol=1e-3, atol=1e-4)


def test_latents_of_another_auto_encoder_or_picture_are_refused(world, tmp_path):
    vae = world.pipeline.vae
    Latents(tmp_path / 'a', world.pairs, vae, View.WHOLE, SIDE, flip=False)
    changed = type(vae).from_config(vae.config)
    for wrong, named in (
            ((world.pairs, changed, View.WHOLE, SIDE), 'vae'),
            ((world.pairs, vae, View.CENTER_CROP, SIDE), 'view'),
            ((world.pairs, vae, View.WHOLE, 32), 'resolution'),
            ((world.held_out, vae, View.WHOLE, SIDE), 'pictures')):
        with pytest.raises(LegoError, match=named):
            Latents(tmp_path / 'a', *wrong, flip=False)
    # That mirror images are wanted too does not make the others worthless.
    Latents(tmp_path / 'a', world.pairs, vae, View.WHOLE, SIDE, flip=True)


def test_a_missing_or_damaged_picture_is_named(world, tmp_path):
    folder = shutil.copytree(world.sources.dataset, tmp_path / 'data')
    pairs, vae = PairDataset(folder, 'train'), world.pipeline.vae
    pairs[3].target_path.write_bytes(b'no picture')
    with pytest.raises(LegoError, match=r'train_3_target\.png') as error:
        Latents(tmp_path / 'a', pairs, vae, View.WHOLE, SIDE, flip=False).fill(vae)
    assert error.value.code is ErrorCode.SOURCE_UNREADABLE
    pairs[3].target_path.unlink()
    with pytest.raises(LegoError, match=r'train_3_target\.png'):
        Latents(tmp_path / 'a', pairs, vae, View.WHOLE, SIDE, flip=False).fill(vae)
    assert not list((tmp_path / 'a').rglob('*.npy'))


def test_texts_are_encoded_as_the_pipeline_does(world, tmp_path):
    parts = world.pipeline
    texts = ['open the drawer', 'take ' * 100, 'open the drawer', '']
    encodings = TextEncodings(tmp_path, texts, parts.text_encoder, parts.tokenizer, 77)
    encodings.fill(parts.text_encoder, parts.tokenizer, batch=2)
    with torch.no_grad():
        expected = parts.encode_prompt(texts)
    for text, psi in zip(texts, expected, strict=True):
        assert np.allclose(encodings.read(text), psi.numpy(), rtol=1e-3, atol=2e-3)
    # Other texts get a place of their own beside these.
    TextEncodings(tmp_path, ['wash'], parts.text_encoder, parts.tokenizer, 77)
    assert len(list(tmp_path.iterdir())) == 2
