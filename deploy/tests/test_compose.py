"""docker-compose.yml and docker-compose.single.yml, as docker-compose itself reads them."""

import os
import re

import pytest
import yaml

import tree

SECRETS = {
    "NATS_PASSWORD": "nats1e5",
    "POSTGRES_PASSWORD": "postgres1e5",
    "MEILISEARCH_KEY": "meilisearch-0123456789",
    "VERBATIM_SECRET": "0123456789abcdef0123456789abcdef",
    "VERBATIM_WEB__PASSWORD": "web1e5",
}
SINGLE = "docker-compose.single.yml"
ROLES = {"gateway", "recorder", "indexer", "web", "migrate"}
NETWORKS = {"nats": "capture", "postgres": "engines", "meilisearch": "engines"}
ENGINES = set(NETWORKS)


def config(tmp_path, secrets, file="docker-compose.yml"):
    # An empty .env of its own: one in the working directory would fill in what is missing.
    empty = tmp_path / "none.env"
    empty.touch()
    return tree.run(
        *("docker-compose", "--env-file", empty, "--file", file, "config"),
        environment={"PATH": os.environ["PATH"], **secrets},
    )


@pytest.fixture(scope="module")
def services(tmp_path_factory):
    return yaml.safe_load(config(tmp_path_factory.mktemp("compose"), SECRETS))["services"]


def mib(text) -> int:
    number, unit = re.match(r"(\d+)(M|G)", text).groups()
    return int(number) * (1024 if unit == "G" else 1)


def of_profile(services, profile):
    return {name for name, service in services.items() if profile in service.get("profiles", [])}


def test_each_secret_is_asked_for(tmp_path):
    for missing in SECRETS:
        with pytest.raises(AssertionError, match=f"set {missing} in .env"):
            config(tmp_path, {name: value for name, value in SECRETS.items() if name != missing})


def test_one_process_needs_no_secret_but_the_dashboards(services, tmp_path):
    own = {"VERBATIM_WEB__PASSWORD": SECRETS["VERBATIM_WEB__PASSWORD"]}
    alone = yaml.safe_load(config(tmp_path, own, SINGLE))["services"]
    # The profile's is that one, in a network and of a profile of the large file.
    listed = {name: value for name, value in services["single"].items() if name not in {"networks", "profiles"}}
    assert alone == {"single": listed}
    with pytest.raises(AssertionError, match=r"set VERBATIM_WEB__PASSWORD in \.env"):
        config(tmp_path, {}, SINGLE)


def test_one_process_is_told_the_keys_that_gateways_are_told(services):
    ours = services["gateway"]["environment"].items()
    keys = {name: value for name, value in ours if name.endswith("API_KEY") or name.startswith("VERBATIM_DEFAULT")}
    assert len(keys) > 10 and keys.items() <= services["single"]["environment"].items()


def test_the_example_of_an_environment_names_every_variable():
    example = (tree.ROOT / ".env.example").read_text()
    files = "".join((tree.ROOT / file).read_text() for file in ("docker-compose.yml", SINGLE))
    for variable in re.findall(r"\$\{(\w+)", files):
        if variable not in {"VERBATIM_IMAGE", "VERBATIM_GATEWAY__PUBLIC_URL", "VERBATIM_WEB__PUBLIC_URL"}:
            assert re.search(rf"^(# )?{variable}=", example, re.MULTILINE), variable


def test_the_profiles_are_one_process_one_of_each_and_several(services):
    usual = {name for name, service in services.items() if not service.get("profiles")}
    assert usual == ROLES | ENGINES
    assert of_profile(services, "single") == {"single"}
    assert of_profile(services, "scaled") == {"gateway-2", "gateway-3", "recorder-2", "indexer-2", "balancer"}


def test_who_is_depended_on_runs_wherever_its_dependents_do(services):
    for name, service in services.items():
        for needed in service.get("depends_on", {}):
            profiles = services[needed].get("profiles", [])
            assert not profiles or set(profiles) >= set(service.get("profiles", [])), f"{name} needs {needed}"


def test_commands_exist(services):
    known = tree.commands()
    for name, service in services.items():
        if service["image"] == "verbatim:local" and name != "single":
            assert service["command"][0] in known, name


def test_settings_exist(services):
    for name, service in services.items():
        assert not tree.unknown_settings(service.get("environment", {})), name


