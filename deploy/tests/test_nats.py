"""The configuration of NATS, as Debian's nats-server reads it."""

import re
import shutil

import pytest
import yaml

import tree

TEXT = (tree.DEPLOY / "nats/nats.conf").read_text()
SERVER = shutil.which("nats-server", path="/usr/sbin:/usr/bin:/usr/local/bin:/bin")


def check(tmp_path, password):
    # Debian's 2.9 does not know this one, which came with 2.10.
    text, known = re.subn(r"\n  sync_interval: \w+\n", "\n", TEXT)
    assert known == 1
    file = tmp_path / "nats.conf"
    file.write_text(text.replace("/data", str(tmp_path)))
    return tree.run(SERVER, "-t", "-c", file, environment={"NATS_PASSWORD": password})


@pytest.mark.parametrize("password", ["s3cret", "123456", "1e5", "5GB", "true"])
def test_it_is_valid_whatever_the_password_looks_like(tmp_path, password):
    check(tmp_path, f'"{password}"')


def test_a_password_without_quotes_would_be_taken_for_a_number(tmp_path):
    with pytest.raises(AssertionError, match="NATS_PASSWORD|interface conversion"):
        check(tmp_path, "1e5")


def test_who_starts_it_quotes_the_password():
    compose = yaml.safe_load((tree.ROOT / "docker-compose.yml").read_text())
    assert re.fullmatch(r'"\$\{NATS_PASSWORD:.*\}"', compose["services"]["nats"]["environment"]["NATS_PASSWORD"])
    kubernetes = (tree.DEPLOY / "kubernetes/overlays/small/nats.yaml").read_text()
    assert """- name: NATS_PASSWORD\n              value: '"$(PASSWORD)"'""" in kubernetes


def test_the_log_and_dead_letters_fit_into_what_it_may_store():
    store = int(re.search(r"max_file_store: (\d+)GB", TEXT)[1])
    compose = yaml.safe_load((tree.ROOT / "docker-compose.yml").read_text())
    log = compose["x-capture-log"]["VERBATIM_CAPTURE_LOG__MAX_BYTES"]
    assert int(log.removesuffix("GiB")) * 1.1 < store
