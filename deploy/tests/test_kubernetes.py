"""The Kustomize overlays, as Debian's kubectl renders them."""

import copy
import re
import urllib.parse

import kubernetes_validate
import pytest
import yaml

import tree

# What the rendered objects are held against: the newest and the oldest whose shapes the validator knows.
VERSIONS = ["1.37", "1.25"]
OVERLAYS = ["small", "scaled"]
ROLES = {"gateway", "recorder", "indexer", "web", "migrate"}
PORTS = {
    4222: "nats",
    5432: "postgres",
    7700: "meilisearch",
    8080: "gateway",
    8081: "web",
    8082: "recorder",
    8083: "indexer",
    8084: "gateway",
    8085: "web",
    8222: "nats",
}
# Where an engine listens, what tells a role of it, and what else the role needs to be let in.
ENGINES = {
    4222: ("VERBATIM_NATS__URL", {"VERBATIM_NATS__USER", "VERBATIM_NATS__PASSWORD"}),
    5432: ("VERBATIM_POSTGRES__URL", set()),
    7700: ("VERBATIM_MEILISEARCH__URL", {"VERBATIM_MEILISEARCH__API_KEY"}),
}
KUSTOMIZATIONS = tree.DEPLOY / "kubernetes"
# How every secret in the example begins; the binary refuses those.
PLACEHOLDER = "CHANGE"


@pytest.fixture(scope="module", params=OVERLAYS)
def overlay(request):
    return request.param


@pytest.fixture(scope="module")
def objects(overlay):
    rendered = tree.run(tree.KUBECTL, "kustomize", KUSTOMIZATIONS / "overlays" / overlay)
    return list(yaml.safe_load_all(rendered))


def secrets() -> list[dict]:
    return list(yaml.safe_load_all((KUSTOMIZATIONS / "secret.example.yaml").read_text()))


def of_kind(objects, *kinds):
    return [one for one in objects if one["kind"] in kinds]


def workloads(objects):
    return of_kind(objects, "Deployment", "StatefulSet", "Job")


def name_of(one) -> str:
    return one["metadata"]["name"]


def pod_of(workload) -> dict:
    return workload["spec"]["template"]


def labels_of(workload) -> dict:
    return pod_of(workload)["metadata"]["labels"]


def container_of(workload) -> dict:
    (container,) = pod_of(workload)["spec"]["containers"]
    return container


def is_role(workload) -> bool:
    return labels_of(workload)["app.kubernetes.io/name"] == "verbatim"


def role_of(workload) -> str:
    return labels_of(workload)["app.kubernetes.io/component" if is_role(workload) else "app.kubernetes.io/name"]


def selects(selector, labels) -> bool:
    operators = {"In": lambda key, values: labels.get(key) in values}
    named = all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())
    return named and all(
        operators[one["operator"]](one["key"], one["values"]) for one in selector.get("matchExpressions", [])
    )


def changed(values) -> dict[str, str]:
    return {name: value.replace(PLACEHOLDER, "changed") for name, value in values.items()}


def environment_of(workload, objects) -> dict[str, str]:
    """What a role's process finds in its environment, secrets as in the example but changed."""
    maps = {name_of(one): one["data"] for one in of_kind(objects, "ConfigMap")}
    kept = {name_of(one): changed(one["stringData"]) for one in secrets()}
    environment = {}
    for source in container_of(workload).get("envFrom", []):
        if "configMapRef" in source:
            environment |= maps[source["configMapRef"]["name"]]
        else:
            environment |= kept[source["secretRef"]["name"]]
    for one in container_of(workload).get("env", []):
        reference = one.get("valueFrom", {}).get("secretKeyRef")
        environment[one["name"]] = kept[reference["name"]][reference["key"]] if reference else one["value"]
    return environment


@pytest.mark.parametrize("version", VERSIONS)
def test_every_object_is_valid(objects, version):
    for one in [*objects, *secrets()]:
        kubernetes_validate.validate(one, version, strict=True)


def test_the_validator_refuses_what_is_misspelt(objects):
    (broken,) = [one for one in objects if name_of(one) == "verbatim-recorder" and one["kind"] == "Deployment"]
    broken = copy.deepcopy(broken)
    container_of(broken)["readynessProbe"] = container_of(broken).pop("readinessProbe")
    with pytest.raises(kubernetes_validate.ValidationError, match="readynessProbe"):
        kubernetes_validate.validate(broken, VERSIONS[0], strict=True)


