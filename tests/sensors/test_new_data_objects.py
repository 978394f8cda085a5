"""Ticks of `new_data` over a folder that was copied, and over object stores of which one does not answer."""

import shutil
import socket

import dagster as dg
import pytest

from mlops_assets import Folder
from mlops_assets.sources import object_store
from support.local_objects import store  # noqa: F401
from support.ticking import Ticks, keys, pipeline, write


@pytest.mark.parametrize("period", [None, "month"])
def test_a_folder_that_was_copied_to_another_place_asks_for_no_run(tmp_path, period):
    (tmp_path / "landing").mkdir()
    for number in range(3):
        (tmp_path / "landing" / f"{number}.csv").write_text(f"t,x,y\n2011-0{number + 1}-05,1,2\n")
    declared = [Folder(str(tmp_path / place / "*.csv"), period=period, time="t") for place in ("landing", "copy")]
    with dg.instance_for_test() as instance:
        ticks = Ticks(tmp_path, instance, pipeline("bikes", declared[0], time="t"))
        ticks.tick()
        result = ticks.tick()
        assert len(keys(result)) == 3
        ticks.take_in(result)
        assert keys(ticks.tick()) == []
        shutil.copytree(tmp_path / "landing", tmp_path / "copy")
        moved = Ticks(tmp_path, instance, pipeline("bikes", declared[1], time="t"))
        moved.cursor = ticks.cursor
        assert [keys(moved.tick()) for _ in range(3)] == [[]] * 3
        (tmp_path / "copy" / "1.csv").write_text("t,x,y\n2011-02-05,1,3333\n")
        assert [key for _ in range(2) for key in keys(moved.tick())] == (["1"] if period is None else ["2011-02"])


@pytest.mark.promise(8)
@pytest.mark.fault(29)
def test_a_store_that_is_away_is_logged_and_holds_up_no_other_and_its_batches_do_not_vanish(
    tmp_path,
    store,  # noqa: F811
    monkeypatch,
    capfd,
):
    store.put("a.csv", b"x,y\n1,2\n")
    (tmp_path / "landing").mkdir()
    with dg.instance_for_test() as instance, socket.socket() as nobody, monkeypatch.context() as patch:
        ticks = Ticks(
            tmp_path,
            instance,
            pipeline("bikes", Folder(store.url("*.csv"))),
            pipeline("local", Folder(str(tmp_path / "landing" / "*.csv"))),
        )
        ticks.tick()
        ticks.take_in(ticks.tick())
        nobody.bind(("127.0.0.1", 0))  # a port that nobody listens at
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{nobody.getsockname()[1]}")
        from mlops_assets.file_systems import file_system

        patch.setattr(object_store, "file_system", file_system)
        write(tmp_path / "landing", "new.csv")
        results = [ticks.tick(), ticks.tick()]
        assert [(keys(result, "local"), result.asset_events) for result in results] == [([], []), (["new"], [])]
        assert "bikes: SourceUnavailableError: Folder 's3://bucket/*.csv': s3://bucket does not give it" in (
            capfd.readouterr().err
        )
    assert keys(ticks.tick(), "bikes") == []
