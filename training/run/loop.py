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

"""
The training loop of every stage, upon accelerate.

What a run does depends on its seed and the step alone, so that a run that was broken off and goes
on ends with the same weights as one that was not (on the same machine, with as many processes).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
import math
from pathlib import Path
from typing import Any, Protocol

from accelerate import Accelerator
from diffusers.training_utils import EMAModel
from lego_ros.errors import ErrorCode, LegoError
from lego_ros.training.run.checkpoints import checkpoints, damaged, read_state, save
from lego_ros.training.run.draws import mix, StepSampler
from lego_ros.training.run.journal import Journal, Means
from lego_ros.training.run.samples import NamedCollate, NamedSamples, to_device, TrainingData
from lego_ros.training.run.settings import LoopSettings
import numpy as np
from safetensors.torch import load_file, save_file
import torch
from torch import nn, Tensor
from torch.utils.data import DataLoader, default_collate
from tqdm import tqdm


@dataclass
class Validation:
    """
    What a stage shows of itself now and then.

    :param figures: by name, such as ``loss``; logged as ``validation/<name>``.
    :param pictures: (H, W, 3) uint8 RGB by name.
    :param texts: Markdown by name.
    """

    figures: dict[str, float]
    pictures: dict[str, np.ndarray] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)


class Interrupted(Exception):
    """
    The run was told to stop; it goes on from its checkpoint.

    :param step: how many steps are done.
    """

    def __init__(self, step: int) -> None:
        super().__init__(f'interrupted after step {step}; the same command goes on from there')
        self.step = step


class Objective(Protocol):
    """
    What is minimised: a module that holds the networks.

    Those of its parameters that require a gradient are trained. Its ``forward`` takes a collated
    batch and returns the loss (a scalar) with other figures (scalars without gradient); it may
    draw from torch's global random state, which is seeded for each step.
    """

    def __call__(self, batch: Any) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute the loss of a batch."""
        ...


def train(objective: nn.Module, data: TrainingData, settings: LoopSettings, folder: Path, *,
          identity: dict | None = None,
          collate: Callable[[list], Any] = default_collate,
          validate: Callable[[nn.Module, int], Validation] | None = None,
          stop: Callable[[], bool] = lambda: False,
          accelerator: Accelerator | None = None) -> int:
    """
    Train, going on from the last checkpoint in the folder; afterwards the objective is trained.

    With ``settings.ema`` the averaged weights are the result, and those that are validated.

    :param objective: an :class:`Objective`; changed in place.
    :param data: the samples.
    :param settings: of the loop.
    :param folder: for checkpoints and figures.
    :param identity: JSON values that the run depends on besides the settings, such as the data's
        SHA-256 and the architecture; a checkpoint with others is refused.
    :param collate: makes a batch of samples.
    :param validate: called on every process with the bare objective and the number of steps done,
        every ``validate_every`` steps and at the end.
    :param stop: asked after each step; True ends the run with a checkpoint.
    :param accelerator: None makes one that follows accelerate's configuration. One given must
        have been made with :func:`make_accelerator`.
    :returns: the number of steps.
    :raises Interrupted: ``stop`` said so.
    :raises LegoError: INVALID_SETTING: no data, a batch that cannot be shared out, or a checkpoint
        of another run; INFERENCE_FAILED: the loss is not finite (the last checkpoint is from
        before); RECORDING_FAILED: a checkpoint cannot be written; SOURCE_UNREADABLE: one cannot be
        read; OUT_OF_MEMORY.
    """
    if len(data) == 0:
        raise LegoError(ErrorCode.INVALID_SETTING, 'there is nothing to train on: no samples')
    accelerator = accelerator or make_accelerator(settings)
    run = _Run(objective, data, settings, folder, identity or {}, accelerator)
    run.resume()
    try:
        run.go_on(collate, validate, stop)
    except torch.OutOfMemoryError as error:
        raise LegoError(
            ErrorCode.OUT_OF_MEMORY,
            f'no memory left in step {run.step}: {error}. Make micro_batch smaller') from error
    run.hand_over()
    return run.step


def make_accelerator(settings: LoopSettings) -> Accelerator:
    """
    Set up devices and processes as accelerate's configuration says (DDP, FSDP, DeepSpeed).

    :param settings: precision and batch; how often gradients accumulate follows from them.
    :returns: the accelerator, which must exist once per process.
    :raises LegoError: INVALID_SETTING: the batch cannot be shared out evenly.
    """
    from accelerate import PartialState
    from accelerate.state import AcceleratorState

    # Left to itself accelerate takes processes without a GPU for strangers to each other.
    cpu = not torch.cuda.is_available()
    micro, passes = _portions(settings, PartialState(cpu=cpu).num_processes)
    # accelerate keeps the precision of the stage before; each has its own.
    AcceleratorState._reset_state()
    accelerator = Accelerator(
        cpu=cpu, mixed_precision={'fp32': 'no', 'bf16': 'bf16'}[settings.precision],
        gradient_accumulation_steps=passes, step_scheduler_with_optimizer=False)
    plugin = accelerator.state.deepspeed_plugin
    if plugin is not None:
        # DeepSpeed learns this from a loader that accelerate made; ours stays outside of it.
        plugin.deepspeed_config['train_micro_batch_size_per_gpu'] = micro
    return accelerator