def test_everything_is_in_one_namespace_and_there_once(objects):
    assert all(one["metadata"].get("namespace") == "verbatim" for one in objects if one["kind"] != "Namespace")
    names = [(one["kind"], name_of(one)) for one in objects]
    assert len(names) == len(set(names))
    assert {role_of(one) for one in workloads(objects) if is_role(one)} == ROLES


def test_engines_run_beside_the_roles_in_the_small_one_only(overlay, objects):
    engines = {name_of(one) for one in workloads(objects) if not is_role(one)}
    assert engines == ({"nats", "postgres", "meilisearch"} if overlay == "small" else set())


def test_every_secret_that_is_asked_for_is_in_the_example_and_none_is_left_over():
    asked = set()
    for overlay in OVERLAYS:
        for one in workloads(
            list(yaml.safe_load_all(tree.run(tree.KUBECTL, "kustomize", KUSTOMIZATIONS / "overlays" / overlay)))
        ):
            for variable in container_of(one).get("env", []):
                if reference := variable.get("valueFrom", {}).get("secretKeyRef"):
                    asked.add((reference["name"], reference["key"]))
    given = {(name_of(one), key) for one in secrets() for key in one["stringData"]}
    assert asked == {pair for pair in given if pair[0] == "verbatim"}


def test_commands_and_settings_exist(objects):
    for one in workloads(objects):
        if is_role(one):
            assert container_of(one)["args"][0] in tree.commands(), name_of(one)
            assert not tree.unknown_settings(environment_of(one, objects)), name_of(one)


def test_the_binary_understands_every_environment(objects, tmp_path):
    if not tree.BINARY:
        pytest.skip("needs the binary: ./test without an argument builds it")
    for one in workloads(objects):
        if is_role(one):
            tree.check_configuration(environment_of(one, objects), tmp_path)


def test_a_role_is_told_no_more_secrets_than_it_needs(objects):
    allowed = {
        "gateway": {"VERBATIM_SECRET", "VERBATIM_NATS__PASSWORD", "OPENAI_API_KEY"},
        "recorder": {"VERBATIM_NATS__PASSWORD", "VERBATIM_POSTGRES__URL"},
        "indexer": {"VERBATIM_POSTGRES__URL", "VERBATIM_MEILISEARCH__API_KEY"},
        "migrate": {"VERBATIM_NATS__PASSWORD", "VERBATIM_POSTGRES__URL"},
    }
    all_keys = {key for one in secrets() for key in one["stringData"]}
    for one in workloads(objects):
        if role_of(one) in allowed:
            assert set(environment_of(one, objects)) & all_keys == allowed[role_of(one)], name_of(one)


def test_probes_and_services_lead_somewhere(objects):
    for one in workloads(objects):
        container = container_of(one)
        ports = {port["name"]: port["containerPort"] for port in container.get("ports", [])}
        for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
            if one["kind"] != "Job":
                probe = container[kind]
                assert "exec" in probe or probe["httpGet"]["port"] in ports, f"{name_of(one)}: {kind}"
        if is_role(one) and one["kind"] != "Job":
            listens = [value for name, value in environment_of(one, objects).items() if name.endswith("LISTEN")]
            assert {f"0.0.0.0:{port}" for port in ports.values()} == set(listens), name_of(one)
    for service in of_kind(objects, "Service"):
        chosen = [
            one for one in workloads(objects) if selects({"matchLabels": service["spec"]["selector"]}, labels_of(one))
        ]
        assert len(chosen) == 1, name_of(service)
        names = {port["name"] for port in container_of(chosen[0])["ports"]}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= names, name_of(service)
    for one in of_kind(objects, "StatefulSet"):
        assert one["spec"]["serviceName"] in {name_of(service) for service in of_kind(objects, "Service")}


