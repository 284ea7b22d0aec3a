"""Packages: which are missing, and the one script that installs them."""

from collections.abc import Sequence
from pathlib import Path

from meshctl.errors import RefusedError
from meshctl.host.base import Files, Host, text
from meshctl.roles import distributions
from meshctl.roles.distributions import Distribution, Repository
from meshctl.topology import Topology

INSTALL = Path(__file__).with_name("install.sh").read_bytes()


def distribution(host: Host, os_release: str) -> Distribution:
    """What the host runs. Raises RefusedError when it is nothing that meshctl knows (preflight says it better)."""
    values = distributions.os_release(os_release)
    found = distributions.find(values.get("ID", ""), values.get("VERSION_ID", ""))
    if found is None:
        raise RefusedError(
            host.name,
            f"runs {values.get('PRETTY_NAME', 'an unknown system')}; known: {distributions.titles()}",
            advice="Install one of these on the host. Package names of other systems are not known to meshctl.",
        )
    return found


def wanted(topology: Topology, release: Distribution) -> tuple[str, ...]:
    """All packages of a host, in a stable order."""
    return tuple(sorted({*release.packages, *topology.packages.extra}))


def query(packages: Sequence[str]) -> list[str]:
    """The command that shows their states; it exits with 1 when dpkg has never heard of one."""
    return ["dpkg-query", "-W", "-f", r"${Package}\t${db:Status-Status}\t${db:Status-Eflag}\n", *packages]


def missing(packages: Sequence[str], listing: str) -> list[str]:
    """Those that are not installed, or only half."""
    rows = [line.split("\t") for line in listing.splitlines()]
    installed = {row[0] for row in rows if row[1:3] == ["installed", "ok"]}
    return [package for package in packages if package not in installed]


def sources(release: Distribution) -> Files:
    """The apt sources of third parties."""
    return {
        f"/etc/apt/sources.list.d/{repository.name}.sources": text(_source(repository, release))
        for repository in release.repositories
    }


def _source(repository: Repository, release: Distribution) -> str:
    return (
        "# Made by meshctl.\n"
        "Types: deb\n"
        f"URIs: {repository.uri}\n"
        f"Suites: {release.codename}\n"
        f"Components: {repository.components}\n"
        f"Signed-By: {keyring(repository)}\n"
    )


def keyring(repository: Repository) -> str:
    """Where the repository's key is kept."""
    return f"/etc/apt/keyrings/{repository.name}.asc"
