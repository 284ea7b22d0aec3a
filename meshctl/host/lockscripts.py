r"""The lock's part on a host: four POSIX scripts around one folder. Pure; `lock.py` does the talking.

    lock      a live holder has it locked (flock), for as long as it lives
    holder    "EPOCH PID START", and below it who that is (JSON); replaced by renaming, so it is always whole
    changes/  PID.START for every change, from before it looks at the epoch; dead ones mean nothing

The *epoch* is a random word that a holder makes up when it takes the lock: no two are alike, so an old one can't come
back, not even after a reboot has emptied /run. PID and START (field 22 of proc(5)'s stat) name a process beyond doubt,
so that its death shows without asking anybody.

Why no change of an old holder can come after a new one has the lock: the new one first writes its epoch, and then waits
until nothing in `changes/` lives. A change first puts itself there, and then looks at the epoch. So either the new
holder sees the change, or the change sees the new epoch and doesn't happen. It costs no process: the shell that looks
becomes the change, with the same PID and START.
"""

from meshctl.host.holder import Holder

FOLDER = "/run/meshctl"
"""Of root alone. The batches' folders are /run/meshctl.XXXXXX."""

SAYS = "meshctl-lock "
"""Before every line that the scripts print: login scripts may print others."""

LOST = 75
"""Status of a change that was not begun because the lock is lost (EX_TEMPFAIL); told apart by its words."""

CHANGED = 3
"""Status of `break_off` when another holder than the named one, or none, has the lock."""

LIVES = r"""
lives() {
{ read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1;
was=$2;
set -- ${stat##*) };
[ "$1" != Z ] && [ "${20}" = "$was" ];
};
"""
"""A shell function: whether the process with this number and start time lives."""

_ALIVE = (
    LIVES
    + r"""
alive() {
{ { read -r epoch pid start && read -r whose; } <"$d/holder"; } 2>/dev/null && lives "$pid" "$start";
};
"""
)
# The name in stat may hold blanks and brackets: what counts begins behind the last ")", with the state, field 3.

_CHANGING = r"""
changing() {
set --
for change in "$d"/changes/*; do
[ -e "$change" ] || continue
change=${change##*/}
lives "${change%.*}" "${change#*.}" && return
set -- "$@" "$d/changes/$change"
done
[ $# -eq 0 ] || rm -f -- "$@"
return 1
}
words() { tr '\0\n' '\n ' <"/proc/${change%.*}/cmdline" 2>/dev/null | tail -n +5 | tr '\n' ' ' | cut -c1-200; }
"""
# The command's own first word is the fifth of its `timeout` (see quoting.one_line).

_HOLD = (
    r"""
umask 077
d=$1 mine=$2 limit=$3 about=$4 instead=$5
say() { printf 'meshctl-lock %s\n' "$*"; }
fail() { say "failed $*"; exit 1; }
"""
    + _ALIVE
    + _CHANGING
    + r"""
command -v flock >/dev/null || fail "there is no flock (Debian's package util-linux)"
[ -d "$d/changes" ] || mkdir -p "$d/changes" 2>/dev/null || fail "$d can't be made"
{ command exec 9>>"$d/lock"; } 2>/dev/null || fail "$d/lock can't be written"
tries=0
until flock -n 9; do
if alive; then
[ "$epoch" = "$instead" ] || { say "busy $whose"; exit 0; }
kill -KILL "$pid" 2>/dev/null
fi
tries=$((tries + 1))
[ "$tries" -lt 100 ] || { say busy; exit 0; }
sleep 0.02
done
read -r stat </proc/$$/stat
set -- ${stat##*) }
line="$mine $$ ${20}"
printf '%s\n%s\n' "$line" "$about" 2>/dev/null >"$d/holder.new" && mv -f "$d/holder.new" "$d/holder" ||
fail "$d/holder can't be written"
ours() { read -r seen <"$d/holder" && [ "$seen" = "$line" ]; } 2>/dev/null
trap 'ours && rm -f "$d/holder"' EXIT
held= told=
while :; do
if changing; then
[ -n "$held$told" ] || say "waits $(words)"
told=1
elif [ -z "$held" ]; then
held=1
say held
fi
beat=$(exec 9>&- 2>/dev/null; exec timeout "$limit" dd bs=64 count=1) || { say "over expired"; exit 0; }
[ -n "$beat" ] || exit 0
ours || { say "over broken"; exit 0; }
say "beat $beat"
done
"""
)
# A lock whose holder has no name yet was taken a moment ago: hence `until`. The reader of the heartbeat must not
# inherit the lock: it outlives a killed holder.

_GUARD = (
    "d=$1 mine=$2; shift 2; now=; "
    + _ALIVE.replace("\n", " ")
    + "me() { set -- ${stat##*) }; me=$$.${20}; }; read -r stat </proc/$$/stat; me; "
    '{ printf "" >"$d/changes/$me"; } 2>/dev/null && '
    '{ read -r epoch pid start <"$d/holder"; } 2>/dev/null && [ "$epoch" = "$mine" ] && lives "$pid" "$start" || '
    '{ alive && [ "$epoch" != "$mine" ] && now=$whose; printf "meshctl-lock lost %s\\n" "$now" >&2; exit 75; }; '
    'exec "$@"'
)

_SHOW = "d=$1\n" + _ALIVE + r"""alive || exit 0; printf '%s\n' "$epoch" "$whose" """

_BREAK = (
    "d=$1 shown=$2\n"
    + _ALIVE
    + r"""
alive && [ "$epoch" = "$shown" ] || exit 3
kill -KILL "$pid"
flock -w 5 "$d/lock" true
"""
)


def hold(folder: str, epoch: str, seconds: float, holder: Holder, instead: str = "") -> list[str]:
    """Take the lock and hold it until stdin ends or is silent for `seconds`.

    A holder with the epoch `instead` is ended first: our own, on a connection that the host believes to be alive.

    Prints `held`, or `busy HOLDER`, or `failed WHY`; before `held` perhaps `waits COMMAND`: the lock is taken, but that
    command of an earlier holder still runs. Then `beat` and what came on stdin, and at last `over` and why.
    """
    return ["sh", "-c", _HOLD, "sh", folder, epoch, f"{seconds:g}", holder.encode(), instead]


def guard(folder: str, epoch: str) -> tuple[str, ...]:
    """What stands before a command that may only start while `epoch`'s holder lives.

    Otherwise it ends with LOST and says so on stderr, with the holder that there is instead.
    """
    return ("sh", "-c", _GUARD, "sh", folder, epoch)


def lost(status: int, stderr: bytes) -> Holder | str | None:
    """What a guarded command says about the lock: None that it has run, else the new holder, or "" for nobody."""
    if status != LOST:
        return None
    last = stderr.decode(errors="replace").rstrip("\n").rsplit("\n", 1)[-1]
    if not last.startswith(f"{SAYS}lost"):
        return None
    words = last.removeprefix(f"{SAYS}lost").strip()
    return Holder.decode(words) if words else ""


def show(folder: str) -> list[str]:
    """Print epoch and holder, one line each; nothing when no living holder has the lock."""
    return ["sh", "-c", _SHOW, "sh", folder]


def break_off(folder: str, epoch: str) -> list[str]:
    """End the holder with this epoch, and see that the lock is free. Status CHANGED when it is not (any more) there."""
    return ["sh", "-c", _BREAK, "sh", folder, epoch]
