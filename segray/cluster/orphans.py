"""Free the CPUs and GPUs of workers whose Train controller has died.

They are held by a placement group, which Ray frees when the job ends, not when the actor that made it dies. Train's own
cleaner does not help on a busy cluster: it asks the dashboard whether its controller lives, and ends itself for good
when the answer is late.
"""

from __future__ import annotations

import threading
from contextlib import suppress

from ray.util.placement_group import remove_placement_group

from segray.cluster.ray_internals import orphaned_placement_groups

LOOK_SECONDS = 2.0
"""Time between two looks of the driver."""


def free_orphans(close: threading.Event) -> None:
    """Free this job's placement groups whose actor has died, again and again until ``close`` is set."""
    while not close.wait(LOOK_SECONDS):
        # A head that does not answer is reported by watch_ray, so errors are passed over here.
        with suppress(Exception):
            for group in orphaned_placement_groups():
                remove_placement_group(group)
