"""One folder, one demo: locks, secrets, cleaning up."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from include.local.clean import clean
from include.local.instance import PASSWORD_VARIABLE, take_instance

HOLD = (
    "import sys, time; from pathlib import Path; from include.local.instance import take_instance\n"
    "with take_instance(Path(sys.argv[1])) as instance:\n"
    "    print(instance.folder, flush=True); time.sleep(600)\n"
)


def test_a_second_demo_takes_the_folder_beside(tmp_path: Path) -> None:
    home = tmp_path / "demo"
    with take_instance(home) as one, take_instance(home) as two:
        assert [one.folder, two.folder] == [home, tmp_path / "demo-2"]
        assert one.secrets.fernet_key != two.secrets.fernet_key
    with take_instance(home) as again:
        assert again.folder == home
        assert again.secrets == one.secrets, (
            "a later start must be able to read what the first one has encrypted"
        )


def test_a_killed_demo_frees_its_folder(tmp_path: Path) -> None:
    home = tmp_path / "demo"
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(home)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline().strip() == str(home)
    with take_instance(home) as beside:
        assert beside.folder != home
    holder.kill()
    holder.wait()
    with take_instance(home) as again:
        assert again.folder == home


def test_secrets_are_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PASSWORD_VARIABLE, "chosen")
    with take_instance(tmp_path / "demo") as instance:
        assert instance.secrets.login == "chosen"
        assert stat.S_IMODE((instance.folder / "secrets.json").stat().st_mode) == 0o600
        assert instance.secrets.product_token not in repr(instance)
    monkeypatch.setenv(PASSWORD_VARIABLE, "another")
    with take_instance(tmp_path / "demo") as instance:
        assert instance.secrets.login == "chosen", "Airflow's database knows the first one"


def test_clean_leaves_what_runs(tmp_path: Path) -> None:
    home = tmp_path / "demo"
    with take_instance(home) as one:
        with take_instance(home) as two:
            pass
        (tmp_path / "demo-notes").mkdir()
        assert clean(home) == [one.folder]
        assert not two.folder.exists()
        assert (one.folder / "secrets.json").exists()
    assert clean(home) == []
    assert [path.name for path in tmp_path.iterdir()] == ["demo-notes"]