def _portions(settings: LoopSettings, processes: int) -> tuple[int, int]:
    """Give samples per forward pass, and forward passes per step, of one process."""
    share, left = divmod(settings.batch_size, processes)
    micro = min(settings.micro_batch or share, share)
    if left or micro == 0 or share % micro:
        raise LegoError(
            ErrorCode.INVALID_SETTING,
            f'a batch of {settings.batch_size} cannot be shared out evenly among {processes} '
            f'processes in portions of {settings.micro_batch or share}')
    return micro, share // micro


class _Run:
    """A run under way: what the loop and its checkpoints are about."""

    def __init__(self, objective: nn.Module, data: TrainingData, settings: LoopSettings,
                 folder: Path, identity: dict, accelerator: Accelerator) -> None:
        self._objective, self._data, self._settings = objective, data, settings
        self._folder, self._accelerator = folder, accelerator
        self._total = settings.total_steps(len(data))
        self._micro, self._passes = _portions(settings, accelerator.num_processes)
        # How often something is saved, shown or logged does not change what comes out, nor does
        # what only makes it faster.
        incidental = {'checkpoint_every', 'validate_every', 'log_every', 'loaders', 'micro_batch',
                      'compile'}
        if settings.schedule == 'constant' and not settings.warmup:
            # Nor does how long it is to go on, where no rate depends on it: it can be lengthened.
            incidental |= {'steps', 'epochs'}
        self._state = {
            **identity, 'settings': settings.model_dump(mode='json', exclude=incidental),
            'samples': len(data), 'processes': accelerator.num_processes,
            'weights': sum(weight.numel() for weight in objective.parameters())}
        trained = [weight for weight in objective.parameters() if weight.requires_grad]
        optimizer = torch.optim.AdamW(
            trained, lr=settings.lr, betas=settings.betas, weight_decay=settings.weight_decay,
            fused=True)
        self._model, self._optimizer = accelerator.prepare(objective, optimizer)
        self._trained = [
            weight for weight in self._model.parameters() if weight.requires_grad]
        self._ema = (EMAModel(self._trained, decay=settings.ema, foreach=True)
                     if settings.ema is not None else None)
        self.step = 0

    def resume(self) -> None:
        """Go on from the last checkpoint, where there is one."""
        found = checkpoints(self._folder)
        if not found:
            return
        _, checkpoint = found[-1]
        step = read_state(checkpoint, self._state)
        if step > self._total:
            raise LegoError(
                ErrorCode.INVALID_SETTING,
                f"'{checkpoint}' is after {step} steps and only {self._total} are asked for; ask "
                'for more, or take another folder')
        try:
            self._accelerator.load_state(str(checkpoint))
            if self._ema is not None:
                self._load_ema(checkpoint)
        except LegoError:
            raise
        # torch, safetensors, accelerate and DeepSpeed each raise errors of their own kinds.
        except Exception as error:
            raise damaged(checkpoint, error) from error
        self.step = step

    def go_on(self, collate: Callable[[list], Any],
              validate: Callable[[nn.Module, int], Validation] | None,
              stop: Callable[[], bool]) -> None:
        """Train to the end."""
        if self.step >= self._total:
            return
        settings, main = self._settings, self._accelerator.is_main_process
        batches = iter(self._loader(collate))
        bar = tqdm(total=self._total, initial=self.step, desc=self._folder.name, unit='step',
                   disable=not main, dynamic_ncols=True, smoothing=0.05)
        figures = Means()
        self._model.train()
        with bar, _journal(self._folder, self.step, main) as journal:
            while self.step < self._total:
                figures.add(self._one_step(batches))
                self.step += 1
                bar.update()
                last = self.step == self._total
                if self.step % settings.log_every == 0 or last:
                    means = figures.take(settings.batch_size)
                    bar.set_postfix(loss=f'{means["loss"]:.4g}',
                                    images_s=f'{means["samples_per_second"]:.1f}')
                    if journal:
                        journal.log(self.step, means)
                if validate and (self.step % settings.validate_every == 0 or last):
                    self._validate(validate, journal)
                    figures.restart()
                stopping = self._told_to_stop(stop)
                if self.step % settings.checkpoint_every == 0 or last or stopping:
                    self._save()
                    figures.restart()
                if stopping and not last:
                    raise Interrupted(self.step)

    def _told_to_stop(self, stop: Callable[[], bool]) -> bool:
        """Tell whether any process was told to stop; all must end with the same step."""
        told = torch.tensor(int(stop()), device=self._accelerator.device)
        return bool(self._accelerator.reduce(told, 'sum'))

    def hand_over(self) -> None:
        """Leave the result in the objective, as plain weights."""
        if self._ema is not None:
            self._ema.copy_to(self._trained)
        state = self._accelerator.get_state_dict(self._model, unwrap=True)
        bare = self._accelerator.unwrap_model(self._model)
        if bare is not self._objective or self._accelerator.distributed_type == 'FSDP':
            self._objective.load_state_dict(state)
        self._objective.eval()

    def _loader(self, collate: Callable[[list], Any]) -> DataLoader:
        sampler = StepSampler(
            len(self._data), self._settings.batch_size, self._micro, self._settings.seed,
            range(self.step, self._total), self._accelerator.process_index,
            self._accelerator.num_processes)
        loaders = self._settings.loaders
        return DataLoader(
            NamedSamples(self._data), batch_sampler=sampler, num_workers=loaders,
            collate_fn=NamedCollate(collate),
            pin_memory=self._accelerator.device.type == 'cuda',
            multiprocessing_context='forkserver' if loaders else None)

    def _one_step(self, batches: Iterator) -> dict[str, Tensor]:
        """Make one optimiser step; gives the means of the figures over its forward passes."""
        device, rank = self._accelerator.device, self._accelerator.process_index
        for group in self._optimizer.param_groups:
            group['lr'] = self._settings.lr_at(self.step, self._total)
        sums: dict[str, Tensor] = {}
        for number in range(self._passes):
            names, batch = next(batches)
            # Dropout and noise are the step's own, whether it is reached at once or resumed at.
            torch.manual_seed(mix(self._settings.seed, self.step, number, rank))
            with self._accelerator.accumulate(self._model):
                loss, others = self._model(to_device(batch, device))
                value = loss.detach().float()
                if not bool(torch.isfinite(value)):
                    raise self._not_finite(value, names)
                self._accelerator.backward(loss)
                if self._accelerator.sync_gradients and self._settings.max_grad_norm is not None:
                    norm = self._accelerator.clip_grad_norm_(
                        self._trained, self._settings.max_grad_norm)
                    if norm is not None and not math.isfinite(float(norm)):
                        raise self._not_finite(norm, names, 'the gradient')
                self._optimizer.step()
                self._optimizer.zero_grad()
            for key, figure in {'loss': value, **others}.items():
                sums[key] = sums.get(key, 0) + figure.detach().float() / self._passes
        if self._ema is not None:
            self._ema.step(self._trained)
        return {**sums, 'lr': torch.tensor(self._settings.lr_at(self.step, self._total))}

    def _not_finite(self, value: Any, names: list[str], what: str = 'the loss') -> LegoError:
        listed = ', '.join(names[:8]) + (' ...' if len(names) > 8 else '')
        found = checkpoints(self._folder)
        good = f"The last good checkpoint is '{found[-1][1]}'" if found else 'No checkpoint yet'
        return LegoError(
            ErrorCode.INFERENCE_FAILED,
            f'{what} became {float(value)} in step {self.step + 1} (samples: {listed}). {good}. '
            'Look at these samples, or use a smaller learning rate')

    def _validate(self, validate: Callable[[nn.Module, int], Validation],
                  journal: Journal | None) -> None:
        bare = self._accelerator.unwrap_model(self._model)
        bare.eval()
        # What a stage draws while it validates must not depend on how the run came here.
        torch.manual_seed(mix(self._settings.seed, 0))
        with self._averaged(), torch.no_grad():
            seen = validate(bare, self.step)
        self._model.train()
        if journal:
            journal.log(
                self.step, {f'validation/{name}': value for name, value in seen.figures.items()},
                seen.pictures, seen.texts)

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        """Put the averaged weights in the place of the others for a while."""
        if self._ema is None:
            yield
            return
        self._ema.store(self._trained)
        self._ema.copy_to(self._trained)
        try:
            yield
        finally:
            self._ema.restore(self._trained)

    def _save(self) -> None:
        def write(part: Path) -> None:
            self._accelerator.save_state(str(part))
            if self._ema is not None:
                # Each process averages the weights, or the shards of them, that it has.
                save_file({str(number): weight.contiguous()
                           for number, weight in enumerate(self._ema.shadow_params)},
                          self._ema_file(part))

        save(self._folder, self.step, self._state, write,
             first=self._accelerator.is_main_process, wait=self._accelerator.wait_for_everyone)

    def _load_ema(self, checkpoint: Path) -> None:
        assert self._ema is not None
        state = load_file(self._ema_file(checkpoint))
        for number, weight in enumerate(self._ema.shadow_params):
            weight.copy_(state[str(number)])
        # The average's decay rises with the steps.
        self._ema.optimization_step = read_state(checkpoint, self._state)

    def _ema_file(self, checkpoint: Path) -> Path:
        return checkpoint / f'ema_{self._accelerator.process_index}.safetensors'


@contextmanager
def _journal(folder: Path, step: int, main: bool) -> Iterator[Journal | None]:
    """Open the journal on the main process."""
    if not main:
        yield None
        return
    with Journal(folder, step) as journal:
        yield journal