def test_the_binary_understands_every_environment(services, tmp_path):
    if not tree.BINARY:
        pytest.skip("needs the binary: ./test without an argument builds it")
    for service in services.values():
        if service["image"] == "verbatim:local":
            image = {"VERBATIM_GATEWAY__ALLOW_PASSTHROUGH_KEYS": "true"}
            tree.check_configuration({**image, **service["environment"]}, tmp_path)


def test_a_role_is_told_no_more_secrets_than_it_needs(services):
    allowed = {
        "gateway": {"NATS_PASSWORD", "VERBATIM_SECRET"},
        "recorder": {"NATS_PASSWORD", "POSTGRES_PASSWORD"},
        "indexer": {"POSTGRES_PASSWORD", "MEILISEARCH_KEY"},
        "migrate": {"NATS_PASSWORD", "POSTGRES_PASSWORD"},
        "web": set(SECRETS),
    }
    for role, expected in allowed.items():
        told = " ".join(str(value) for value in services[role]["environment"].values())
        assert {name for name, value in SECRETS.items() if value in told} == expected, role


def test_each_runs_bounded_checked_and_again(services):
    for name, service in services.items():
        limits = service["deploy"]["resources"]["limits"]
        assert limits["memory"] and limits["cpus"], name
        assert service["logging"]["options"]["max-size"], name
        if name == "migrate":
            assert service["restart"] == "no"
        else:
            assert service["restart"] == "unless-stopped", name
            # That of `single` is the image's.
            assert name == "single" or service["healthcheck"]["test"], name


def test_who_holds_bodies_in_memory_has_room_for_several_of_the_longest(services):
    longest = services["gateway"]["environment"]["VERBATIM_GATEWAY__MAX_RECORDED_BODY_BYTES"]
    for name in ("recorder", "recorder-2", "indexer", "indexer-2", "web", "single"):
        assert 6 * mib(longest) < mib(services[name]["deploy"]["resources"]["limits"]["memory"]), name


def test_what_is_ours_can_write_nothing_but_its_data(services):
    for name, service in services.items():
        if service["image"] == "verbatim:local":
            assert service["read_only"] and service["cap_drop"] == ["ALL"], name
            mounted = [volume.split(":")[1] for volume in service.get("volumes", [])]
            assert mounted + service["tmpfs"], name
            assert any(place.split(":")[0] == "/data" for place in mounted + service["tmpfs"]), name


def test_no_two_gateways_share_a_spool(services):
    volumes = [tuple(services[name]["volumes"]) for name in ("gateway", "gateway-2", "gateway-3", "single")]
    assert len(set(volumes)) == 4


def test_engines_are_reached_by_the_roles_alone(services):
    for name in ENGINES:
        assert list(services[name]["networks"]) == [NETWORKS[name]] and not services[name].get("ports"), name
    for name, service in services.items():
        for port in service.get("ports", []):
            assert str(port).startswith("127.0.0.1:"), f"{name} is open to everybody"


def test_a_role_reaches_those_engines_alone_whose_address_it_is_told(services, tmp_path):
    networks = yaml.safe_load(config(tmp_path, SECRETS))["networks"]
    assert all(networks[name]["internal"] for name in set(NETWORKS.values()))
    for name, service in services.items():
        if service["image"] == "verbatim:local":
            told = {NETWORKS[engine] for engine in ENGINES if f"VERBATIM_{engine.upper()}__URL" in service["environment"]}
            assert set(service["networks"]) - {"outside"} == told, name
    assert list(services["balancer"]["networks"]) == ["outside"]


def test_engines_have_no_capability_that_they_do_not_need(services):
    for name in ENGINES:
        assert services[name]["cap_drop"] == ["ALL"], name
        assert services[name]["security_opt"] == ["no-new-privileges:true"], name
    added = {name: set(services[name].get("cap_add", [])) for name in ENGINES}
    becoming = {"CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"}
    assert added == {"nats": set(), "meilisearch": set(), "postgres": becoming}
    assert services["nats"]["read_only"]


def test_nats_gives_memory_back_before_its_limit(services):
    nats = services["nats"]
    assert mib(nats["environment"]["GOMEMLIMIT"]) < 0.9 * mib(nats["deploy"]["resources"]["limits"]["memory"])


def test_images_have_versions(services):
    for name, service in services.items():
        assert ":" in service["image"] and not service["image"].endswith(":latest"), name
