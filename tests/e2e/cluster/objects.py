"""Kubernetes objects as the tests need them."""

SERVICE_NAME = "kubernetes.io/service-name"
HEADLESS = "service.kubernetes.io/headless"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
ZONE = "topology.kubernetes.io/zone"
# Nodes with this label are kwok's; it leaves alone, with their pods, those that have lost it.
ALIVE = "kubelet"


def _object(version, kind, name, namespace=None, labels=None, **rest):
    metadata = {"name": name}
    if namespace:
        metadata["namespace"] = namespace
    if labels:
        metadata["labels"] = labels
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **rest}


def namespace(name):
    return _object("v1", "Namespace", name)


def node(name, zone, number):
    """Its pods have an address of each family, 10.44.NUMBER.x first."""
    cidrs = [f"10.44.{number}.0/24", f"fd44:{number}::/64"]
    return _object("v1", "Node", name, labels={ALIVE: "kwok", ZONE: zone, "kubernetes.io/hostname": name},
                   spec={"podCIDR": cidrs[0], "podCIDRs": cidrs})


def service(name, namespace, ports=(("grpc", 9090),), families=("IPv4",), selector=True, headless=True, **spec):
    """@ports: (name, number)"""
    spec = {"ipFamilies": list(families), "ipFamilyPolicy": "RequireDualStack" if len(families) > 1 else "SingleStack",
            "ports": [{"name": port, "port": number} for port, number in ports], **spec}
    if headless:
        spec["clusterIP"] = "None"
    if selector:
        spec["selector"] = {"app": name}
    return _object("v1", "Service", name, namespace, spec=spec)


def _template(name, spread, ports, labels):
    spec = {"containers": [{"name": "main", "image": "none",
                            "ports": [{"name": port, "containerPort": number} for port, number in ports]}],
            "terminationGracePeriodSeconds": 1}
    if spread:
        spec["topologySpreadConstraints"] = [
            {"maxSkew": 1, "topologyKey": key, "whenUnsatisfiable": "ScheduleAnyway",
             "labelSelector": {"matchLabels": {"app": name}}} for key in (ZONE, "kubernetes.io/hostname")]
    return {"metadata": {"labels": {"app": name, **labels}}, "spec": spec}


def _workload(kind, name, namespace, replicas, ports, labels, **spec):
    return _object("apps/v1", kind, name, namespace,
                   spec={"replicas": replicas, "selector": {"matchLabels": {"app": name}},
                         "template": _template(name, True, ports, labels), **spec})


def deployment(name, namespace, replicas, ports=(("grpc", 9090),), labels=None):
    return _workload("Deployment", name, namespace, replicas, ports, labels or {})


def stateful_set(name, namespace, replicas, ports=(("grpc", 9090),), labels=None):
    return _workload("StatefulSet", name, namespace, replicas, ports, labels or {}, serviceName=name,
                     podManagementPolicy="Parallel")


def endpoint(address, ready=True, **rest):
    """@ready: None: the condition is left out"""
    conditions = {} if ready is None else {"ready": ready}
    conditions.update(rest.pop("conditions", {}))
    return {"addresses": [address], "conditions": conditions, **rest}


def endpoint_slice(name, namespace, service, endpoints, ports=(("grpc", 9090),), labels=None):
    """One that no controller owns. @ports: None: `ports: null`"""
    six = any(":" in e["addresses"][0] for e in endpoints)
    labels = {SERVICE_NAME: service, MANAGED_BY: "test.k8shsvc", HEADLESS: "", **(labels or {})}
    return _object("discovery.k8s.io/v1", "EndpointSlice", name, namespace, labels, addressType="IPv6" if six else "IPv4",
                   endpoints=endpoints, ports=ports and [{"name": p, "port": n, "protocol": "TCP"} for p, n in ports])


def service_account(name, namespace):
    return _object("v1", "ServiceAccount", name, namespace)
