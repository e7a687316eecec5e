"""Objects of a kind, followed by a thread of its own: what each looks like now, and every change as it comes.

The watch ends with the test's process. Where it breaks, all is listed anew, as often as it takes.
"""

import json
import threading
import time

from .client import BROKEN, Refused, collection


class Watch:
    def __init__(self, client, version, kind, on_change, namespace=None):
        """
        @on_change: called with (since, time, objects) by the thread after each change, which came between the two:
                    while the watch was broken nobody knows when; objects: {(namespace, name): object}
        """
        self._client, self._url = client, collection(version, kind, namespace)
        self._on_change = on_change
        self._stopped = False
        self._broken = None  # when it broke
        self.objects = {}
        self._listed = threading.Event()
        threading.Thread(target=self._run, daemon=True).start()
        assert self._listed.wait(30), f"no list of {kind}s"

    def stop(self):
        self._stopped = True

    def _run(self):
        while not self._stopped:
            try:
                self._follow(self._list())
            except (*BROKEN, Refused, ValueError):
                pass
            self._broken = self._broken or time.monotonic()
            time.sleep(0.1)

    def _list(self):
        answer = self._client.get(self._url)
        self.objects = {self._key(obj): obj for obj in answer["items"]}
        self._changed()
        self._listed.set()
        return answer["metadata"]["resourceVersion"]

    def _follow(self, version):
        with self._client.open("GET", f"{self._url}?watch=1&resourceVersion={version}", timeout=600) as stream:
            for line in stream:
                event = json.loads(line)
                if event["type"] == "ERROR" or self._stopped:
                    return
                key = self._key(event["object"])
                if event["type"] == "DELETED":
                    self.objects.pop(key, None)
                else:
                    self.objects[key] = event["object"]
                self._changed()

    def _changed(self):
        now = time.monotonic()
        if not self._stopped:
            self._on_change(self._broken or now, now, self.objects)
        self._broken = None

    @staticmethod
    def _key(obj):
        return obj["metadata"].get("namespace"), obj["metadata"]["name"]
