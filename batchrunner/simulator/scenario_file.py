"""Read a scenario file."""

from pathlib import Path

import yaml

from batchrunner.simulator.scenario import Scenario


class _Loader(yaml.SafeLoader):
    """YAML in which `on` is a word: YAML 1.1 reads the rules' own `on:` as the key True."""


_Loader.yaml_implicit_resolvers = {
    letter: [entry for entry in entries if entry[0] != "tag:yaml.org,2002:bool" or letter in "tTfF"]
    for letter, entries in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def load_scenario(path: Path | str | None) -> Scenario:
    """Read a YAML scenario; None and an empty file are the ordinary night.

    Raises ValueError that says what is wrong, where, and what to do.
    """
    if path is None:
        return Scenario()
    path = Path(path)
    try:
        value = yaml.load(path.read_text(encoding="utf-8-sig"), Loader=_Loader)  # noqa: S506 a SafeLoader
    except OSError as error:
        raise ValueError(f"{path}: cannot be read: {error.strerror}; give a scenario that exists") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not a YAML file in UTF-8: {error}; correct it there") from error
    return Scenario.from_dict(value, str(path))
