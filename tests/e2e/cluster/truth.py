"""What the API says of a service: its EndpointSlices, joined by the rules of discovery.k8s.io/v1.

All slices with the service's label count, whoever manages them; an address may be in several. A condition that
is missing means ready, serving, and not terminating.
"""

from .objects import SERVICE_NAME

FAMILIES = {"ipv4": "IPv4", "ipv6": "IPv6"}


def condition(endpoint, name):
    value = (endpoint.get("conditions") or {}).get(name)
    return name != "terminating" if value is None else value


def slices_of(service, slices):
    """@service: "NAME.NAMESPACE"; @slices: any objects"""
    name, namespace = service.split(".")
    return [s for s in slices if s["metadata"].get("namespace") == namespace and
            s["metadata"].get("labels", {}).get(SERVICE_NAME) == name]


def endpoints(service, slices, family):
    """(endpoint, ports) of one family."""
    for piece in slices_of(service, slices):
        if piece["addressType"] == FAMILIES[family]:
            for endpoint in piece.get("endpoints") or []:
                yield endpoint, piece.get("ports") or []


def ready(service, slices, family):
    """The addresses of the endpoints that are ready."""
    return frozenset(e["addresses"][0] for e, _ in endpoints(service, slices, family) if condition(e, "ready"))


def served(service, slices, family):
    """The same; where nothing is ready, those that still serve while they end (KEP-1669)."""
    return ready(service, slices, family) or frozenset(
        e["addresses"][0] for e, _ in endpoints(service, slices, family)
        if condition(e, "serving") and condition(e, "terminating"))
