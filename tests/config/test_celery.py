import pytest

from config import celery


def test_an_older_celery_is_refused_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(celery, "version", lambda name: "5.6.3")
    with pytest.raises(RuntimeError, match=r"celery 5\.6\.3 loses wake-ups; install celery 5\.7"):
        celery.refuse_older("celery")


def test_a_newer_one_is_welcome(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(celery, "version", lambda name: "6.0.0rc1")
    celery.refuse_older("kombu")


def test_nothing_but_json_is_accepted_and_no_result_is_kept() -> None:
    assert celery.app.conf.accept_content == ["json"]
    assert celery.app.conf.result_backend is None


def test_no_connection_can_be_waited_on_for_ever() -> None:
    options = celery.app.conf.broker_transport_options
    assert {"socket_timeout", "socket_connect_timeout", "health_check_interval"} <= set(options)
