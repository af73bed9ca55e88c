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

"""Shards made by Ray Data, on one machine or on a cluster."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
import logging
import os
from types import ModuleType
from typing import Any, TYPE_CHECKING

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.training.enrichment.shards import ShardRecord

if TYPE_CHECKING:
    from lego_ros.training.enrichment.enrich import ShardTask, ShardWorker

OBJECT_STORE = 128 << 20
"""Bytes that a Ray started here may keep for rows in flight; they are a kilobyte each."""


class _Actor:
    """A worker as Ray Data wants it: rows of plain values in and out."""

    def __init__(self) -> None:
        self._worker: ShardWorker | None = None

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        from lego_ros.training.enrichment.enrich import ShardTask, ShardWorker

        task = ShardTask.model_validate_json(row['task'])
        try:
            if self._worker is None:
                self._worker = ShardWorker(task)
            record = self._worker.make(task)
        except LegoError as error:
            # As a value: Ray would start the worker again, and wrap the message beyond finding.
            return {'record': '', 'code': error.code.name, 'message': error.message}
        return {'record': record.model_dump_json(), 'code': '', 'message': ''}


@contextmanager
def cluster() -> Generator[ModuleType, None, None]:
    """
    Join the Ray cluster that ``RAY_ADDRESS`` names, or start one on this machine.

    One that this process has joined already is used and stays.

    :returns: the module ``ray``.
    :raises LegoError: INVALID_SETTING where Ray is not installed.
    """
    # Ray reports its use to its makers otherwise.
    os.environ['RAY_USAGE_STATS_ENABLED'] = '0'
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise LegoError(
            ErrorCode.INVALID_SETTING,
            "workers need Ray: pip install 'ray[data]', or set workers to 0") from error
    if ray.is_initialized():
        yield ray
        return
    ray.init(log_to_driver=False, include_dashboard=False, logging_level=logging.WARNING,
             object_store_memory=None if os.environ.get('RAY_ADDRESS') else OBJECT_STORE)
    try:
        yield ray
    finally:
        ray.shutdown()


def make_shards(tasks: list[ShardTask], workers: int) -> Generator[ShardRecord, None, None]:
    """
    Make shards by several workers.

    :param tasks: at least one.
    :param workers: the most that work at a time; each takes a GPU where the cluster has some.
    :returns: a generator of the records in the order of the tasks.
    :raises LegoError: what a worker raised; INVALID_SETTING where Ray is not installed.
    """
    with cluster() as ray:
        context = ray.data.DataContext.get_current()
        context.execution_options.preserve_order = True
        context.enable_progress_bars = False
        context.print_on_execution_start = False
        # What it says of its plans would run through the progress bar.
        logging.getLogger('ray.data').setLevel(logging.ERROR)
        threads = tasks[0].settings.threads
        gpu, room = _room(ray.cluster_resources(), threads)
        rows = ray.data.from_items(
            [{'task': task.model_dump_json()} for task in tasks],
            override_num_blocks=len(tasks),
        ).map(
            _Actor, num_cpus=threads, num_gpus=gpu,
            compute=ray.data.ActorPoolStrategy(min_size=min(workers, room), max_size=workers))
        for row in rows.iter_rows():
            if row['code']:
                raise LegoError(ErrorCode[row['code']], row['message'])
            yield ShardRecord.model_validate_json(row['record'])


def _room(resources: dict[str, float], threads: int) -> tuple[int, int]:
    """Give the GPUs that a worker takes, and how many workers a cluster has room for now."""
    gpus, cpus = int(resources.get('GPU', 0)), int(resources.get('CPU', 0)) // threads
    return min(gpus, 1), max(1, min(gpus, cpus) if gpus else cpus)
