"""The layers of a cluster.

`base` holds the contract and `discovery` finds the roles. The roles themselves live in the top-level `roles/`
folder; in a checkout it is one more place this package looks in, in a wheel it is already here
(`force-include` in pyproject.toml).
"""

from pathlib import Path

_CHECKOUT = Path(__file__).resolve().parents[2] / "roles"
if _CHECKOUT.is_dir():
    __path__.append(str(_CHECKOUT))
