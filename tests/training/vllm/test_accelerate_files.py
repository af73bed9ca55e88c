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

"""The example configurations for several GPUs, read by accelerate's own loader."""

from pathlib import Path

from accelerate.commands.config.config_args import load_config_from_file
from accelerate.commands.launch import launch_command_parser
from accelerate.utils import DistributedType
import pytest
import yaml

FOLDER = Path(__file__).parents[3] / 'training/recipes/accelerate'
KINDS = {'ddp': DistributedType.MULTI_GPU, 'fsdp': DistributedType.FSDP,
         'deepspeed_zero3': DistributedType.DEEPSPEED}


def test_there_is_a_file_for_each_kind():
    assert {path.stem for path in FOLDER.iterdir()} == set(KINDS)


@pytest.mark.parametrize('name', KINDS)
def test_accelerate_reads_it(name):
    path = FOLDER / f'{name}.yaml'
    config = load_config_from_file(str(path))
    assert config.distributed_type == KINDS[name]
    assert config.num_processes == 8
    assert config.mixed_precision == 'bf16'
    # The loader takes any key in the sub-sections; the launcher has an option for each real one.
    options = vars(launch_command_parser().parse_args(['script.py']))
    values = yaml.safe_load(path.read_text())
    known = {**(config.fsdp_config or {}), **(config.deepspeed_config or {})}
    assert known == {**values.get('fsdp_config', {}), **values.get('deepspeed_config', {})}
    assert set(known) <= set(options)


def test_the_layers_that_fsdp_takes_apart_are_the_models(make_vllm):
    values = yaml.safe_load((FOLDER / 'fsdp.yaml').read_text())
    name = values['fsdp_config']['fsdp_transformer_layer_cls_to_wrap']
    layers = make_vllm().model.language_model.layers
    assert [type(layer).__name__ for layer in layers] == [name] * len(layers)
