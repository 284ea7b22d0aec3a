"""The system role: names, packages, clock and kernel settings of a host."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from meshctl.cluster import Cluster
from meshctl.host.base import File, Files, Host, text
from meshctl.roles import distributions
from meshctl.roles.base import Problem, Role
from meshctl.roles.distributions import Distribution
from meshctl.roles.templates import environment
from meshctl.roles.together import together
from meshctl.topology import Node

from . import hosts, packages, sysctls
from .parse import Chrony, addresses, chrony

CHRONY = "/etc/chrony/conf.d/meshctl.conf"
SYSCTL = "/etc/sysctl.d/90-meshctl.conf"
SYSCTL_LEAST = "/etc/sysctl.d/10-meshctl-least.conf"
"""Read early, so that an operator's larger values win."""
CLOUD = "/etc/cloud/cloud.cfg.d"
OS_RELEASE = ("cat", "/etc/os-release")
HOSTNAME = ("cat", "/proc/sys/kernel/hostname")

_TEMPLATES = environment(__package__)


@dataclass(frozen=True, slots=True)
class Seen:
    """A host before anything is changed."""

    release: Distribution
    hosts: str
    hostname: str
    cloud_init: bool
    missing: Sequence[str]
    sysctls: dict[str, int]
    writable: frozenset[str]


class System(Role):
    """What a stock installation lacks before any layer can start."""

    name = "system"
    summary = "Hostname, /etc/hosts, packages, clocks, kernel settings."
    needs = frozenset({"wiring"})

    def render(self, node: Node) -> Files:
        """The files that are wholly ours; /etc/hosts is merged on the host."""
        peers = [peer for peer in self.topology.nodes if peer != node]
        return {
            "/etc/hostname": text(f"{node.name}\n"),
            SYSCTL: _render("sysctl.conf.j2", settings=[s for s in sysctls.SETTINGS if not s.at_least]),
            SYSCTL_LEAST: _render("sysctl.conf.j2", settings=[s for s in sysctls.SETTINGS if s.at_least]),
            CHRONY: _render("chrony.conf.j2", node=node, peers=peers, loopbacks=self.topology.loopbacks),
        }

    async def apply(self, node: Node, host: Host, cluster: Cluster) -> None:
        """Files first, then what can go at the same time: name, kernel, packages and then the clock."""
        seen, clock = await asyncio.gather(self._look(host), _chrony(host))
        written = await host.put(self._files(node, seen))
        await together(
            self._hostname(node, host, seen),
            self._kernel(host, seen),
            self._packages_and_clock(host, seen, clock, written),
        )

    async def _look(self, host: Host) -> Seen:
        paths = [setting.path for setting in sysctls.SETTINGS]
        release, names, hostname, cloud, installed, kernel, writable = await asyncio.gather(
            host.query(OS_RELEASE),
            host.query(["cat", "--", hosts.PATH], ok=(0, 1)),
            host.query(HOSTNAME),
            host.query(["test", "-d", CLOUD], ok=(0, 1)),
            host.query(packages.query(self._known()), ok=(0, 1)),
            host.query(sysctls.reading(), ok=(0, 2)),
            host.query(["find", *paths, "-maxdepth", "0", "-writable"], ok=(0, 1)),
        )
        found = packages.distribution(host, release.stdout)
        return Seen(
            release=found,
            hosts=names.stdout,
            hostname=hostname.stdout.strip(),
            cloud_init=cloud.ok,
            missing=packages.missing(packages.wanted(self.topology, found), installed.stdout),
            sysctls=sysctls.parse(kernel.stdout),
            writable=frozenset(writable.stdout.split()),
        )

    def _known(self) -> list[str]:
        """Every package that any distribution wants: one look suffices, whatever the host runs."""
        return sorted({package for d in distributions.SUPPORTED for package in packages.wanted(self.topology, d)})

    def _files(self, node: Node, seen: Seen) -> Files:
        names = {other.name: other.loopback for other in self.topology.nodes}
        files = {**self.render(node), hosts.PATH: text(hosts.merge(seen.hosts, names))}
        if seen.cloud_init:  # it would write both files anew at every boot
            files[f"{CLOUD}/99-meshctl.cfg"] = text("preserve_hostname: true\nmanage_etc_hosts: false\n")
        if self.topology.packages.install:
            files |= packages.sources(seen.release)
        return files

    async def _hostname(self, node: Node, host: Host, seen: Seen) -> None:
        if seen.hostname != node.name:
            await host.run(["hostname", node.name], reason=f"the host calls itself {seen.hostname}")

    async def _kernel(self, host: Host, seen: Seen) -> None:
        """Keys of the network must take effect; host-wide ones only where they may be written (not in a container)."""
        wrong = [s for s in sysctls.wrong(seen.sysctls) if s.of_network or s.path in seen.writable]
        if not wrong:
            return
        values = [f"{setting.path}={setting.value}" for setting in wrong]
        reason = ", ".join(f"{s.key} is {seen.sysctls.get(s.path)}" for s in wrong)
        await host.run(["sh", "-s", "--", *values], stdin=sysctls.WRITE, reason=reason)

        async def probe() -> str:
            now = sysctls.parse((await host.query(sysctls.reading(wrong), ok=(0, 2))).stdout)
            return ", ".join(f"{s.key} = {now.get(s.path)}" for s in sysctls.wrong(now, wrong))

        await host.until("kernel settings", probe, timeout=2)

    async def _packages_and_clock(self, host: Host, seen: Seen, clock: Chrony, written: frozenset[str]) -> None:
        if seen.missing and self.topology.packages.install:
            await self._install(host, seen)
            clock = await _chrony(host)
        elif "chrony" in seen.missing:
            return  # the gate says so
        if not clock.enabled:
            await host.run(["systemctl", "enable", "chrony.service"], reason="it would not start at boot")
        if written & {CHRONY} or clock.outdated or not clock.running:
            reason = "its peers changed" if clock.running else "chrony does not run"
            await host.run(["systemctl", "restart", "chrony.service"], reason=reason)

    async def _install(self, host: Host, seen: Seen) -> None:
        keys = [part for r in seen.release.repositories for part in (r.key, packages.keyring(r), r.fingerprint)]
        wanted = packages.wanted(self.topology, seen.release)
        await host.run(
            ["sh", "-s", "--", *keys, "--", *seen.missing],
            stdin=packages.INSTALL,
            reason=f"{len(seen.missing)} packages are missing",
            timeout=self.topology.timeouts.packages,
        )

        async def probe() -> str:
            listing = await host.query(packages.query(wanted), ok=(0, 1))
            return ", ".join(packages.missing(wanted, listing.stdout))

        await host.until("packages", probe, timeout=2)
        # Nothing is started by its installation (policy-rc.d); this needs no settings, and takes its time.
        if "openvswitch-switch" in seen.missing:
            await host.run(["systemctl", "start", "openvswitch-switch.service"], reason="newly installed")

    async def verify(self, cluster: Cluster) -> list[Problem]:
        """Every host resolves every name to its loopback, has the packages, and forwards."""
        found = await cluster.each(self._check)
        for values in dict.fromkeys(low for _, low in found.values() if low):
            names = ", ".join(name for name, (_, low) in found.items() if low == values)
            cluster.note(f"{names}: not writable there: {values}")
        return [problem for problems, _ in found.values() for problem in problems]

    async def _check(self, node: Node, host: Host) -> tuple[list[Problem], str]:
        """A host's problems, and the host-wide settings that are too low."""
        names = {other.name: str(other.loopback) for other in self.topology.nodes}
        resolved, hostname, release, installed, kernel = await asyncio.gather(
            host.query(["getent", "ahostsv4", *names], ok=None),
            host.query(HOSTNAME),
            host.query(OS_RELEASE),
            host.query(packages.query(self._known()), ok=(0, 1)),
            host.query(sysctls.reading(), ok=(0, 2)),
        )
        wanted = packages.wanted(self.topology, packages.distribution(host, release.stdout))
        seen = sysctls.parse(kernel.stdout)
        low = [f"{s.key} = {seen.get(s.path)} (wanted: {s.value})" for s in sysctls.wrong(seen) if not s.of_network]
        problems = [
            *_names(node, names, addresses(resolved.stdout), hostname.stdout.strip()),
            *_packages(node, packages.missing(wanted, installed.stdout)),
            *(_setting(node, s, seen) for s in sysctls.wrong(seen) if s.of_network),
        ]
        return problems, ", ".join(low)


