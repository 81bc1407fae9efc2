"""Two accounts of the simulated gateway, and the file that names their keys."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.harness.workspace import Workspace

KEYS = {"first": "sk-canary-first-81c2", "second": "sk-canary-second-5e0b"}
SCENARIO: Mapping[str, Any] = {
    "keys": {KEYS["first"]: {"name": "first"}, KEYS["second"]: {"name": "second", "user": "second"}},
    "generation_seconds": 60,
}
REVOKED = SCENARIO | {"keys": SCENARIO["keys"] | {KEYS["first"]: {"name": "first", "valid": False}}}


def give(desk: Workspace, *names: str, **fields: Mapping[str, Any]) -> Path:
    """Write the accounts file for these accounts, in this order; the keys themselves are elsewhere."""
    listed = []
    for name in names or KEYS:
        file = desk.folder.parent / f"{name}.key"
        file.write_text(KEYS[name])
        file.chmod(0o600)
        listed.append({"name": name, "key_file": str(file), "concurrency": 2} | dict(fields.get(name, {})))
    path = desk.folder / "accounts.yaml"
    path.write_text(json.dumps({"accounts": listed}))
    path.chmod(0o600)
    return path


def arguments(desk: Workspace) -> list[str]:
    """`run` with the accounts file."""
    return desk.run_arguments("--accounts", "accounts.yaml")


def run(desk: Workspace) -> Any:
    """Run the manifest with the accounts file, and without any other key."""
    return desk.do(*arguments(desk), key=None)


def by_account(sim: Any) -> Counter[str]:
    """How many submissions of each account the gateway has charged."""
    return Counter(charge["key"] for charge in sim.charges())


def check(desk: Workspace, ended: Any, code: int) -> None:
    """Check what every run promises, and that no key of an account is anywhere."""
    desk.check(ended, code)
    for key in KEYS.values():
        desk.check_key(key)


def check_rows(desk: Workspace, sim: Any) -> None:
    """Check that each row of a paid task names the account that the gateway has charged."""
    charged = {charge["remote_id"]: charge["key"] for charge in sim.charges()}
    rows = {row["remote_id"]: row["account"] for row in desk.rows() if row["remote_id"]}
    assert rows == {remote_id: charged[remote_id] for remote_id in rows}
