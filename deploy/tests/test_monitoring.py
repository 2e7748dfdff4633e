"""Scraping, alerts and the dashboard: valid for promtool, and about metrics that the source has."""

import json
import re
import shutil

import pytest
import yaml

import metrics
import tree

PROMETHEUS = tree.DEPLOY / "prometheus"
OF_SCRAPING = {"job", "instance", "pod", "namespace"}


def rules() -> list[dict]:
    return [
        rule for group in yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"] for rule in group["rules"]
    ]


def dashboard() -> dict:
    return json.loads((tree.DEPLOY / "grafana/verbatim.json").read_text())


def dashboard_queries() -> list[str]:
    return [target["expr"] for panel in dashboard()["panels"] for target in panel.get("targets", [])]


def autoscaled() -> list[str]:
    scalers = yaml.safe_load_all((tree.DEPLOY / "kubernetes/overlays/scaled/autoscaling.yaml").read_text())
    listed = [metric for scaler in scalers for metric in scaler["spec"]["metrics"]]
    return [metric["external"]["metric"]["name"] for metric in listed if metric["type"] == "External"]


def adapter_query(rule: dict) -> str:
    series = rule["seriesQuery"].split("{")[0]
    return rule["metricsQuery"].replace("<<.Series>>", series).replace("<<.LabelMatchers>>", 'namespace="verbatim"')


def adapter_rules() -> list[dict]:
    return yaml.safe_load((PROMETHEUS / "adapter.yml").read_text())["externalRules"]


@pytest.mark.parametrize("name", ["prometheus.yml", "kubernetes.yml"])
def test_the_scrape_configurations_are_valid(name, tmp_path):
    for file in PROMETHEUS.glob("*.yml"):
        shutil.copy(file, tmp_path)
    (tmp_path / "pods.json").write_text("[]")
    config = yaml.safe_load((tmp_path / name).read_text())
    # Debian's Prometheus is built without Kubernetes' service discovery; the rest of such a job is checked.
    for job in config["scrape_configs"]:
        if job.pop("kubernetes_sd_configs", None):
            job["file_sd_configs"] = [{"files": ["pods.json"]}]
    (tmp_path / name).write_text(yaml.safe_dump(config))
    tree.run(tree.PROMTOOL, "check", "config", name, cwd=tmp_path)


def test_pods_are_found_by_ports_that_they_have():
    config = yaml.safe_load((PROMETHEUS / "kubernetes.yml").read_text())
    pairs = [pair for job in config["scrape_configs"] for pair in job["relabel_configs"][0]["regex"].split("|")]
    assert len(pairs) == 4
    for pair in pairs:
        role, port = pair.split(";")
        pods = [
            one
            for one in yaml.safe_load_all((tree.DEPLOY / f"kubernetes/base/{role}.yaml").read_text())
            if "template" in one["spec"]
        ]
        ports = pods[0]["spec"]["template"]["spec"]["containers"][0]["ports"]
        assert port in {one["name"] for one in ports}


def test_the_stack_is_scraped_where_it_listens():
    compose = yaml.safe_load((tree.ROOT / "docker-compose.yml").read_text())["services"]
    config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    scraped = [
        target for job in config["scrape_configs"] for given in job["static_configs"] for target in given["targets"]
    ]
    for job in config["scrape_configs"]:
        scraped += [f"{name}:{given['port']}" for given in job.get("dns_sd_configs", []) for name in given["names"]]
    assert {target.split(":")[0] for target in scraped} == {
        name for name in compose if re.match("gateway|recorder|indexer|web", name)
    }
    for target in scraped:
        name, port = target.split(":")
        listens = str(compose[name]["environment"])
        assert f"0.0.0.0:{port}" in listens, target


def test_the_alerts_are_valid_and_tell_what_they_say():
    tree.run(tree.PROMTOOL, "check", "rules", "alerts.yml", cwd=PROMETHEUS)
    tree.run(tree.PROMTOOL, "test", "rules", "alerts.test.yml", cwd=PROMETHEUS)


def test_every_alert_is_tried_where_it_must_be_heard_and_where_not():
    tests = yaml.safe_load((PROMETHEUS / "alerts.test.yml").read_text())["tests"]
    tried = [one for test in tests for one in test.get("alert_rule_test", [])]
    heard = {one["alertname"] for one in tried if one.get("exp_alerts")}
    silent = {one["alertname"] for one in tried if not one.get("exp_alerts")}
    alerts = {rule["alert"] for rule in rules() if "alert" in rule}
    assert heard == alerts
    # Of one that is not up another, of somebody else's, is not told.
    assert silent == alerts - {"VerbatimDown"}


def test_every_alert_is_explained():
    explained = re.findall(r"^### (Verbatim\w+)$", (tree.ROOT / "docs/operations.md").read_text(), re.MULTILINE)
    alerts = [rule["alert"] for rule in rules() if "alert" in rule]
    assert sorted(explained) == sorted(alerts) and len(alerts) == len(set(alerts))
    for rule in rules():
        assert "record" in rule or (
            rule["labels"]["severity"] in {"critical", "warning"} and rule["annotations"]["summary"]
        )


def test_the_queries_of_dashboard_and_adapter_are_valid(tmp_path):
    queries = dashboard_queries() + [adapter_query(rule) for rule in adapter_rules()]
    assert len(queries) > 30
    named = {"$__rate_interval": "5m", "$__range": "1h", "$job": ".*", "$instance": ".*"}
    for name, value in named.items():
        queries = [query.replace(name, value) for query in queries]
    recorded = [{"record": f"check:query{number}", "expr": query} for number, query in enumerate(queries)]
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": recorded}]}))
    tree.run(tree.PROMTOOL, "check", "rules", tmp_path / "rules.yml")


def test_every_metric_that_is_asked_for_exists():
    found = metrics.in_source()
    assert len(found) > 30, "the source is not read as it should be"
    queries = (
        [rule["expr"] for rule in rules()] + dashboard_queries() + [adapter_query(rule) for rule in adapter_rules()]
    )
    for query in queries:
        asked = metrics.asked_for(query)
        assert not metrics.unknown(query), query
        known = OF_SCRAPING.union(*(found.get(name, set()) for name in asked))
        assert metrics.labels_of(query) <= known, query


def test_every_metric_is_explained():
    counted, explained = metrics.declared(), metrics.explained()
    assert set(explained) == set(counted)
    for name, metric in counted.items():
        assert (explained[name].kind, explained[name].labels) == (metric.kind, metric.labels), name
        assert metric.roles <= explained[name].roles <= {"gateway", "recorder", "indexer", "web"}, name
    text = metrics.OPERATIONS.read_text()
    assert all(f"`{name}`" in text for name in metrics.OF_THE_PROCESS)


def test_a_metric_that_does_not_exist_is_noticed():
    assert metrics.unknown('sum(rate(verbatim_calls_total[5m])) + verbatim_made_up{job="x"} + up{job="y"}') == {
        "verbatim_made_up"
    }
    assert metrics.labels_of('sum by (outcome, pod) (x{job=~"a", integrity="b"})') == {
        "outcome",
        "pod",
        "job",
        "integrity",
    }


def test_what_recorders_are_scaled_by_is_made_known_to_kubernetes():
    assert autoscaled() and autoscaled() == [rule["seriesQuery"].split("{")[0] for rule in adapter_rules()]


def test_panels_have_places_of_their_own():
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken = [
        (x, y)
        for panel in panels
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(taken) == len(set(taken)) and max(x for x, _ in taken) < 24
