"""Where the archive is: the order of precedence, and settings that cannot be wrong silently."""

from pathlib import Path

import platformdirs
import pytest

from qarchive import config
from qarchive.errors import BadInput


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setattr(config, "user_config_path", lambda name: tmp_path / "config" / name)
    monkeypatch.setattr(config, "user_data_path", lambda name: tmp_path / "data" / name)
    monkeypatch.delenv("QARCHIVE", raising=False)
    work = tmp_path / "work" / "deep"
    work.mkdir(parents=True)
    monkeypatch.chdir(work)
    return tmp_path


def test_without_anything_it_is_a_folder_for_the_users_data(home):
    assert config.locate() == (home / "data" / "qarchive" / "archive", "the default")


def test_each_step_of_the_order_beats_the_next(home, monkeypatch):
    config.write("archive", str(home / "configured"))
    assert config.locate() == (home / "configured", str(config.config_file()))
    (home / "work" / ".qarchive").mkdir()
    assert config.locate() == (home / "work" / ".qarchive", "the nearest .qarchive/")
    Path(".qarchive").mkdir()
    assert config.locate()[0] == home / "work" / "deep" / ".qarchive"
    monkeypatch.setenv("QARCHIVE", str(home / "named"))
    assert config.locate() == (home / "named", "$QARCHIVE")
    assert config.locate("given") == (Path("given"), "as given")


def test_a_tilde_is_the_home_folder(monkeypatch, home):
    monkeypatch.setenv("HOME", str(home))
    assert config.locate("~/lab")[0] == home / "lab"


def test_a_setting_comes_back_as_it_was_written_and_goes(home):
    config.write("archive", 'C:\\odd "name"\n\u00e4')
    config.write("on_error", "raise")
    assert config.read() == {"archive": 'C:\\odd "name"\n\u00e4', "on_error": "raise"}
    config.write("archive", None)
    assert config.read() == {"on_error": "raise"}


def test_a_setting_that_there_is_not():
    with pytest.raises(BadInput) as caught:
        config.write("colour", "red")
    assert str(caught.value) == (f"the setting 'colour': does not exist; the settings are {', '.join(config.SETTINGS)}")


def test_a_value_that_it_cannot_have():
    with pytest.raises(BadInput) as caught:
        config.write("on_error", "ignore")
    assert str(caught.value) == "the setting on_error: cannot be 'ignore'; it is warn or raise"


def test_a_config_file_that_is_no_toml(home):
    config.config_file().parent.mkdir(parents=True)
    config.config_file().write_text("archive = ")
    with pytest.raises(BadInput) as caught:
        config.read()
    assert str(caught.value) == f"{config.config_file()}: is no TOML (Invalid value (at end of document)); mend or delete it"


def test_the_default_is_the_data_folder_and_not_the_cache():
    assert platformdirs.user_data_path("qarchive") != platformdirs.user_cache_path("qarchive")
