"""k8shsvcctl with a real daemon: each command in a pipe, as JSON and on a terminal, and what it refuses."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.request

from harness import ctl, daemon, lab, lookup, pods, sandbox, table, tap
from harness.ctl import on_terminal, refused, rows, run, value

suite = tap.Suite()

PODS = lab.pods(10, 3)
PODS6 = lab.pods(20, 2, six=True)
OTHERS = lab.pods(40, 4)
USER, DUAL, FIXED, NONE = "user-svc.default", "dual.shop", "fixed.default", "none.shop"
RUN_D = f"{sandbox.RUNDIR}/conf.d"
ETC_D = f"{sandbox.CONFIG_DIR}/conf.d"

BASE = f"""\
[daemon]
orphan-max = 11s
refresh-min = 200ms
refresh-max = 500ms
node = worker-1
zone = eu-west-1a
[service {USER}]
port = 8080
alias = user users.internal
[service {DUAL}]
answers = all
order = random
[service {FIXED}]
source = static
port = 80
endpoints = 10.9.0.2 10.9.0.1 fd00::9
answers = single
order = sticky
"""

SERVICE_KEYS = ("service state source reason age_ms ttl_s answers order family ports aliases truncated version "
                "endpoints").split()
ENDPOINT_KEYS = "address family port ports host ordinal node zone near ready serving terminating".split()


def addresses(service):
    return [e["address"] for e in service["endpoints"]]


# ---- status ----

@suite.test("status: a living daemon, and what it serves")
def status():
    said = value("status")
    assert said["ready"] is True and said["daemon"] == "alive" and said["services"] == 3, said
    assert said["states"] == {"pending": 0, "fresh": 3, "stale": 0, "empty": 0, "expired": 0}, said
    assert said["pid"] == running.process.pid and said["heartbeat_age_ms"] < 2000, said
    assert said["addresses"] == len(PODS) + len(OTHERS) + len(PODS6) + 3 and said["aliases"] == 2, said
    table = said["table"]
    assert table["believed"] and table["size_bytes"] == os.path.getsize(sandbox.TABLE) and not table["damaged"], said
    assert table["cluster_domain"] == "cluster.local" and table["orphan_max_ms"] == 11000, said
    assert (table["node"], table["zone"]) == ("worker-1", "eu-west-1a"), said
    text = run("status")
    assert text.status == 0 and text.err == "" and "alive" in text.out and "3 fresh" in text.out, text
    assert run("status", "--ready").status == 0


@suite.test("status --ready: no, while a service waits for its first answer; status alone is content")
def not_ready():
    daemon.configure(BASE + "[service slow.default]\n")
    server.pause()
    try:
        running.reload()
        sandbox.wait_until(lambda: value("list")[-2]["service"] == "slow.default", 10, "slow.default is registered")
        assert run("status").status == 0
        result = run("status", "--ready")
        assert result.status == 1 and "slow.default" in result.err and result.err.count("\n") == 1, result
        assert value("status", "--ready", status=1)["ready"] is False
    finally:
        server.resume()
        daemon.configure(BASE)
        running.reload()
        sandbox.wait_until(lambda: value("status")["services"] == 3, 10, "slow.default is gone")
        sandbox.wait_until(lambda: value("status")["states"]["fresh"] == 3, 20, "all are fresh")


@suite.test("status --ready: no, while the table lacks room for a service; what has room is served")
def no_room():
    daemon.configure(BASE + "[daemon]\nmax-table-size = 1M\n" +
                     "".join(f"[service s{i}.many]\nsource = static\nendpoints = 10.9.0.1\n" for i in range(12000)))
    try:
        running.reload()
        sandbox.wait_until(lambda: value("status")["table"]["refused"] > 1000, 30, "some have no room")
        sandbox.wait_until(lambda: value("status")["states"]["fresh"] > 4000, 30, "as many as have room are served")
        assert value("status")["table"]["size_bytes"] <= 1 << 20
        result = run("status", "--ready")
        assert result.status == 1 and "no room" in result.err and "registrations have no room" in result.out, result
        found = [check["mend"] for check in value("doctor", status=1) if "no room" in check["found"]]
        assert len(found) == 1 and "max-table-size" in found[0], found
    finally:
        daemon.configure(BASE)
        running.reload()
        sandbox.wait_until(lambda: run("status", "--ready").status == 0 and value("status")["services"] == 3, 60,
                           "the services of the beginning")


# ---- list and show ----

@suite.test("list: JSON has every key of every service and endpoint, sorted by name")
def list_json():
    services = value("list")
    assert [s["service"] for s in services] == sorted([USER, DUAL, FIXED]), services
    for service in services:
        assert list(service) == SERVICE_KEYS, service
        for endpoint in service["endpoints"]:
            assert list(endpoint) == ENDPOINT_KEYS, endpoint
    by_name = {s["service"]: s for s in services}
    user, dual, fixed = by_name[USER], by_name[DUAL], by_name[FIXED]
    assert addresses(user) == sorted(PODS) and addresses(dual) == OTHERS + PODS6, services
    assert user["aliases"] == ["user", "users.internal"] and user["source"] == "dns" and user["ttl_s"] == 1, user
    assert user["ports"] == [{"name": None, "number": 8080, "protocol": "TCP"}], user
    assert {e["port"] for e in user["endpoints"]} == {8080}, user
    assert (user["answers"], user["order"], user["family"]) == ("auto", "rotate", "any"), user
    assert (dual["answers"], dual["order"], dual["ports"]) == ("all", "random", None), dual
    assert (fixed["answers"], fixed["order"], fixed["source"], fixed["ttl_s"]) == ("single", "sticky", "static", None)
    assert {e["address"]: e["port"] for e in fixed["endpoints"]} == {"10.9.0.1": 80, "10.9.0.2": 80, "fd00::9": 80}, fixed


@suite.test("list: in a pipe a line for each service with tabs, no title, no colour")
def list_pipe():
    lines = rows("list")
    assert [line[0] for line in lines] == sorted([USER, DUAL, FIXED]), lines
    assert {len(line) for line in lines} == {8}, lines
    assert lines[-1][1] == "fresh" and lines[-1][3:7] == ["dns", "3", "auto", "rotate"], lines
    assert "\033" not in run("list").out


@suite.test("list: on a terminal titles, columns and colours; NO_COLOR and TERM=dumb take the colours away")
def list_terminal():
    text, status = on_terminal("list")
    assert status == 0 and "\033[32mfresh" in text, text
    for env in {"NO_COLOR": "1"}, {"TERM": "dumb"}:
        plain, status = on_terminal("list", env=env)
        assert status == 0 and "\033" not in plain, plain
        assert plain == re.sub(r"\033\[\d*m", "", text) or "SERVICE" in plain, plain
        title, *lines = plain.splitlines()
        column = title.index("STATE")
        assert len(lines) == 3 and all(line[column:].startswith("fresh") for line in lines), plain
    coloured, _ = on_terminal("list", env={"NO_COLOR": ""})  # empty means unset
    assert "\033[32m" in coloured, coloured


@suite.each("show {0}: any name that programs may use", [
    (USER,), ("user-svc.default.svc.cluster.local",), ("USER-svc.Default.svc",), ("user",), ("users.internal",)])
def show_names(name):
    assert value("show", name)["service"] == USER


@suite.test("show: the namespace of resolv.conf's search list completes a name")
def show_search():
    sandbox.resolv_conf(search="shop.svc.cluster.local svc.cluster.local")
    try:
        assert value("show", "dual")["service"] == DUAL
    finally:
        sandbox.resolv_conf()
    assert "did you mean dual.shop?" in refused("show", "dual", status=1)


@suite.test("show: text has the service, its state and each endpoint")
def show_text():
    lines = rows("show", USER)
    assert ["service", USER] in lines and ["alias", "users.internal"] in lines, lines
    assert [line[:2] for line in lines[-3:]] == [[address, "8080"] for address in sorted(PODS)], lines
    text, status = on_terminal("show", USER)
    assert status == 0 and "\033[32mfresh\033[0m for" in text and "ADDRESS" in text, text


# ---- resolve ----

@suite.test("resolve: the addresses, a line for each, with the port where there is one")
def resolve():
    assert run("resolve", USER).out.splitlines() == [f"{a}:8080" for a in sorted(PODS)]
    assert run("resolve", f"{USER}:99").out.splitlines() == [f"{a}:99" for a in sorted(PODS)]
    assert run("resolve", DUAL).out.splitlines() == OTHERS + PODS6
    assert run("resolve", f"{DUAL}:80").out.splitlines() == [f"{a}:80" for a in OTHERS] + [f"[{a}]:80" for a in PODS6]
    assert run("resolve", "kubernetes://shop/dual:80").out.splitlines()[0] == f"{OTHERS[0]}:80"
    assert run("resolve", FIXED).out.splitlines() == ["10.9.0.1:80", "10.9.0.2:80", "[fd00::9]:80"]
    assert addresses(value("resolve", DUAL)) == OTHERS + PODS6


@suite.test("resolve: a port that no endpoint has is a no, not lines without one")
def resolve_no_port():
    for port in "grpc", "3000+":
        assert "{port}" in refused("resolve", f"{FIXED}:{port}", status=1)


@suite.test("resolve --format: lines for configuration files")
def resolve_format():
    lines = run("resolve", USER, "--format", "server {addr}:{port};").out.splitlines()
    assert lines == [f"server {a}:8080;" for a in sorted(PODS)], lines
    assert run("resolve", "--format={service} {family}", FIXED).out.splitlines() == [f"{FIXED} ipv4"] * 2 + [f"{FIXED} ipv6"]
    assert "did you mean addr?" in refused("resolve", USER, "--format", "{adr}")
    assert "{port}" in refused("resolve", DUAL, "--format", "{addr}:{port}", status=1)


@suite.test("resolve: a service without endpoints is a no, and says so")
def resolve_nothing():
    server.set_service(NONE, [])
    daemon.configure(BASE + f"[service {NONE}]\n")
    running.reload()
    sandbox.wait_until(lambda: any(s["service"] == NONE and s["state"] == "empty" for s in value("list")), 30, "it is empty")
    assert NONE in refused("resolve", NONE, status=1)
    assert value("show", NONE)["reason"] in ("nxdomain", "nodata")
    daemon.configure(BASE)
    running.reload()


# ---- add and remove ----

@suite.test("add registers with the running daemon, remove takes it back; --persist writes below /etc")
def add():
    server.set_service("added.shop", [OTHERS[0]])
    for flag, directory in ((), RUN_D), (("--persist",), ETC_D):
        path = f"{directory}/ctl-added.shop.conf"
        assert run("add", "added.shop:9090", *flag).out == path + "\n"
        assert oct(os.stat(path).st_mode & 0o777) == "0o644"
        sandbox.wait_until(lambda: run("resolve", "added.shop").out == f"{OTHERS[0]}:9090\n", 10, "added.shop is served")
        assert os.listdir(directory) == ["ctl-added.shop.conf"]
        if flag:
            assert "--persist" in refused("remove", "added.shop", status=1)
        assert value("remove", "added.shop", *flag) == {"service": "added.shop", "file": path}
        sandbox.wait_until(lambda: run("show", "added.shop").status == 1, 10, "added.shop is gone")
    assert os.listdir(RUN_D) == [] and os.listdir(ETC_D) == []


@suite.test("add: whatever the umask, the daemon can read what is made")
def add_umask():
    os.rmdir(RUN_D)
    run("add", "masked.shop", command=("sh", "-c", 'umask 077; exec "$@"', "sh"))
    assert oct(os.stat(RUN_D).st_mode & 0o777) == "0o755"
    assert run("remove", "masked.shop").status == 0


@suite.test("add completes the name as the daemon does, and may be said twice")
def add_completes():
    for target in "one", "one.default", "ONE.default.svc.cluster.local", "kubernetes://default/one:grpc":
        assert value("add", target)["file"] == f"{RUN_D}/ctl-one.default.conf", target
    with open(f"{RUN_D}/ctl-one.default.conf") as file:
        assert "[service one.default]\nport = grpc\n" in file.read()
    assert run("remove", "one").status == 0


@suite.each("add {0!r} is refused, and writes nothing", [
    ("",), ("a.b.c.d",), ("a b",), ("a\nb",), ("x:",), ("x:0",), ("-x",), ("a.b.svc.other.domain",), ("x]",), ("ä",),
    ("../../x",), ("x/y",), ("a" * 64 + ".b",)])
def add_refuses(target):
    assert "expected" in refused("add", "--", target)
    assert not os.path.isdir(RUN_D) or os.listdir(RUN_D) == []


@suite.test("remove: a service of another file is named, and stays")
def remove_other():
    said = refused("remove", USER, status=1)
    assert re.search(rf"{USER}.*{sandbox.CONFIG}:\d+", said), said
    assert "did you mean user-svc.default?" in refused("remove", "user-scv.default", status=1)
    assert value("show", USER)["service"] == USER


@suite.test("add and remove: a name that is an alias, pods by label, or one of a namespace")
def add_other():
    daemon.configure(BASE + "[pods worker.shop]\nselector = app=worker\nalias = pods.internal\n[namespace team]\nservices = headless\n"
                     "[service aliased.shop]\nalias = users.internal\n")
    try:
        for target, how in ("worker.shop:80", r"as \[pods\]"), ("users.internal", "as an alias"), ("pods.internal", "as an alias"):
            assert re.search(rf"{sandbox.CONFIG}:\d+ registers it {how}", refused("add", target, status=1)), target
        for name, how in ("worker.shop", r"as \[pods\]"), ("users.internal", "as an alias"), ("x.team", "as one of a"):
            assert re.search(rf"{sandbox.CONFIG}:\d+ registers it {how}", refused("remove", name, status=1)), name
        added, removed = run("add", "x.team:80"), run("remove", "x.team")
        assert added.status == removed.status == 0, (added, removed)
    finally:
        daemon.configure(BASE)


@suite.test("add where one may not write says so")
def add_denied():
    said = refused("add", "x.y", status=1, user=sandbox.NOBODY)
    assert "Permission denied" in said, said


# ---- explain and spread ----

@suite.test("explain: who is asked, what the table answers, and for each endpoint the score and its answer")
def explain():
    said = value("explain", USER)
    assert said["asked"] and said["answered"] and said["hosts"] == "files k8shsvc dns", said
    assert said["interfaces_known"] and [e["address"] for e in said["endpoints"]] == sorted(PODS), said
    for endpoint in said["endpoints"]:
        assert endpoint["first"] and endpoint["count"] == 1 + len(endpoint["with"]), said
        nearer = {e["address"] for e in said["endpoints"] if e["score"] > endpoint["score"]}
        assert not nearer & set(endpoint["with"]), said
    best = max(e["score"] for e in value("explain", DUAL)["endpoints"] if e["family"] == "ipv4")
    for endpoint in value("explain", DUAL)["endpoints"]:
        if endpoint["family"] == "ipv4":
            assert endpoint["first"] == (endpoint["score"] == best), endpoint
    fixed = value("explain", FIXED)["endpoints"]
    assert sum(e["first"] for e in fixed if e["family"] == "ipv4") == 1, fixed
    assert run("explain", USER).out.count("\n") == 3 + len(PODS)


@suite.each("explain with the hosts line '{0}': programs do not ask the table", [
    ("files dns",), ("files dns k8shsvc",), ("files resolve [!UNAVAIL=return] k8shsvc dns",), ("",)])
def explain_not_asked(line):
    sandbox.nsswitch(line)
    try:
        said = value("explain", USER, status=1)
        assert not said["asked"] and said["answered"], said
    finally:
        sandbox.nsswitch("files k8shsvc dns")


@suite.each("explain with the hosts line '{0}': {1}", [
    ("files [NOTFOUND=return] k8shsvc dns", "the lookup ends before the table", False, True),
    ("files k8shsvc [SUCCESS=continue] dns", "programs ask on after the answer", True, False)])
def explain_actions(line, _, asked, answered):
    sandbox.nsswitch(line)
    try:
        said = value("explain", USER, status=1)
        assert (said["asked"], said["answered"]) == (asked, answered), said
        assert sandbox.run("getent", "ahosts", USER, check=False).stdout == ""  # DNS does not know the short name
    finally:
        sandbox.nsswitch("files k8shsvc dns")


@suite.each("explain: a service without endpoints, with the hosts line '{0}'", [
    ("files k8shsvc dns", "the next source is asked"), ("files k8shsvc [NOTFOUND=return] dns", "the lookup ends there")])
def explain_ends(line, then):
    daemon.configure(BASE + "[service hollow.shop]\nsource = static\nendpoints =\n")
    running.reload()
    sandbox.wait_until(lambda: any(s["service"] == "hollow.shop" and s["state"] == "empty" for s in value("list")), 20, "it is empty")
    sandbox.nsswitch(line)
    try:
        said = value("explain", "hollow.shop", status=1)
        assert said["status"].startswith("NOTFOUND") and said["status"].endswith(then), said
    finally:
        sandbox.nsswitch("files k8shsvc dns")
        daemon.configure(BASE)
        running.reload()


@suite.test("explain foresees what programs get: the answer of each turn is one that getaddrinfo() gives")
def explain_foresees():
    foreseen = {e["address"]: {e["address"], *e["with"]} for e in value("explain", f"{USER}")["endpoints"]}
    for answer in sandbox_answers(USER, 100):
        assert set(answer) == foreseen[answer[0]], (answer, foreseen)


def sandbox_answers(name, count):
    return [a.addresses for a in lookup.resolve_many([name], family="ipv4", count=count)]


@suite.test("spread: even where the policy holds, and a bar for each address on a terminal")
def spread():
    said = value("spread", USER, "--count", "300")
    assert said["calls"] == 300 and said["failures"] == 0 and said["even"] and said["advice"] is None, said
    assert {f["address"]: f["from_table"] for f in said["first"]} == dict.fromkeys(PODS, True), said
    assert all(90 <= f["calls"] <= 110 for f in said["first"]), said
    lines = rows("spread", USER, "--count=90")
    assert sorted(line[0] for line in lines) == sorted(PODS) and sum(int(line[1]) for line in lines) == 90, lines
    text, status = on_terminal("spread", USER)
    assert status == 0 and text.count("█") > 60, text


@suite.test("spread: `answers = all` in a /24 is sorted by glibc; what to set instead is said")
def spread_sorted():
    daemon.configure(BASE + "[service sorted.default]\nanswers = all\nfamily = ipv4\n")
    server.set_service("sorted.default", lab.pods(4, 1) + lab.pods(100, 3))
    running.reload()
    sandbox.wait_until(lambda: run("resolve", "sorted.default").status == 0, 20, "sorted.default is served")
    said = value("spread", "sorted.default", status=1)
    assert not said["even"] and "answers = auto" in said["advice"], said
    assert [f["calls"] for f in said["first"] if f["address"] == lab.pods(4, 1)[0]] == [1000], said
    daemon.configure(BASE)
    running.reload()


@suite.test("spread: another source in front is found out")
def spread_foreign():
    sandbox.nsswitch("files dns")
    try:
        server.set_service("moved.default", [PODS[0]])
        daemon.configure(BASE + "[service moved.default]\nrefresh-min = 1h\nrefresh-max = 1h\n")
        running.reload()
        sandbox.wait_until(lambda: run("resolve", "moved.default").status == 0, 20, "moved.default is served")
        server.set_service("moved.default", [PODS[1]])
        said = value("spread", "moved.default.svc.cluster.local", "--count", "20", status=1)
        assert said["advice"] and [f["address"] for f in said["first"] if not f["from_table"]] == [PODS[1]], said
    finally:
        sandbox.nsswitch("files k8shsvc dns")
        daemon.configure(BASE)
        running.reload()


# ---- watch ----

def change(service, pods):
    server.set_service(service, pods)


def as_before():
    change(USER, PODS)
    sandbox.wait_until(lambda: value("status")["services"] == 3, 10, "the services of the beginning")
    sandbox.wait_until(lambda: addresses(value("show", USER)) == sorted(PODS), 10, "their addresses")


@suite.test("watch: every change with what came and went, of one service or of all")
def watch():
    as_before()
    with ctl.Watch("watch", USER) as one, ctl.Watch("watch", "--json") as every:
        first = one.line()
        assert USER in first and "fresh" in first and all(f"+{pod}" in first for pod in PODS), first
        services = {json.loads(every.line())["service"] for _ in range(3)}
        assert services == {USER, DUAL, FIXED}, services
        change(USER, PODS[1:] + OTHERS[:1])
        line = one.line()
        assert f"+{OTHERS[0]}" in line and f"-{PODS[0]}" in line and PODS[1] not in line, line
        said = json.loads(every.line())
        assert list(said) == SERVICE_KEYS and set(addresses(said)) == set(PODS[1:] + OTHERS[:1]), said
        daemon.configure(BASE + "[service new.default]\nsource = static\nendpoints = 10.9.9.9\n")
        running.reload()
        assert json.loads(every.line())["service"] == "new.default"
        daemon.configure(BASE)
        running.reload()
        said = json.loads(every.line())
        assert said["service"] == "new.default" and said["state"] is None and said["endpoints"] == [], said
    change(USER, PODS)


@suite.each("watch ends when nobody reads it any more, though nothing changes ({0})", [
    ("SIGPIPE as usual", (), -signal.SIGPIPE),
    ("SIGPIPE ignored, as in a unit", ("sh", "-c", "trap '' PIPE; exec \"$@\"", "sh"), 1)])
def watch_unread(_, command, status):
    as_before()
    for arguments in ("watch",), ("watch", "--json", USER):
        with ctl.Watch(*arguments, command=command) as watching:
            watching.line()
            watching.process.stdout.close()
            assert watching.process.wait(timeout=10) == status
            watching.process.stdout = open(os.devnull)


@suite.test("watch goes on through a restart of the daemon, and reports what the new one finds")
def watch_restart():
    global running
    with ctl.Watch("watch", "--json", USER) as watching:
        watching.line()
        running.kill()
        change(USER, PODS[:2])
        running = lab.start_daemon(USER + ".svc.cluster.local")
        sandbox.wait_until(lambda: set(addresses(json.loads(watching.line()))) == set(PODS[:2]), 30, "the new addresses")
    change(USER, PODS)


@suite.test("watch --exec: once at the start, after each change, joined by --wait, with the JSON of show")
def watch_exec():
    log = f"{sandbox.HOME}/exec.log"
    as_before()
    with ctl.Watch("watch", USER, "--exec", f"cat >>{log}", "--wait", "500ms:3s"):
        sandbox.wait_until(lambda: os.path.exists(log) and open(log).read().count("\n") == 1, 10, "the first run")
        for i in range(4):
            change(USER, OTHERS[i:i + 1])
            sandbox.wait_until(lambda: addresses(value("show", USER)) == OTHERS[i:i + 1], 10, "the change")
        sandbox.wait_until(lambda: open(log).read().count("\n") >= 2, 20, "the second run")
        time.sleep(1)
        runs = [json.loads(line) for line in open(log)]
    assert len(runs) <= 4, runs  # joined
    assert addresses(runs[0]) == sorted(PODS) and addresses(runs[-1]) == OTHERS[3:4], runs
    assert list(runs[0]) == SERVICE_KEYS, runs


@suite.test("watch --exec: goes on where whoever started it ignores SIGCHLD")
def watch_exec_no_sigchld():
    log = f"{sandbox.HOME}/exec-chld.log"
    as_before()
    with ctl.Watch("watch", USER, "--exec", f"cat >>{log}", command=("sh", "-c", "trap '' CHLD; exec \"$@\"", "sh")):
        sandbox.wait_until(lambda: os.path.exists(log) and open(log).read().count("\n") == 1, 10, "the first run")
        change(USER, OTHERS[:1])
        sandbox.wait_until(lambda: open(log).read().count("\n") >= 2, 20, "the second run")
    change(USER, PODS)


@suite.test("watch --exec without NAME gets an array: all services at the start, then those that changed")
def watch_exec_all():
    log = f"{sandbox.HOME}/exec-all.log"
    as_before()
    with ctl.Watch("watch", "--exec", f"cat >>{log}"):
        sandbox.wait_until(lambda: os.path.exists(log) and open(log).read().count("\n") == 1, 10, "the first run")
        change(DUAL, OTHERS[:1])
        sandbox.wait_until(lambda: open(log).read().count("\n") >= 2, 20, "the second run")
        first, second = (json.loads(line) for line in open(log).read().splitlines()[:2])
    assert [s["service"] for s in first] == sorted([USER, DUAL, FIXED]), first
    assert [s["service"] for s in second] == [DUAL], second
    change(DUAL, OTHERS + PODS6)


@suite.test("watch --exec: never two at once, and a failure is reported and tried again")
def watch_exec_fails():
    mark = f"{sandbox.HOME}/exec-mark"
    script = (f"mkdir {mark} || {{ echo twice >>{mark}.log; exit 1; }}; sleep 0.4; rmdir {mark}; "
              f"echo run >>{mark}.log; test $(wc -l <{mark}.log) -ge 2")
    with ctl.Watch("watch", USER, "--exec", script) as watching:
        assert "failed with status 1; trying again" in watching.error_line()
        for i in range(6):
            change(USER, OTHERS[i % 4:i % 4 + 1])
            time.sleep(0.2)
        sandbox.wait_until(lambda: open(f"{mark}.log").read().count("run") >= 3, 20, "more runs")
    assert "twice" not in open(f"{mark}.log").read()
    change(USER, PODS)


NGINX = """
daemon off;
user root;
pid {home}/pid;
error_log {home}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {home}/client;
    proxy_temp_path {home}/proxy;
    fastcgi_temp_path {home}/fastcgi;
    uwsgi_temp_path {home}/uwsgi;
    scgi_temp_path {home}/scgi;
    upstream web {{ include {home}/web; }}
    server {{
        listen 127.0.0.1:8081;
        location / {{ proxy_pass http://web; proxy_next_upstream off; proxy_connect_timeout 2s; }}
    }}
}}
"""


class Requests(threading.Thread):
    """One after the other, until it is stopped: who answered, and what failed."""

    def __init__(self):
        super().__init__(daemon=True)
        self.bodies, self.failures, self.going = [], [], True
        self.start()

    def run(self):
        while self.going:
            try:
                with urllib.request.urlopen("http://127.0.0.1:8081/", timeout=10) as answer:
                    self.bodies.append(answer.read().decode().strip())
            except OSError as error:
                self.failures.append(str(error))

    def wait_for(self, pod):
        n = len(self.bodies)
        sandbox.wait_until(lambda: pod in self.bodies[n:], 20, f"{pod} answers: {self.failures}")


@suite.test("watch --exec: nginx follows its upstreams, and no request fails while all pods are replaced")
def watch_nginx():
    if not sandbox.have("nginx"):
        raise tap.Skip("nginx is not installed")
    home = f"{sandbox.HOME}/nginx"
    os.makedirs(home)
    sandbox.write(f"{home}/nginx.conf", NGINX.format(home=home))
    nginx = ["nginx", "-p", home, "-e", f"{home}/error.log", "-c", f"{home}/nginx.conf"]
    generations = [lab.pods(60 + 2 * i, 2) for i in range(4)]
    sandbox.add_pod_addresses(sum(generations, []))
    pods.start()
    change(USER, generations[0])
    sandbox.wait_until(lambda: addresses(value("show", USER)) == generations[0], 10, "the first pods")
    reload = f"{sandbox.CTL} resolve {USER}:8080 --format 'server {{addr}}:{{port}};' >{home}/new && mv {home}/new {home}/web"
    assert subprocess.run(["sh", "-c", reload]).returncode == 0
    with subprocess.Popen(nginx) as server_process:
        sandbox.wait_until(lambda: sandbox.run("curl", "-sf", "http://127.0.0.1:8081/", check=False).returncode == 0, 20, "nginx")
        with ctl.Watch("watch", USER, "--wait", "100ms:1s", "--exec", f"{reload} && {' '.join(nginx)} -s reload"):
            requests = Requests()
            for old, new in zip(generations, generations[1:]):
                change(USER, new)
                for pod in new:
                    requests.wait_for(pod)
                time.sleep(1)  # what a pod has for its last requests
                for pod in old:
                    sandbox.ip("address", "del", f"{pod}/32", "dev", "eth0")
            requests.going = False
            requests.join()
        server_process.terminate()
    assert not requests.failures and set(requests.bodies) == set(sum(generations, [])), requests.failures
    as_before()


# ---- what stands in other files ----

SOURCES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")


def commands():
    return re.findall(r"^  ([a-z]+)", run("--help").out, re.MULTILINE)


@suite.test("bash completes commands, options and the services of the table")
def completion_bash():
    def complete(*words):
        script = (f". {SOURCES}/packaging/completion/k8shsvcctl.bash; PATH={sandbox.BIN}:$PATH; COMP_WORDS=(k8shsvcctl "
                  f"{' '.join(repr(w) for w in words)}); COMP_CWORD={len(words)}; _k8shsvcctl; printf '%s\\n' \"${{COMPREPLY[@]}}\"")
        return sandbox.run("bash", "-c", script).stdout.split()
    assert sorted(complete("")) == sorted([*commands(), "--help"])
    assert complete("res") == ["resolve"]
    for command in "show", "resolve", "watch", "remove", "explain", "spread", "diff":
        assert complete(command, "user") == [USER], command
    for line in run("--help").out.splitlines():
        match = re.match(r"  ([a-z]+)", line)
        if match:
            flags = {"--json", *re.findall(r"\[(--[a-z]+)", line)}
            assert set(complete(match[1], "-")) == flags, line
    assert str(os.getpid()) in complete("doctor", "--pid", "")


@suite.test("bash runs nothing that somebody has written into the table")
def completion_hostile():
    mark = f"{sandbox.HOME}/completed"
    script = (f". {SOURCES}/packaging/completion/k8shsvcctl.bash; k8shsvcctl() {{ printf '%s\\tx\\n' '$(touch {mark})' good.shop; }}; "
              "COMP_WORDS=(k8shsvcctl show ''); COMP_CWORD=2; _k8shsvcctl; printf '%s\\n' \"${COMPREPLY[@]}\"")
    assert sandbox.run("bash", "-c", script).stdout.split() == ["good.shop"]
    assert not os.path.exists(mark)


@suite.each("{0} completes all commands and options", [("_k8shsvcctl",), ("k8shsvcctl.fish",)])
def completion_others(name):
    with open(f"{SOURCES}/packaging/completion/{name}") as file:
        text = file.read()
    known = re.findall(r"^ +'([a-z]+):" if name.startswith("_") else r"needs_command -a ([a-z]+)", text, re.MULTILINE)
    assert sorted(known) == sorted(commands()), known
    options = set(re.findall(r"--([a-z]+)\[" if name.startswith("_") else r"^complete .* -l ([a-z]+)", text, re.MULTILINE))
    assert options == set(re.findall(r"--([a-z]+)", run("--help").out)) - {"help"}, options
    shell = "zsh" if name.startswith("_") else "fish"
    if sandbox.have(shell):
        assert sandbox.run(shell, "-n", f"{SOURCES}/packaging/completion/{name}").returncode == 0


def examples(path):
    """The commands of a manual page's or a README's examples."""
    with open(f"{SOURCES}/{path}") as file:
        return re.findall(r"^(?:\$ )?(k8shsvcctl .*)$", file.read(), re.MULTILINE)


@suite.test("every example of the manual page and of the README works")
def manual():
    tried = 0
    for example in examples("packaging/man/k8shsvcctl.8") + examples("README.md"):
        if " watch " in example or "pgrep" in example:
            continue  # tried above, and by test-doctor
        if " remove " in example:
            example = "k8shsvcctl add user-svc.default >/dev/null; " + example
        result = subprocess.run(["sh", "-c", f"PATH={sandbox.BIN}:$PATH; {example}"], stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)
        allowed = (0, 1) if example.split()[1] == "doctor" else (0,)
        assert result.returncode in allowed and (result.stdout or " diff " in example), (example, result)
        tried += 1
    assert tried >= 10, tried
    run("remove", "user-svc.default")


# ---- what is refused ----

@suite.each("`{0}` is refused in one line that says what was expected", [
    ("", "Usage"), ("listt", "did you mean list?"), ("list --jsno", "did you mean --json?"), ("list --ready", "expected --json"),
    ("list more", "expected none"), ("show", "expected NAME"), ("show a b", "expected one"), ("list -x", "expected --json"),
    ("status --ready=yes", "takes no value"), ("resolve x --format", "expects FORMAT"), ("resolve :80", "expected NAME"),
    ("resolve user-svc.default:", "expected NAME"), ("show user-svc.default:80", "without a port"),
    ("spread user-svc.default --count 0", "expected a number"), ("spread user-svc.default --count=many", "expected a number"),
    ("watch --wait 1s", "goes with --exec"), ("watch --exec true --wait 2s:1s", "expected MIN[:MAX]"),
    ("watch --exec true --wait soon", "expected MIN[:MAX]")])
def misuse(line, expected):
    if line:
        assert expected in refused(*line.split())
    else:
        result = run()
        assert result.status == 2 and expected in result.err and result.out == "", result


@suite.each("{0}: a name that nobody has registered is a no, with the nearest one that is", [
    ("show",), ("resolve",), ("explain",), ("spread",), ("watch",)])
def unknown(command):
    assert refused(command, "user-scv.default", status=1).endswith("; did you mean user-svc.default?")
    assert refused(command, "usr-svc", status=1).endswith("; did you mean user-svc.default?")
    assert "did you mean" not in refused(command, "something.else", status=1)


@suite.test("help and version")
def usage():
    for arguments in ("--help",), ("-h",), ("list", "--help"):
        result = run(*arguments)
        assert result.status == 0 and result.err == "" and "resolve TARGET" in result.out, result
    version = value("version")["version"]
    assert run("version").out == run("--version").out == f"k8shsvcctl {version}\n"


@suite.test("an output that can't be written is a failure")
def full():
    for arguments in ("list",), ("--help",), ("watch",):
        with open("/dev/full", "w") as out:
            result = subprocess.run([sandbox.CTL, *arguments], stdout=out, stderr=subprocess.PIPE, text=True, timeout=10)
        assert result.returncode == 1 and "can't be written" in result.stderr, result


# ---- tables that are not as they should be ----

@suite.test("a table that others may write: the tool reads it and says so, programs do not believe it")
def unbelieved():
    os.chmod(sandbox.TABLE, 0o666)
    try:
        result = run("status", "--ready")
        assert result.status == 0 and "do not believe" in result.err and result.err.count("\n") == 1, result
        said = run("list", "--json")
        assert said.status == 0 and len(json.loads(said.out)) == 3 and "do not believe" in said.err, said
    finally:
        os.chmod(sandbox.TABLE, 0o644)


@suite.test("damage anywhere: an answer or a line, never a crash")
def damaged():
    with open(sandbox.TABLE, "rb") as file:
        good = file.read()
    running.kill()
    used = [i for i in range(0, len(good), 4) if good[i:i + 4] != bytes(4) and not 0 < i < 1024]
    damages = [good[:n] for n in (0, 1, 4095, 4096, 8192, len(good) - 4096)] + [bytes(len(good)), b"\xff" * len(good)]
    for i in used[::max(1, len(used) // 60)]:
        for word in b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x01\0\0\x80":
            damages.append(good[:i] + word + good[i + 4:])
    for damage in damages:
        sandbox.write(sandbox.TABLE, damage)
        for arguments in ("list", "--json"), ("show", USER):
            result = run(*arguments)
            if result.status == 0 and "--json" in arguments:
                json.loads(result.out)
    for arguments in ("status",), ("explain", USER), ("resolve", USER):
        sandbox.write(sandbox.TABLE, b"\xff" * len(good))
        assert re.search("damaged|format", refused(*arguments, status=1))
    sandbox.write(sandbox.TABLE, good)


@suite.test("a table of an earlier boot has no living daemon, though this boot's clock comes by its last heartbeat")
def earlier_boot():
    with open(sandbox.TABLE, "rb") as file:
        good = file.read()
    assert value_of_status()["daemon"] != "dead"
    sandbox.write(sandbox.TABLE, table.of_another_boot(good))
    assert value_of_status()["daemon"] == "dead"
    assert "no living daemon" in run("status").err
    sandbox.write(sandbox.TABLE, good)


@suite.test("the daemon is dead: the tool still reads the table, and says that it is dead")
def dead():
    sandbox.wait_until(lambda: value_of_status()["daemon"] == "dead", 30, "the daemon is dead")
    assert [s["service"] for s in value("list")] == sorted([USER, DUAL, FIXED])
    result = run("resolve", FIXED)
    assert result.status == 0 and "no living daemon" in result.err and "10.9.0.1" in result.out, result
    assert "no living daemon" in run("status").err


def value_of_status():
    return json.loads(run("status", "--json").out)


@suite.test("no table: a line, and JSON that says null")
def missing():
    sandbox.remove_table()
    for arguments in ("status",), ("status", "--ready"), ("list",), ("list", "--json"), ("show", USER), ("resolve", USER):
        assert f"{sandbox.TABLE}: there is none" in refused(*arguments, status=1)
    said = value("status", status=1)
    assert said["ready"] is False and said["daemon"] is None and said["table"] is None, said
    with ctl.Watch("watch") as watching:
        assert "no table yet" in watching.error_line()
    assert "start k8shsvcd first, or add --persist" in refused("add", "x.y", status=1)  # the daemon's own directory
    shutil.rmtree(sandbox.CONFIG_DIR)
    assert run("add", "x.y", "--persist").status == 0 and run("remove", "x.y", "--persist").status == 0


def set_up():
    sandbox.nsswitch("files k8shsvc dns")
    daemon.configure(BASE)
    dns_server = lab.start_dns({USER: (PODS, 1), DUAL: (OTHERS + PODS6, 1)})
    started = lab.start_daemon(*(f"{name}.svc.cluster.local" for name in (USER, DUAL, FIXED)))
    return dns_server, started


if __name__ == "__main__":
    sandbox.enter()
    server, running = lab.set_up(set_up)
    for service in USER, DUAL:
        sandbox.wait_until(lambda: len(value("show", service)["endpoints"]) in (3, 6), 20, f"{service} is known")
    status_ = suite.run()
    running.kill()
    server.stop()
    sys.exit(status_)
