"""Our own worker with the toy in it: `python -m bench.worker_host JOB`. The real fold runs in `atp worker` itself."""

import logging
import sys

from bench.job import Job, from_arguments
from streams.app import run as work
from streams.settings import Settings


def run(job: Job) -> None:
    """Work until the load is folded."""
    work(Settings(), job.brokers, [job.topology], state=None, until_idle_s=1.0)


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    run(from_arguments(sys.argv))
