"""Who reaches whom: the chart's policies, read as the cluster's own API server and a policy engine read them."""

from collections.abc import Callable
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest

from deploy.tools.schema import CHART
from tests.deploy.conftest import CI, manifests, run_helm, workloads

Render = Callable[[str], str]
Policies = dict[str, dict[str, Any]]
MINIMAL = f"--values={CHART / 'ci' / 'minimal-values.yaml'}"
NAMES = [path.name.removesuffix("-values.yaml") for path in CI]
every_example = pytest.mark.parametrize("name", NAMES)
# Nobody's endpoint: this node, its neighbours, its metadata, ranges that clusters give to pods, and IPv4 inside IPv6.
NOT_PUBLIC = [
    *("0.0.0.0", "10.1.2.3", "100.64.1.1", "127.0.0.1", "169.254.169.254", "172.20.0.9", "192.0.0.1", "192.168.1.1"),
    *("198.18.0.1", "224.0.0.1", "240.1.1.1"),
    *("::1", "::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:a00:1::", "fd00:ec2::254", "fe80::1", "ff02::1"),
]


def policies(text: str) -> Policies:
    found = (one for one in manifests(text) if one["kind"] == "NetworkPolicy")
    return {one["metadata"]["name"].removeprefix("voice-ringmaster-"): one["spec"] for one in found}


def blocks_of(rules: list[dict[str, Any]], side: str) -> list[dict[str, Any]]:
    return [peer["ipBlock"] for rule in rules for peer in rule[side] if "ipBlock" in peer]


def lets(blocks: list[dict[str, Any]], address: str) -> bool:
    """Whether any of these blocks holds the address; what a policy engine does with an ipBlock."""
    one = ip_address(address)
    return any(
        one in ip_network(block["cidr"]) and not any(one in ip_network(out) for out in block.get("except", ()))
        for block in blocks
    )


@every_example
def test_every_pod_is_under_a_policy_that_denies_what_is_not_named(rendered: Render, name: str) -> None:
    found = list(policies(rendered(name)).values())
    denying = [one for one in found if set(one) == {"podSelector", "policyTypes"}]
    assert [set(one["policyTypes"]) for one in denying] == [{"Ingress", "Egress"}]
    for workload in workloads(rendered(name)):
        labels = workload["spec"]["template"]["metadata"]["labels"]
        selecting = [one for one in found if one["podSelector"]["matchLabels"].items() <= labels.items()]
        assert len(selecting) == 2, workload["metadata"]["name"]
    # A rule without peers lets everybody in or out.
    for policy in found:
        assert all(rule.get("from") for rule in policy.get("ingress") or ())
        assert all(rule.get("to") for rule in policy.get("egress") or ())


@every_example
def test_an_api_server_takes_every_block(rendered: Render, name: str) -> None:
    """No schema says it: what is excepted lies within its block and is less than it; IPv4 in IPv6 is taken for IPv4."""
    for one in policies(rendered(name)).values():
        for side, rules in (("to", one.get("egress") or []), ("from", one.get("ingress") or [])):
            for block in blocks_of(rules, side):
                whole = ip_network(block["cidr"])
                for text in block.get("except", ()):
                    part = ip_network(text)
                    assert part.version == whole.version
                    assert part != whole
                    assert part.subnet_of(whole)  # type: ignore[arg-type]
                    assert part.version == 4 or part.network_address.ipv4_mapped is None, text


@every_example
@pytest.mark.parametrize("component", ["webhooks", "router"])
def test_what_a_tenant_names_is_reached_at_public_addresses_alone(rendered: Render, component: str, name: str) -> None:
    rules = [
        rule
        for rule in policies(rendered(name))[component]["egress"]
        if 443 in [each["port"] for each in rule["ports"]]
    ]
    blocks = blocks_of(rules, "to")
    if name == "one-node":  # its operator has opened one range
        assert lets(blocks, "10.1.2.3")
        blocks.remove({"cidr": "10.1.2.0/24"})
    assert [address for address in NOT_PUBLIC if lets(blocks, address)] == []
    assert lets(blocks, "203.0.113.7")
    assert lets(blocks, "2a00:1450::1")


def test_an_operator_closes_what_is_public_and_his_own(helm_program: Path) -> None:
    closed = "networkPolicy.outside.except={34.118.224.0/20,2600:1900::/28}"
    text = run_helm(
        helm_program, "template", f"--values={CHART / 'ci' / 'minimal-values.yaml'}", "--set", closed
    ).stdout
    blocks = blocks_of(policies(text)["webhooks"]["egress"], "to")
    assert not lets(blocks, "34.118.225.1")
    assert not lets(blocks, "2600:1900::1")
    assert lets(blocks, "34.117.0.1")


@every_example
def test_nobody_reaches_a_nodes_metadata(rendered: Render, name: str) -> None:
    for component, one in policies(rendered(name)).items():
        assert not lets(blocks_of(one.get("egress") or [], "to"), "169.254.169.254"), component


@pytest.mark.parametrize(
    ("component", "ports"),
    [("stats", {587}), ("transcribe", {2700}), ("webhooks", {465, 587, 2775}), ("jobs", {587, 2700})],
)
def test_what_the_settings_name_outside_is_reached_and_only_then(
    rendered: Render, component: str, ports: set[int]
) -> None:
    assert ports <= reached_ports(rendered("everything"), component)
    assert not ports & reached_ports(rendered("minimal"), component)


def reached_ports(text: str, component: str) -> set[int]:
    rules = policies(text)[component].get("egress") or () if component in policies(text) else ()
    return {port["port"] for rule in rules for port in rule["ports"]}


def test_the_documents_and_brokers_that_a_release_makes_are_reached_by_it_alone(rendered: Render) -> None:
    """Their operators make no policy by themselves: whoever was in the cluster reached both ports."""
    text = rendered("everything")
    documents = policies(text)["mongodb"]
    (rule,) = documents["ingress"]
    assert (documents["policyTypes"], rule["ports"]) == (["Ingress"], [{"port": 27017, "protocol": "TCP"}])
    (kafka,) = (one for one in manifests(text) if one["kind"] == "Kafka")
    (listener,) = kafka["spec"]["kafka"]["listeners"]
    ours = {"app.kubernetes.io/name": "ringmaster", "app.kubernetes.io/instance": "voice"}
    for peers in (rule["from"], listener["networkPolicyPeers"]):
        pods = [peer["podSelector"]["matchLabels"] for peer in peers if "podSelector" in peer]
        assert [labels for labels in pods if labels != documents["podSelector"]["matchLabels"]] == [ours]
        # Its switches are on the nodes' network; nobody from outside the cluster is let in.
        assert not lets([peer["ipBlock"] for peer in peers if "ipBlock" in peer], "203.0.113.7")


def test_names_are_asked_for_where_the_operator_says(helm_program: Path) -> None:
    peer = "networkPolicy.dns.peers[0].namespaceSelector.matchLabels.kubernetes\\.io/metadata\\.name=openshift-dns"
    given = [
        f"--values={CHART / 'ci' / 'minimal-values.yaml'}",
        "--set",
        "networkPolicy.dns.ports={5353}",
        "--set",
        peer,
    ]
    done = run_helm(helm_program, "template", *given)
    assert done.returncode == 0, done.stderr
    for component, one in policies(done.stdout).items():
        for rule in (one.get("egress") or [])[:1]:
            assert {port["port"] for port in rule["ports"]} == {5353}, component
            assert rule["to"] == [
                {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "openshift-dns"}}}
            ]
