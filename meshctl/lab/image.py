# ruff: noqa: ASYNC240  (looking at a few local paths takes microseconds; a thread for each would cost more)
"""The image that all hosts share: built once with mmdebstrap, kept by the hash of its recipe, never changed again."""

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from meshctl.lab import mirror
from meshctl.lab.errors import LabError
from meshctl.lab.locks import locked
from meshctl.lab.proc import run
from meshctl.lab.recipe import Recipe, recipe
from meshctl.lab.rootfiles import RootFiles

IMAGES = Path("/var/cache/meshctl/images")
_BUILD_SECONDS = 1800

# As apt in the new root, but with this machine's programs; leaves the packages in the root's apt cache.
_DOWNLOAD = 'APT_CONFIG="$MMDEBSTRAP_APT_CONFIG" apt-get -q -y --download-only --no-install-recommends install '

Progress = Callable[[str], None]


def image_path(name: str) -> Path:
    """Where the image of that name is or will be: `rootfs` and, for a bare one, `repo` below it."""
    return IMAGES / recipe(name).hash


async def ensure(name: str, progress: Progress) -> Path:
    """The image's folder, after building it if it isn't there. Builders wait for each other."""
    wanted = recipe(name)
    final = image_path(name)
    if final.is_dir():
        return final
    async with locked(IMAGES / f"{wanted.hash}.lock", f"building the {name} image", _BUILD_SECONDS):
        if not final.is_dir():
            progress(f"building the {name} image, once ({len(wanted.packages)} packages and what they need)")
            await _build(wanted, final)
    return final


async def _build(wanted: Recipe, final: Path) -> None:
    """Build beside the final place and rename at the end, so that half an image is never taken for a whole one."""
    building = final.with_name(f"{final.name}.building")
    _remove(building)
    building.mkdir(parents=True)
    root = building / "rootfs"
    try:
        await _bootstrap(wanted, root)
        if wanted.offered:
            await _repository(root, building / "repo")
        await asyncio.to_thread(_finish, wanted, root)
    except BaseException:
        _remove(building)
        raise
    (building / "recipe").write_text(f"{wanted}\n")
    building.rename(final)


def _remove(building: Path) -> None:
    """Never through a mount: a builder that was killed may have left the machine's /proc or /dev in there."""
    mounted = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    inside = [place for place in mounted if building in Path(place).parents]
    if inside:
        raise LabError(f"{building} still has mounts of an interrupted build", advice=f"umount {' '.join(inside)}")
    if building.exists():
        shutil.rmtree(building)


async def _bootstrap(wanted: Recipe, root: Path) -> None:
    sources = await mirror.sources(wanted.release)
    with TemporaryDirectory(prefix="meshctl-image-") as scratch:
        listed, options = Path(scratch, "sources.list"), Path(scratch, "apt.conf")
        listed.write_text(sources)
        options.write_text(await mirror.proxy_options())
        argv = ["mmdebstrap", "--mode=root", "--variant=apt", f"--include={','.join(wanted.packages)}"]
        argv += [f"--aptopt={options}"] if options.stat().st_size else []
        argv += [f"--customize-hook={_DOWNLOAD}{' '.join(wanted.offered)}"] if wanted.offered else []
        argv += ["--skip=cleanup/apt/cache"] if wanted.offered else []
        argv += ['--customize-hook=chroot "$1" systemctl enable ' + " ".join(wanted.enabled)]
        await run([*argv, wanted.release, str(root), *([str(listed)] if sources else [])], seconds=_BUILD_SECONDS)


async def _repository(root: Path, repo: Path) -> None:
    """Move the downloaded packages into a repository that apt can read from a folder."""
    repo.mkdir()
    repo.chmod(0o755)  # apt reads it as a user of its own
    for package in (root / "var/cache/apt/archives").glob("*.deb"):
        shutil.move(package, repo / package.name)
    index = await run(["env", f"--chdir={repo}", "apt-ftparchive", "packages", "."], seconds=120)
    if not index:
        raise LabError("the image's package repository is empty", advice="Is the mirror reachable?")
    (repo / "Packages").write_text(index)


def _finish(wanted: Recipe, root: Path) -> None:
    """Take out what must differ between hosts or names the mirror; put in what only a lab's host needs."""
    for key in (root / "etc/ssh").glob("ssh_host_*"):
        key.unlink()
    for name in ("etc/hostname", "etc/resolv.conf", "etc/apt/apt.conf.d/99mmdebstrap"):
        (root / name).unlink(missing_ok=True)
    files = RootFiles(root)
    files.write("etc/machine-id", "")
    listed = "deb [trusted=yes] file:/srv/repo ./\n" if wanted.offered else "# no network, no packages\n"
    files.write("etc/apt/sources.list", listed)
    files.folder("srv/repo")
    for extra in (root / "etc/apt/sources.list.d").iterdir():
        extra.unlink()
    for unit in wanted.masked:
        (root / "etc/systemd/system" / unit).unlink(missing_ok=True)
        (root / "etc/systemd/system" / unit).symlink_to("/dev/null")
    for name, text in wanted.files.items():
        files.write(name, text, 0o440 if name.startswith("etc/sudoers.d/") else 0o644)
