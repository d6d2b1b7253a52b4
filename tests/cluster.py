"""A Ray cluster of several nodes that are all processes of this machine and answer nobody else."""

import os
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

import cl_engine

HERE = "127.0.0.1"  # where Ray listens to this machine alone; at any other address it does to all
OBJECT_STORE = 80 << 20  # bytes; the least that Ray accepts is a little less


def add_node(cluster):
    """Let a node of one core join; return it."""
    return cluster.add_node(num_cpus=1, node_ip_address=HERE, object_store_memory=OBJECT_STORE)


@contextmanager
def cluster_of(nodes):
    """Start a head without cores, and ``nodes`` nodes of one core each."""
    pytest.importorskip("ray", reason="needs the ray extra")
    from ray.cluster_utils import Cluster

    roots = [Path(cl_engine.__file__).parent.parent, *filter(None, sys.path)]
    head = {"num_cpus": 0, "node_ip_address": HERE, "object_store_memory": OBJECT_STORE, "include_dashboard": False}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(map(str, roots)))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        # who connects takes 127.0.0.1 for the address that others reach this machine by
        patch.setattr("ray._private.services.get_node_ip_address", lambda address=None: HERE)
        patch.setenv("RAY_worker_niceness", "0")  # or else whatever runs beside the tests goes first
        cluster = Cluster(initialize_head=True, head_node_args=head)
        try:
            for _ in range(nodes):
                add_node(cluster)
            yield cluster
        finally:
            cluster.shutdown()