def test_whether_a_role_lives_is_asked_where_neither_callers_nor_people_are(objects):
    public = {
        port["targetPort"]
        for service in of_kind(objects, "Service")
        if service["spec"]["selector"]["app.kubernetes.io/name"] == "verbatim"
        for port in service["spec"]["ports"]
    }
    assert public == {"http"}
    for one in workloads(objects):
        if is_role(one) and one["kind"] != "Job":
            container = container_of(one)
            asked = {container[kind]["httpGet"]["port"] for kind in ("startupProbe", "livenessProbe")}
            assert len(asked) == 1 and not asked & public, name_of(one)
            (port,) = [given for given in container["ports"] if given["name"] in asked]
            assert pod_of(one)["metadata"]["annotations"]["prometheus.io/port"] == str(port["containerPort"])


def test_selectors_choose_their_own_pods(objects):
    for one in of_kind(objects, "Deployment", "StatefulSet"):
        chosen = [name_of(other) for other in workloads(objects) if selects(one["spec"]["selector"], labels_of(other))]
        assert chosen == [name_of(one)]
    for one in of_kind(objects, "PodDisruptionBudget"):
        chosen = [name_of(other) for other in workloads(objects) if selects(one["spec"]["selector"], labels_of(other))]
        assert chosen == [name_of(one)]
        # More would not be stopped by it, less would hold up a node with a single replica.
        assert one["spec"]["maxUnavailable"] == 1


def test_every_pod_is_restricted_and_bounded(objects):
    for one in workloads(objects):
        pod, container = pod_of(one)["spec"], container_of(one)
        assert pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["runAsUser"] > 0
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False and pod["enableServiceLinks"] is False
        security = container["securityContext"]
        assert security["readOnlyRootFilesystem"] and not security["allowPrivilegeEscalation"]
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert {"cpu", "memory"} <= set(container["resources"]["requests"]) and container["resources"]["limits"][
            "memory"
        ]
        assert re.search(r":[\w.-]+$", container["image"]) and not container["image"].endswith(":latest")
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        given = {volume["name"] for volume in pod.get("volumes", [])}
        given |= {claim["metadata"]["name"] for claim in one["spec"].get("volumeClaimTemplates", [])}
        assert mounted == given, name_of(one)


def test_a_gateway_keeps_its_spool_and_has_the_time_to_end_its_calls(objects):
    (gateway,) = [one for one in workloads(objects) if role_of(one) == "gateway"]
    environment = environment_of(gateway, objects)
    assert gateway["kind"] == "StatefulSet"
    (claim,) = gateway["spec"]["volumeClaimTemplates"]
    assert {"name": claim["metadata"]["name"], "mountPath": environment["VERBATIM_DATA_DIR"]} in container_of(gateway)[
        "volumeMounts"
    ]
    storage = int(claim["spec"]["resources"]["requests"]["storage"].removesuffix("Gi"))
    assert int(environment["VERBATIM_GATEWAY__SPOOL__MAX_BYTES"].removesuffix("GiB")) < storage
    drain = 60 * int(environment["VERBATIM_GATEWAY__TIMEOUTS__DRAIN"].removesuffix("m"))
    pause = int(container_of(gateway)["lifecycle"]["preStop"]["exec"]["command"][1])
    assert drain + pause + 30 < pod_of(gateway)["spec"]["terminationGracePeriodSeconds"]


def test_who_holds_bodies_in_memory_has_room_for_several_of_the_longest(objects):
    def mib(text):
        number, unit = re.match(r"(\d+)(M|G)i", text).groups()
        return int(number) * (1024 if unit == "G" else 1)

    for one in workloads(objects):
        if role_of(one) in {"recorder", "indexer", "web"}:
            longest = environment_of(one, objects)["VERBATIM_GATEWAY__MAX_RECORDED_BODY_BYTES"]
            assert 6 * mib(longest) < mib(container_of(one)["resources"]["limits"]["memory"]), name_of(one)


def test_autoscalers_have_what_they_scale_to_themselves(overlay, objects):
    scalers = of_kind(objects, "HorizontalPodAutoscaler")
    assert len(scalers) == (2 if overlay == "scaled" else 0)
    for scaler in scalers:
        target = scaler["spec"]["scaleTargetRef"]
        (one,) = [one for one in workloads(objects) if (one["kind"], name_of(one)) == (target["kind"], target["name"])]
        assert "replicas" not in one["spec"]
        for metric in scaler["spec"]["metrics"]:
            if metric["type"] == "Resource":
                assert metric["resource"]["name"] in container_of(one)["resources"]["requests"]


