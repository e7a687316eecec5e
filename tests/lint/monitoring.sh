#!/bin/bash
# Alerts and dashboard: promtool understands them, each alert fires when it should, and every series is one that the
# daemon has.
#
#     monitoring.sh SOURCE-DIRECTORY

here=$(dirname "$(readlink -f "$0")")
. "$here/tap.sh"
cd "$1/packaging/monitoring" || exit 1
work=$(mktemp -d) || exit 1
trap 'rm -r "$work"' EXIT

# What promtool says only matters when it is unhappy.
promtool_likes() {
        promtool "$@" >"$work/log" 2>&1 || cat "$work/log"
}

# The expressions of the dashboard as recording rules.
dashboard_rules() {
        python3 - dashboard.json <<'PYTHON'
import json, sys
panels = json.load(open(sys.argv[1]))["panels"]
expressions = [t["expr"].replace("$__rate_interval", "5m").replace("$instance", ".*") for p in panels for t in p["targets"]]
assert len(expressions) > 10 and len({p["id"] for p in panels}) == len(panels)
print(json.dumps({"groups": [{"name": "dashboard", "rules": [
    {"record": f"expression:{i}", "expr": e} for i, e in enumerate(expressions)]}]}))
PYTHON
}

dashboard_is_understood() {
        dashboard_rules >"$work/rules.yaml" && promtool_likes check rules "$work/rules.yaml"
}

each_alert_is_tested() {
        diff <(sed -n 's/^ *- alert: //p' alerts.yaml | sort) \
                <(grep -oE 'alertname: K8shsvc[A-Za-z]+' alerts.test.yaml | sed 's/.*: //' | sort -u)
}

# A family is named without the suffix that its type gives its series.
series_are_ours() {
        grep -ohE 'k8shsvc_[a-z_]+' alerts.yaml dashboard.json | sed -E 's/_(total|bucket|info)$//' | sort -u |
                while read -r family; do
                        grep -qF "\"$family\"" ../../cached/status/metrics.c || echo "nobody counts $family"
                done
}

if have promtool "promtool understands alerts and dashboard"; then
        check "promtool understands the alerts" promtool_likes check rules alerts.yaml
        check "each alert fires when it should, and not before" promtool_likes test rules alerts.test.yaml
        check "promtool understands each expression of the dashboard" dashboard_is_understood
fi
check "each alert has a test" each_alert_is_tested
check "every series is one that the daemon has" series_are_ours
finish
