"""What goes into the configuration database as soon as there is one."""

from meshctl.roles.ceph import Setting
from meshctl.topology import Topology

# Modules of the mgr that nobody here uses. Each costs 0.1 s of CPU at every start of every mgr, enabled or not.
_UNUSED = (
    *("restful", "selftest", "test_orchestrator"),  # can't be imported on Debian 13; only for Ceph's own tests
    *("mirroring", "nfs", "snap_schedule", "stats"),  # only for CephFS
    *("influx", "telegraf", "zabbix", "insights", "localpool", "osd_perf_query", "osd_support"),
)

_LASTING = (Setting("mgr", "mgr_disabled_modules", ",".join(_UNUSED)),)

FOUNDING = (
    # OSDs report to the mgr every 5 s, it looks at that every 2 s, and monitors ask it every 5 s: up to 12 s until a
    # healthy cluster says so.
    Setting("global", "mgr_stats_period", "1"),
    Setting("mgr", "mgr_tick_period", "1"),
    Setting("mon", "mon_mgr_digest_period", "1"),
    # Each new OSD measures its disk for QoS before it reports for duty, here all of them at once on busy hosts. They do
    # so at their next start instead.
    Setting("osd", "osd_mclock_skip_benchmark", "true"),
)
"""For the founding only; ceph_health removes them when all is well."""

_DEFAULT_SIZE = 3

_SINGLE = (
    # One copy is what the topology asks for; Ceph refuses it, and warns about it, unless told so.
    Setting("global", "mon_allow_pool_size_one", "true"),
    Setting("mon", "mon_warn_on_pool_no_redundancy", "false"),
)


def lasting(topology: Topology) -> tuple[Setting, ...]:
    """Set when missing, and left alone when an operator has set something else."""
    if topology.replicas == _DEFAULT_SIZE:
        return _LASTING
    size = Setting("global", "osd_pool_default_size", str(topology.replicas))
    return (*_LASTING, size, *(_SINGLE if topology.replicas == 1 else ()))