def opens(objects, direction, one, port, namespace, labels) -> bool:
    """Whether a pod's policies let it be reached from (`Ingress`), or reach (`Egress`), a pod with these labels."""
    chosen = [
        policy["spec"]
        for policy in of_kind(objects, "NetworkPolicy")
        if direction in policy["spec"]["policyTypes"] and selects(policy["spec"]["podSelector"], labels_of(one))
    ]
    assert chosen, f"nothing holds back {name_of(one)}"
    for rule in (rule for spec in chosen for rule in spec.get(direction.lower(), [])):
        if any(given["port"] == port for given in rule["ports"]):
            for peer in rule["from" if direction == "Ingress" else "to"]:
                where = peer.get("namespaceSelector", {"matchLabels": {"kubernetes.io/metadata.name": "verbatim"}})
                named = selects(where, {"kubernetes.io/metadata.name": namespace})
                if "ipBlock" not in peer and named and selects(peer.get("podSelector", {}), labels):
                    return True
    return False


def allowed(objects, source, target, port) -> bool:
    """Whether policies let one pod open a connection to another."""
    return opens(objects, "Egress", source, port, "verbatim", labels_of(target)) and opens(
        objects, "Ingress", target, port, "verbatim", labels_of(source)
    )


def test_pods_talk_to_whom_they_need_and_to_nobody_else(overlay, objects):
    by_role = {role_of(one): one for one in workloads(objects)}
    found = {
        (source, target)
        for source in by_role
        for port, target in PORTS.items()
        if target in by_role and source != target and allowed(objects, by_role[source], by_role[target], port)
    }
    users = {
        "nats": {"gateway", "migrate", "recorder", "web"},
        "postgres": {"migrate", "recorder", "indexer", "web"},
        "meilisearch": {"indexer", "web"},
    }
    expected = {(user, engine) for engine, names in users.items() for user in names} if overlay == "small" else set()
    assert found == expected


def reaches_elsewhere(objects, one, port) -> bool:
    """Whether policies let a pod open connections to this port outside of the cluster."""
    rules = [
        rule
        for policy in of_kind(objects, "NetworkPolicy")
        if selects(policy["spec"]["podSelector"], labels_of(one))
        for rule in policy["spec"].get("egress", [])
    ]
    return any(
        "ipBlock" in peer for rule in rules if any(given["port"] == port for given in rule["ports"]) for peer in rule["to"]
    )


def test_a_role_is_told_of_those_engines_alone_that_it_reaches_and_how_to_be_let_in(overlay, objects):
    by_role = {role_of(one): one for one in workloads(objects)}
    for role in ROLES:
        one, environment = by_role[role], environment_of(by_role[role], objects)
        for port, (address, needed) in ENGINES.items():
            if overlay == "small":
                reached = allowed(objects, one, by_role[PORTS[port]], port)
            else:
                reached = reaches_elsewhere(objects, one, port)
            assert (address in environment) == reached, f"{role}: {address}"
            if reached:
                assert needed <= set(environment), f"{role}: {address}"
                assert all(environment[name] for name in needed), f"{role}: {address}"
    # PostgreSQL's password is in its address.
    told = [environment_of(by_role[role], objects).get("VERBATIM_POSTGRES__URL") for role in ROLES]
    assert all(urllib.parse.urlsplit(address).password for address in told if address)


def test_others_reach_the_relay_and_the_dashboard_and_prometheus_the_metrics_too(objects):
    by_role = {role_of(one): one for one in workloads(objects)}

    def reached(namespace):
        return {
            port
            for port, role in PORTS.items()
            if role in by_role and opens(objects, "Ingress", by_role[role], port, namespace, {"app": "somebody"})
        }

    assert reached("somewhere") == {8080, 8081}
    assert reached("monitoring") == {8080, 8081, 8082, 8083, 8084, 8085}


def test_gateways_reach_providers_but_no_private_network(objects):
    (policy,) = [one for one in of_kind(objects, "NetworkPolicy") if name_of(one) == "verbatim-providers"]
    (rule,) = policy["spec"]["egress"]
    assert [port["port"] for port in rule["ports"]] == [443]
    kept_out = {network for peer in rule["to"] for network in peer["ipBlock"]["except"]}
    assert {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "fc00::/7", "fe80::/10"} <= kept_out
