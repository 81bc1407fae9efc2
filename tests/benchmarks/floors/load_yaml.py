"""`load_yaml.py FILE`: parse a YAML file with the quickest loader that PyYAML has."""

import sys
from pathlib import Path

import yaml

if __name__ == "__main__":
    yaml.load(Path(sys.argv[1]).read_bytes(), yaml.CSafeLoader)