async def _chrony(host: Host) -> Chrony:
    state, enabled, newer = await asyncio.gather(
        host.query(["systemctl", "is-active", "chrony.service"], ok=None),
        host.query(["systemctl", "is-enabled", "chrony.service"], ok=None),
        host.query(["find", CHRONY, "-newercm", "/run/chrony/chronyd.pid"], ok=(0, 1)),
    )
    return chrony(state.stdout, enabled.stdout, newer.stdout)


def _names(node: Node, names: dict[str, str], resolved: dict[str, str], hostname: str) -> list[Problem]:
    problems = [
        Problem(
            node.name, f"the name {name} leads elsewhere", address, resolved.get(name, "no address"),
            f"getent ahostsv4 {name}", f"Look into {hosts.PATH} and the `hosts:` line of /etc/nsswitch.conf.",
        )
        for name, address in names.items()
        if resolved.get(name) != address
    ]  # fmt: skip
    if hostname != node.name:
        advice = "Run bootstrap: it sets the name. If it changes back, something sets it at boot (cloud-init, DHCP)."
        problems.append(Problem(node.name, "another hostname", node.name, hostname, "hostname", advice))
    return problems


def _packages(node: Node, missing: Sequence[str]) -> list[Problem]:
    if not missing:
        return []
    return [
        Problem(
            node.name, f"{len(missing)} packages are missing", "all installed", ", ".join(missing),
            f"dpkg-query -W {' '.join(missing)}",
            f"apt-get install {' '.join(missing)}, or let meshctl do it (`packages.install`).", final=True,
        )
    ]  # fmt: skip


def _setting(node: Node, setting: sysctls.Setting, seen: dict[str, int]) -> Problem:
    return Problem(
        node.name, f"{setting.key} has no effect", str(setting.value), str(seen.get(setting.path)),
        f"sysctl {setting.key}", "Another file of sysctl.d, or a program, sets it after meshctl did.",
    )  # fmt: skip


def _render(template: str, **values: Any) -> File:
    return text(_TEMPLATES.get_template(template).render(**values))
