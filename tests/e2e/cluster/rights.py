"""What a ServiceAccount may do, as `kubectl auth can-i --list` and `kubectl auth can-i VERB RESOURCE` ask it."""

from . import objects
from .client import collection

_VERSION = "authorization.k8s.io/v1"
_BASIS = "nobody"


def _review(client, kind, spec):
    review = {"apiVersion": _VERSION, "kind": kind, "spec": spec}
    return client.call("POST", collection(_VERSION, kind), review)["status"]


def _rules(client, namespace):
    """All of them, one by one: verb, resource with its group, name."""
    status = _review(client, "SelfSubjectRulesReview", {"namespace": namespace})
    assert not status["incomplete"], status
    found = {(verb, f"{resource}.{group}".rstrip("."), name) for rule in status["resourceRules"]
             for verb in rule["verbs"] for group in rule["apiGroups"] for resource in rule["resources"]
             for name in rule.get("resourceNames", ["*"])}
    return found | {(verb, url, "") for rule in status["nonResourceRules"] for verb in rule["verbs"]
                    for url in rule["nonResourceURLs"]}


class Rights:
    def __init__(self, control, namespace, name):
        control.client.apply(objects.service_account(_BASIS, namespace))
        self._own, self._common = (control.client_of(control.client.make_token(account, namespace))
                                   for account in (name, _BASIS))

    def rules(self, namespace):
        """Pairs of verb and resource, of all names: what it may there beyond what every account may."""
        found = _rules(self._own, namespace) - _rules(self._common, namespace)
        assert all(name == "*" for _, _, name in found), found
        return {(verb, resource) for verb, resource, _ in found}

    def allows(self, verb, resource, group="", namespace=None):
        """@namespace: None: in all of them"""
        attributes = {"verb": verb, "group": group, "resource": resource, "namespace": namespace or ""}
        return _review(self._own, "SelfSubjectAccessReview", {"resourceAttributes": attributes})["allowed"]
