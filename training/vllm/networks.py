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

"""Which of the VLLM's weights are trained, and how the result is kept."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lego_ros.training.data.files import replacing
from lego_ros.training.vllm.settings import ProgramSettings, TuneSettings
from lego_ros.vllm.llava import LegoLlava
import torch
from transformers import CLIPImageProcessorPil, PreTrainedTokenizerBase

if TYPE_CHECKING:
    from peft import PeftModel


def prepare(model: LegoLlava, settings: TuneSettings) -> None:
    """
    Freeze what is not trained, and put adapters in where they are asked for.

    :param model: changed in place.
    :param settings: see there.
    """
    model.requires_grad_(False)
    model.model.multi_modal_projector.requires_grad_(True)
    if settings.lora is None:
        model.model.language_model.requires_grad_(True)
        model.lm_head.requires_grad_(True)
    else:
        from peft import get_peft_model, LoraConfig

        # The adapters begin with random numbers, which the seed alone must decide.
        torch.manual_seed(settings.seed)
        model.model.language_model = get_peft_model(model.model.language_model, LoraConfig(
            r=settings.lora.rank, lora_alpha=settings.lora.alpha,
            lora_dropout=settings.lora.dropout, target_modules='all-linear'))
    if settings.gradient_checkpointing:
        model.model.language_model.gradient_checkpointing_enable({'use_reentrant': False})


def prepare_adapter(model: LegoLlava, settings: ProgramSettings) -> PeftModel:
    """
    Put an adapter around the language model, and train nothing else but the head.

    The head is trained whole: the words of programs are others than those of descriptions.

    :param model: changed in place.
    :param settings: see there.
    :returns: the model with its adapter.
    """
    from peft import get_peft_model, LoraConfig

    # The adapters begin with random numbers, which the seed alone must decide.
    torch.manual_seed(settings.seed)
    adapted = get_peft_model(model, LoraConfig(
        r=settings.lora.rank, lora_alpha=settings.lora.alpha, lora_dropout=settings.lora.dropout,
        target_modules=r'.*\.language_model\..*_proj', modules_to_save=['lm_head']))
    if settings.gradient_checkpointing:
        model.model.language_model.gradient_checkpointing_enable({'use_reentrant': False})
    return adapted


def save_adapter(adapted: PeftModel, folder: Path) -> None:
    """
    Write an adapter so that it is there whole or not at all.

    :param adapted: of :func:`prepare_adapter`.
    :param folder: what is there is replaced; ``lego_ros.vllm.adapter.adapted`` reads it.
    :raises LegoError: RECORDING_FAILED: it cannot be written.
    """
    # Where it was trained is nobody's business; PEFT would fill in for None.
    adapted.peft_config['default'].base_model_name_or_path = ''
    with replacing(folder, 'the adapter') as part:
        adapted.save_pretrained(part, safe_serialization=True)


def merge(model: LegoLlava) -> None:
    """
    Add adapters, where there are some, to the weights that they go with.

    :param model: tuned; changed in place.
    """
    from peft import PeftModel

    language_model = model.model.language_model
    if isinstance(language_model, PeftModel):
        model.model.language_model = language_model.merge_and_unload()
    model.eval()


def save_vllm(model: LegoLlava, tokenizer: PreTrainedTokenizerBase,
              processor: CLIPImageProcessorPil, folder: Path) -> None:
    """
    Write the VLLM so that it is there whole or not at all.

    :param model: without adapters.
    :param tokenizer: its tokenizer.
    :param processor: its image processor.
    :param folder: what is there is replaced.
    :raises LegoError: RECORDING_FAILED: it cannot be written.
    """
    with replacing(folder, 'the tuned VLLM') as part:
        for saved in (model, tokenizer, processor):
            saved.save_pretrained(part)
