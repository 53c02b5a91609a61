"""What stands in ops/ and docker-compose.yml is read here, since no test can run it: names must agree with the code."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from streams import kafka_compose, kafka_local
from streams.metrics import Metrics
from streams.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
OPS = ROOT / "ops"


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def names_of_metrics() -> set[str]:
    return {
        name
        for family in Metrics().registry.collect()
        for name in (
            family.name,
            *(f"{family.name}_total",) * (family.type == "counter"),
            *(f"{family.name}_{end}" for end in ("bucket", "count", "sum") if family.type == "histogram"),
        )
    }


def expressions() -> list[str]:
    alerts = [rule["expr"] for group in load(OPS / "prometheus/alerts.yml")["groups"] for rule in group["rules"]]
    dashboard = json.loads((OPS / "grafana/dashboards/pipeline.json").read_text())
    return alerts + [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]


@pytest.mark.parametrize("expression", expressions())
def test_alerts_and_dashboards_ask_for_metrics_that_exist(expression: str) -> None:
    asked = set(re.findall(r"\batp_\w+", expression))
    assert asked <= names_of_metrics()
    assert asked or 'job="atp"' in expression
    assert expression.count("(") == expression.count(")")


def test_every_alert_says_what_to_do_next() -> None:
    rules = [rule for group in load(OPS / "prometheus/alerts.yml")["groups"] for rule in group["rules"]]
    assert rules
    assert all(rule["annotations"]["summary"] and rule["annotations"]["next"] for rule in rules)
    assert all(rule["labels"]["severity"] in {"warning", "critical"} for rule in rules)


def test_compose_runs_the_kafka_that_the_code_expects() -> None:
    services = load(ROOT / "docker-compose.yml")["services"]
    kafka = services["kafka"]
    assert kafka["image"] == kafka_compose.IMAGE
    host, port = kafka_compose.BROKERS.split(":")
    assert kafka["ports"] == [f"{host}:{port}:{port}"]
    assert f"HOST://{kafka_compose.BROKERS}" in kafka["environment"]["KAFKA_ADVERTISED_LISTENERS"]
    version = kafka_compose.IMAGE.rpartition(":")[2]
    assert f"<kafka.version>{version}</kafka.version>" in (kafka_local.OPS / "pom.xml").read_text()


def test_compose_listens_on_loopback_only_and_mounts_what_exists() -> None:
    services = load(ROOT / "docker-compose.yml")["services"]
    for service in services.values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))
        mounted = [volume.partition(":")[0] for volume in service.get("volumes", ())]
        assert all((ROOT / place).is_dir() for place in mounted if place.startswith("./"))


def test_compose_gives_workers_settings_that_exist_and_prometheus_their_port() -> None:
    services = load(ROOT / "docker-compose.yml")["services"]
    environ = services["worker"]["environment"]
    known = {f"ATP_{name.upper()}" for name in Settings.model_fields}
    assert set(environ) <= known
    assert services["worker"]["restart"] == "unless-stopped", "somebody restarts a crash-only worker"
    (job,) = load(OPS / "prometheus/prometheus.yml")["scrape_configs"]
    assert str(job["dns_sd_configs"][0]["port"]) == environ["ATP_HTTP_PORT"]
    assert job["dns_sd_configs"][0]["names"] == ["worker"]


def test_the_image_takes_every_room_and_lets_it_through() -> None:
    copied = set(re.findall(r"^COPY (\w+) \1$", (OPS / "docker/Dockerfile").read_text(), re.MULTILINE))
    let_through = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    rooms = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "bench"}
    assert copied == rooms
    assert rooms <= let_through


def test_the_default_partitions_are_those_that_the_alert_counts() -> None:
    rules = {rule["alert"]: rule for group in load(OPS / "prometheus/alerts.yml")["groups"] for rule in group["rules"]}
    assert rules["AtpPartitionsUnowned"]["expr"].endswith(f"< {Settings.model_fields['partitions'].default}")
