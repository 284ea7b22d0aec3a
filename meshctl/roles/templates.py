"""Templates of roles: strict, so that a misspelt name is an error and never an empty line on a host."""

from jinja2 import Environment, PackageLoader, StrictUndefined


def environment(package: str) -> Environment:
    """The templates of a role package: `environment(__package__).get_template("frr.conf.j2").render(…)`.

    Blocks leave no empty lines behind, and the last newline is kept.
    """
    return Environment(
        loader=PackageLoader(package),
        autoescape=False,  # noqa: S701  (configuration files, not HTML; escaping would corrupt them)
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
