"""Jobs, one by one, each drawn from its number and the seed alone."""

from collections.abc import Iterable, Iterator

import numpy

from .cloud import CloudJob
from .job import Job
from .local import LocalJob
from .pool import Pool, make_pool

START = 1_704_067_200 * 10**9  # 2024-01-01 UTC, ns
SPAN = 2 * 365 * 86_400 * 10**9  # ns in which all jobs were made
PERIOD = 1800  # jobs between two calibrations of one device: about fifty of them run on it
CLOUD = 4  # of so many jobs one runs on a device


def jobs(
    number: int, seed: int = 1, pool: Pool | None = None, small: bool = False, only: Iterable[int] | None = None
) -> Iterator[Job]:
    """The first `number` jobs of a seed, or `only` those of these numbers, which ascend; the same ones from the same pool.

    Their ids are the same, too, but in groups, which belong to an archive.
    """
    pool = pool or make_pool(small)
    step = SPAN // max(number, 1)
    offsets = [PERIOD // len(pool.devices) * place for place in range(len(pool.devices))]
    histories = [device.begin([seed, 1, place], START - offset * step, PERIOD * step)
                 for place, (device, offset) in enumerate(zip(pool.devices, offsets, strict=True))]  # fmt: skip
    for i in range(number) if only is None else only:
        draw = numpy.random.default_rng([seed, 2, i])
        on = int(draw.integers(CLOUD * len(histories)))
        created = START + i * step
        drawn = pool, seed, draw, i, created, small
        if on < len(histories):
            yield CloudJob(histories[on], histories[on].at((i + offsets[on]) // PERIOD), *drawn)
        else:
            yield LocalJob(*drawn)
