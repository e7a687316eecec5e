/* Where this machine is: configured, by the API, or by the slices of the own node. */

#include "kube-fixture.h"

#include <errno.h>
#include <string.h>

#include "base/util.h"
#include "source/kube/decode/endpoint-slice.h"
#include "source/kube/place.h"

static struct {
        struct kube_transport transport;
        struct kube_reply reply;
        struct kube_place place;
        sd_event *event;
        char path[256];
        unsigned int n_asked, n_changed;
        bool busy;
} scene;

static int on_start(struct kube_transport *t, const struct kube_request *request, const struct kube_reply *reply,
                    struct kube_call **ret)
{
        (void)t;
        cr_assert_gt(request->time_max_usec, 0);
        snprintf(scene.path, sizeof(scene.path), "%s", request->path);
        scene.reply = *reply;
        scene.busy = true;
        scene.n_asked++;
        *ret = (struct kube_call *)&scene;
        return 0;
}

static void on_cancel(struct kube_transport *t, struct kube_call *call)
{
        (void)t, (void)call;
        scene.busy = false;
}

static void on_changed(void *userdata)
{
        (void)userdata;
        scene.n_changed++;
}

static const struct kube_transport_ops ops = { on_start, on_cancel, NULL };

static struct kube_place *begin(const char *zone, const char *node, const char *host)
{
        scene.transport.ops = &ops;
        cr_assert_geq(sd_event_new(&scene.event), 0);
        cr_assert_eq(kube_place_init(&scene.place, scene.event, on_changed, NULL), 0);
        cr_assert_eq(kube_place_configure(&scene.place, zone, node, host), 0);
        return &scene.place;
}

static void end(void)
{
        kube_place_deinit(&scene.place);
        cr_assert_not(scene.busy);
        scene.event = sd_event_unref(scene.event);
        scene.n_asked = scene.n_changed = 0;
}

static void answer(unsigned int status, const char *text)
{
        const struct kube_end done = { .status = status };
        char *copy = strdup(text);

        for (char *c = copy; *c; c++)
                *c = *c == '\'' ? '"' : *c;
        scene.reply.status(scene.reply.userdata, status);
        cr_assert_eq(scene.reply.data(scene.reply.userdata, copy, strlen(copy)), 0);
        scene.busy = false;
        scene.reply.done(scene.reply.userdata, &done);
        free(copy);
}

static void see(const char *node, const char *zone)
{
        json_t *object = kube_json("{'metadata':{'name':'a','labels':{'kubernetes.io/service-name':'a'}},'addressType':"
                                   "'IPv4','endpoints':[{'addresses':['10.0.0.1'],'nodeName':'%s'%s%s%s}]}",
                                   node, zone ? ",'zone':'" : "", zone ? zone : "", zone ? "'" : "");
        struct kube_slice *slice;
        unsigned int faults;

        cr_assert_eq(kube_slice_decode(&slice, object, "default", &faults), 0);
        kube_place_see(&scene.place, slice);
        kube_slice_free(slice);
        json_decref(object);
}

static void expect(const char *zone, const char *node)
{
        cr_expect(zone ? scene.place.zone && strcmp(scene.place.zone, zone) == 0 : !scene.place.zone, "%s",
                  scene.place.zone);
        cr_expect(node ? scene.place.node && strcmp(scene.place.node, node) == 0 : !scene.place.node, "%s",
                  scene.place.node);
}

Test(kube_place, configured)
{
        kube_place_want(begin("z1", "n1", "host"), &scene.transport);
        cr_expect_eq(scene.n_asked, 0, "nothing is left to ask");
        expect("z1", "n1");
        see("n1", "other");
        expect("z1", "n1");
        end();
}

Test(kube_place, nobody_wants_to_know)
{
        begin(NULL, "n1", NULL);
        see("n1", "z1");
        cr_expect_eq(scene.n_asked, 0);
        expect(NULL, "n1");
        end();
}

Test(kube_place, by_the_api)
{
        kube_place_want(begin(NULL, "n1", "host"), &scene.transport);
        cr_expect_str_eq(scene.path, "/api/v1/nodes/n1");
        answer(200, "{'metadata':{'name':'n1','labels':{'topology.kubernetes.io/zone':'z1'}}}");
        expect("z1", "n1");
        see("n1", "other");
        expect("z1", "n1");
        end();
}

/* How long until it asks again, in seconds. */
static unsigned int pause_s(void)
{
        uint64_t at;

        cr_assert_geq(sd_event_source_get_time(scene.place.timer.source, &at), 0);
        return (unsigned int)((at - usec_now() + USEC_PER_SEC / 2) / USEC_PER_SEC);
}

/* The cloud's controller labels a node some seconds after it is there. */
Test(kube_place, a_node_without_a_zone_is_asked_again_soon_and_then_later)
{
        unsigned int pause;

        kube_place_want(begin(NULL, "n1", NULL), &scene.transport);
        answer(200, "{'metadata':{'name':'n1'}}");
        pause = pause_s();
        cr_expect(pause >= 27 && pause <= 33, "%u", pause);
        scene.place.timer.fn(scene.place.timer.userdata);
        answer(404, "{'kind':'Status'}");
        pause = pause_s();
        cr_expect(pause >= 54 && pause <= 66, "%u", pause);
        scene.place.timer.fn(scene.place.timer.userdata);
        answer(403, "{'kind':'Status'}");
        pause = pause_s();
        cr_expect(pause >= 540 && pause <= 660, "%u", pause);
        end();
}

Test(kube_place, the_hosts_name_counts_where_there_is_such_a_node)
{
        kube_place_want(begin(NULL, NULL, "HOST-1"), &scene.transport);
        cr_expect_str_eq(scene.path, "/api/v1/nodes/host-1");
        expect(NULL, NULL);
        answer(404, "{'kind':'Status'}");
        expect(NULL, NULL);
        see("other", "z9");
        expect(NULL, NULL);
        see("host-1", NULL);
        expect(NULL, "host-1");
        see("host-1", "z1");
        expect("z1", "host-1");
        end();
}

Test(kube_place, without_the_right_the_slices_tell)
{
        kube_place_want(begin(NULL, "n1", NULL), &scene.transport);
        answer(403, "{'kind':'Status','code':403}");
        see("n2", "z2");
        see("n1", "z1");
        expect("z1", "n1");
        end();
}

Test(kube_place, answers_that_are_none)
{
        static const char *const rows[] = { "", "[]", "{}", "{'metadata':{'name':'n2'}}", "{'metadata':7}", "<html>" };

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                kube_place_want(begin(NULL, "n1", NULL), &scene.transport);
                answer(200, rows[i]);
                expect(NULL, "n1");
                end();
        }
}

Test(kube_place, names_that_no_node_has_are_not_asked_for)
{
        kube_place_want(begin(NULL, "../../secrets", "my_host"), &scene.transport);
        cr_expect_eq(scene.n_asked, 0);
        expect(NULL, NULL);
        end();
}

Test(kube_place, another_configuration)
{
        kube_place_want(begin("z1", "n1", NULL), &scene.transport);
        cr_assert_eq(kube_place_configure(&scene.place, "z1", "n1", NULL), 0);
        cr_expect_eq(scene.n_changed, 1, "the same");
        cr_assert_eq(kube_place_configure(&scene.place, NULL, "n2", NULL), 0);
        cr_expect_eq(scene.n_changed, 2);
        expect(NULL, "n2");
        cr_expect_str_eq(scene.path, "/api/v1/nodes/n2");
        kube_place_disconnect(&scene.place);
        end();
}
