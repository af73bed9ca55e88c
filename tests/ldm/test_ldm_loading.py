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

from __future__ import annotations

from collections.abc import Callable
import json
from pathlib import Path
import shutil
from typing import Any

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.ldm.config import build_pipeline, tiny_size
from lego_ros.ldm.pipeline import LegoPipeline
import numpy as np
import pytest
from safetensors.torch import load_file, save_file
import torch
from transformers import CLIPTokenizer

UNET = 'unet/diffusion_pytorch_model.safetensors'


@pytest.fixture(scope='module')
def saved(pipeline: LegoPipeline, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('saved')
    pipeline.save_pretrained(folder)
    return folder


@pytest.fixture
def copy(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / 'copy'))


def edit_json(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def edit_weights(path: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> None:
    weights = load_file(path)
    change(weights)
    save_file(weights, path, metadata={'format': 'pt'})


def test_saved_and_loaded_pipelines_draw_the_same_picture(
    pipeline: LegoPipeline, saved: Path, frame: np.ndarray, embeds: dict[str, torch.Tensor],
) -> None:
    loaded = LegoPipeline.from_pretrained(saved)
    assert loaded.scheduler.config.beta_schedule == 'scaled_linear'
    assert not any(part.training for part in (
        loaded.vae, loaded.text_encoder, loaded.unet, loaded.conditioning))
    ours, theirs = (
        one(frame, 'open the drawer', num_inference_steps=5, **embeds,
            generator=torch.Generator().manual_seed(0)).images for one in (pipeline, loaded))
    assert np.array_equal(ours, theirs)


def test_only_safetensors_and_json_are_written(saved: Path) -> None:
    files = [path for path in saved.rglob('*') if path.is_file()]
    assert {path.suffix for path in files} == {'.safetensors', '.json'}
    assert {path.parent.name for path in files if path.suffix == '.safetensors'} == {
        'vae', 'text_encoder', 'unet', 'conditioning'}


def test_weights_are_loaded_in_the_type_asked_for(saved: Path) -> None:
    loaded = LegoPipeline.from_pretrained(saved, torch_dtype=torch.bfloat16)
    for part in (loaded.vae, loaded.text_encoder, loaded.unet, loaded.conditioning):
        assert {parameter.dtype for parameter in part.parameters()} == {torch.bfloat16}


def test_a_part_can_be_given_instead_of_loaded(
    copy: Path, pipeline: LegoPipeline,
) -> None:
    shutil.rmtree(copy / 'unet')
    assert LegoPipeline.from_pretrained(copy, unet=pipeline.unet).unet is pipeline.unet
    with pytest.raises(TypeError, match='no parts safety_checker'):
        LegoPipeline.from_pretrained(copy, safety_checker=None)


@pytest.mark.parametrize('name', [
    'vae', 'text_encoder', 'tokenizer', 'unet', 'scheduler', 'conditioning'])
def test_a_missing_part_is_named(copy: Path, name: str) -> None:
    shutil.rmtree(copy / name)
    with pytest.raises(LegoError, match=name) as caught:
        LegoPipeline.from_pretrained(copy)
    assert caught.value.code is ErrorCode.BUNDLE_NOT_FOUND


def drop_weight(folder: Path) -> None:
    edit_weights(folder / UNET, lambda weights: weights.pop('conv_in.bias'))


def drop_text_weight(folder: Path) -> None:
    edit_weights(folder / 'text_encoder/model.safetensors',
                 lambda weights: weights.pop(min(weights)))


def reshape_weight(folder: Path) -> None:
    edit_weights(folder / UNET, lambda weights: weights.update(
        {'conv_in.bias': torch.zeros(7)}))


def truncate(folder: Path) -> None:
    path = folder / UNET
    path.write_bytes(path.read_bytes()[:-1000])


def remove_weights(folder: Path) -> None:
    (folder / UNET).unlink()


def pickle_instead(folder: Path) -> None:
    torch.save(load_file(folder / UNET), folder / 'unet/diffusion_pytorch_model.bin')
    (folder / UNET).unlink()


def break_json(folder: Path) -> None:
    (folder / 'scheduler/scheduler_config.json').write_text('{')


def nameless_scheduler(folder: Path) -> None:
    (folder / 'scheduler/scheduler_config.json').write_text('{}')


@pytest.mark.parametrize(('damage', 'named'), [
    (drop_weight, 'conv_in.bias'), (drop_text_weight, 'weights are missing'),
    (reshape_weight, 'unet'), (truncate, 'unet'), (remove_weights, 'unet'),
    (pickle_instead, 'unet'), (break_json, 'scheduler'), (nameless_scheduler, 'scheduler')])
def test_a_damaged_part_is_named(
    copy: Path, damage: Callable[[Path], None], named: str,
) -> None:
    damage(copy)
    with pytest.raises(LegoError, match=named) as caught:
        LegoPipeline.from_pretrained(copy)
    assert caught.value.code is ErrorCode.BUNDLE_INVALID


def test_a_folder_cannot_choose_which_code_runs(copy: Path) -> None:
    ran = copy / 'ran'
    code = f"open({str(ran)!r}, 'w')\nclass UNet2DConditionModel: pass\nclass Evil: pass\n"
    for place in ('None.py', 'evil.py', 'unet/diffusers.py', 'unet/evil.py', 'pipeline.py'):
        (copy / place).write_text(code)
    edit_json(copy / 'model_index.json', unet=['evil', 'Evil'], _class_name=['evil', 'Evil'])
    loaded = LegoPipeline.from_pretrained(copy)
    assert type(loaded) is LegoPipeline
    assert type(loaded.unet).__module__.startswith('diffusers.')
    assert not ran.exists()


def test_a_scheduler_that_is_not_known_is_refused(copy: Path) -> None:
    edit_json(copy / 'scheduler/scheduler_config.json', _class_name='DDPMWuerstchenScheduler')
    with pytest.raises(LegoError, match='DDPMWuerstchenScheduler') as caught:
        LegoPipeline.from_pretrained(copy)
    assert caught.value.code is ErrorCode.BUNDLE_UNSAFE


def test_parts_of_two_pipelines_are_told_apart(
    copy: Path, tokenizer: CLIPTokenizer, tmp_path: Path,
) -> None:
    other = build_pipeline(tiny_size(), tokenizer)
    other.conditioning = type(other.conditioning)(
        **{**tiny_size().conditioning, 'cross_attention_dim': 48})
    other.conditioning.save_pretrained(tmp_path / 'other')
    shutil.rmtree(copy / 'conditioning')
    shutil.copytree(tmp_path / 'other', copy / 'conditioning')
    with pytest.raises(LegoError, match='should be 48') as caught:
        LegoPipeline.from_pretrained(copy)
    assert caught.value.code is ErrorCode.BUNDLE_MISMATCH
