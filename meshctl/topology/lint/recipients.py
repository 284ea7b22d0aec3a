"""Who may open secrets."""

from collections.abc import Iterator

from meshctl.secrets import recipient
from meshctl.topology.lint.rules import Hit, Severity, rule
from meshctl.topology.model import Topology


@rule(Severity.ERROR)
def age_recipient(topology: Topology) -> Iterator[Hit]:
    """Whom the CA's key is encrypted to has a valid public key.

    A public key with a typing mistake fails its checksum; encrypted to another one, the key would be lost.
    """
    for i, text in enumerate(topology.secrets.age_recipients):
        try:
            recipient(text)
        except ValueError as error:
            yield ("secrets", "age_recipients", i), str(error)
