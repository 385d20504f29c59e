"""Placement groups that outlive the Train controller that asked for them, and hold its workers' CPUs and GPUs.

Ray frees a placement group when the job ends, not when the actor that made it dies. Train's own cleaner is no help on a
busy cluster: it asks the dashboard whether its controller lives, and ends itself for good when the answer is late.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress

import ray
from ray.core.generated.gcs_pb2 import PlacementGroupTableData
from ray.util.placement_group import PlacementGroup, remove_placement_group

LOOK_SECONDS = 2.0
"""How often the driver looks."""


def free_orphans(close: threading.Event) -> None:
    """Free such placement groups of this job whenever there are any, until ``close`` is set."""
    while not close.wait(LOOK_SECONDS):
        # watch_ray says so if the head does not answer.
        with suppress(Exception):
            for group in _orphans():
                remove_placement_group(group)


def _orphans() -> Iterator[PlacementGroup]:
    """Those that the head knows to have lost their actor. Ray 2.60's public table does not tell."""
    job = ray.get_runtime_context().get_job_id()
    for stored in ray._private.state.state._connect_and_get_accessor().get_placement_group_table():
        table = PlacementGroupTableData.FromString(stored)
        # The driver's own groups, which Tune makes for slots, are of no actor, and Ray counts that as dead.
        is_of_an_actor = not ray.ActorID(table.creator_actor_id).is_nil()
        is_ours = table.creator_job_id.hex() == job and is_of_an_actor and not table.is_detached
        if is_ours and table.creator_actor_dead and table.state != PlacementGroupTableData.REMOVED:
            yield PlacementGroup(ray.PlacementGroupID(table.placement_group_id))
